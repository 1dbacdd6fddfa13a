"""Transactions lose nothing, and a snapshot shows one state."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import Session

from shared.db.change_events import ChangeEvent
from shared.db.session import Database
from shared.db.vault import Project
from shared.errors import Conflict
from shared.runtime import Runtime
from tests.shared.usecases.world import together

WRITERS, ROUNDS = 4, 15


def add_project(session: Session, slug: str, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> Project:
    project = Project(id=uuid4(), name="0", slug=slug, data_key=b"key", created_at=now, updated_at=now)
    session.add(project)
    return project


def count_up(database: Database, slug: str) -> None:
    with database.transaction() as session:
        project = session.query(Project).filter(Project.slug == slug).with_for_update().one()
        project.name = str(int(project.name) + 1)


def test_writers_at_once_lose_no_update(runtime: Runtime) -> None:
    with runtime.database.transaction() as session:
        add_project(session, "counter")

    def count() -> None:
        for _ in range(ROUNDS):
            count_up(runtime.database, "counter")

    together([count] * WRITERS)

    with runtime.database.snapshot() as session:
        assert session.query(Project).one().name == str(WRITERS * ROUNDS)


def test_what_raises_leaves_nothing_behind(runtime: Runtime) -> None:
    def break_off() -> None:
        with runtime.database.transaction() as session:
            add_project(session, "half")
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()

    with runtime.database.snapshot() as session:
        assert session.query(Project).count() == 0


def test_a_snapshot_does_not_see_what_happens_meanwhile(runtime: Runtime) -> None:
    with runtime.database.snapshot() as session:
        before = session.query(Project).count()
        with runtime.database.transaction() as other:
            add_project(other, "meanwhile")

        assert session.query(Project).count() == before == 0


def test_a_snapshot_does_not_keep_a_writer_waiting(runtime: Runtime) -> None:
    with runtime.database.transaction() as session:
        add_project(session, "counter")

    with runtime.database.snapshot() as session:
        session.query(Project).one()
        count_up(runtime.database, "counter")

    with runtime.database.snapshot() as session:
        assert session.query(Project).one().name == "1"


def test_a_row_that_is_there_already_is_a_conflict(runtime: Runtime) -> None:
    with runtime.database.transaction() as session:
        add_project(session, "taken")

    with pytest.raises(Conflict, match="at the same moment"), runtime.database.transaction() as session:
        add_project(session, "taken")


def test_a_row_whose_owner_is_gone_is_a_conflict(runtime: Runtime) -> None:
    insert = text(
        "INSERT INTO environments (id, created_at, project_id, name, slug, position, updated_at) "
        "VALUES (:id, :now, :id, 'x', 'x', 1, :now)"
    )

    with pytest.raises(Conflict), runtime.database.transaction() as session:
        session.execute(insert, {"id": uuid4().hex, "now": "2026-01-01 00:00:00"})


def test_a_value_that_must_not_be_stored_is_a_fault_of_ours(runtime: Runtime) -> None:
    insert = text("INSERT INTO projects (id, created_at, slug) VALUES (:id, :now, 'no name')")

    with pytest.raises(IntegrityError), runtime.database.transaction() as session:
        session.execute(insert, {"id": uuid4().hex, "now": "2026-01-01 00:00:00"})


def test_an_error_shows_no_parameter(runtime: Runtime) -> None:
    with pytest.raises(DBAPIError) as caught, runtime.database.transaction() as session:
        session.execute(text("SELECT :value FROM nowhere"), {"value": "a-secret-value"})

    assert "a-secret-value" not in str(caught.value)


def test_a_moment_comes_back_in_utc(runtime: Runtime) -> None:
    here = datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    with runtime.database.transaction() as session:
        add_project(session, "when", here)

    with runtime.database.snapshot() as session:
        stored = session.query(Project).one().created_at

    assert (stored, stored.tzinfo) == (here, UTC)


def test_a_moment_without_a_time_zone_is_refused(runtime: Runtime) -> None:
    naive = datetime(2026, 5, 1)  # noqa: DTZ001 - that is the point

    with pytest.raises(StatementError), runtime.database.snapshot() as session:
        session.query(ChangeEvent).filter(ChangeEvent.created_at < naive).all()


def test_a_database_that_does_not_answer_is_not_reachable(runtime: Runtime) -> None:
    assert runtime.database.is_reachable()
    gone = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")

    assert not gone.is_reachable()
    gone.close()
