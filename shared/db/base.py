"""What every table shares: naming of constraints, moments in UTC, ids."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from sqlalchemy import JSON, DateTime, Delete, Dialect, MetaData, Update, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

#: How many values one query may ask about: a database takes so many parameters and no more.
SLICE = 1000

T = TypeVar("T")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, always in UTC, on databases that know time zones and on those that do not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("A moment without a time zone cannot be stored.")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The base of every model. Relations are never loaded behind the reader's back: there are none."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        uuid.UUID: Uuid,
        dict[str, Any]: JSON,
        dict[str, str | None]: JSON,
        list[str]: JSON,
    }


class Identified:
    """A row with an id of its own."""

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4, sort_order=-2)
    created_at: Mapped[datetime] = mapped_column(sort_order=-1)


def one_of(column: str, values: type[Any]) -> str:
    """Return the SQL condition that *column* holds one of the members of the enumeration *values*."""
    listed = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({listed})"


def slices(values: Iterable[T]) -> Iterator[Sequence[T]]:
    """Yield *values* in their order, as many at once as one query may ask about."""
    listed = list(values)
    for start in range(0, len(listed), SLICE):
        yield listed[start : start + SLICE]


def count_of(session: Session, statement: Delete | Update) -> int:
    """Carry *statement* out, and return how many rows it removed or changed."""
    result: Any = session.execute(statement)
    return int(result.rowcount)
