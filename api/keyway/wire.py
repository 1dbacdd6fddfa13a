"""What all schemas and routes of Keyway's wire have in common: the envelope, pages, moments."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from api.bodies import JsonRoute
from api.keyway.dependencies import count_request
from api.keyway.errors import RESPONSES


def new_router(*, tag: str, prefix: str = "") -> APIRouter:
    """Return a router for the routes of one topic. Each request counts towards its caller's limit."""
    return APIRouter(
        prefix=f"/v1{prefix}",
        tags=[f"Keyway: {tag}"],
        route_class=JsonRoute,
        responses=RESPONSES,
        dependencies=[Depends(count_request)],
    )


class WireModel(BaseModel):
    """A part of the wire: names are camelCase, unknown ones are ignored, no error repeats what was sent."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True)


def _to_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


#: A moment as the wire writes it: 2026-01-01T00:00:00.000Z.
Moment = Annotated[datetime, PlainSerializer(_to_text, return_type=str)]


class Meta(WireModel):
    request_id: str = Field(examples=["550e8400-e29b-41d4-a716-446655440000"])


class Pagination(WireModel):
    total: int
    limit: int
    offset: int
    has_more: bool


class PageMeta(Meta):
    pagination: Pagination


DataT = TypeVar("DataT")


class Envelope(BaseModel, Generic[DataT]):
    """What every success is wrapped in."""

    data: DataT
    meta: Meta


class PageEnvelope(BaseModel, Generic[DataT]):
    """A part of a longer list."""

    data: list[DataT]
    meta: PageMeta


class Page(WireModel):
    """Which part of a list is wanted."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    offset: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


ItemT = TypeVar("ItemT")


def cut(items: Sequence[ItemT], page: Page, meta: Meta) -> tuple[Sequence[ItemT], PageMeta]:
    """Return the part of *items* that *page* asks for, and what is to be said about it."""
    end = page.offset + page.limit
    pagination = Pagination(total=len(items), limit=page.limit, offset=page.offset, has_more=end < len(items))
    return items[page.offset : end], PageMeta(request_id=meta.request_id, pagination=pagination)


async def get_meta(request: Request) -> Meta:
    """Return what is said about the answer to *request*."""
    return Meta(request_id=request.state.request_id)


MetaOf = Annotated[Meta, Depends(get_meta)]

#: An environment of a vault, by its name.
EnvironmentName = Annotated[str, Field(min_length=1, max_length=50, examples=["production"])]
#: A repository, as ``owner/repo``.
RepositoryName = Annotated[str, Field(min_length=3, max_length=255, examples=["owner/repo"])]
