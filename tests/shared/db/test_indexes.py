"""Every list, and every look for what is due, uses an index: shown by PostgreSQL's own plans.

Sequential scans are made expensive, so that a plan has one only where no index would do. Reading a whole
index from end to end is no better, unless it is a partial one: that holds nothing but what is looked for.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from shared.db import audit, change_events, jobs, ledger, syncs, vault
from shared.db.audit import AuditFilter
from shared.db.jobs import JobFilter
from shared.db.tokens import delete_expired_logins
from shared.runtime import Runtime
from tests.conftest import POSTGRES
from tests.crowd import Crowd, gather

#: Tables that grow with use.
GUARDED = {
    "audit_entries",
    "change_events",
    "folders",
    "jobs",
    "ledger",
    "secret_imports",
    "secret_references",
    "secret_versions",
    "secrets",
    "syncs",
}
PARTIAL = {"ix_change_events_open", "uq_jobs_one_queued", "uq_jobs_one_running"}

pytestmark = [
    pytest.mark.skipif(POSTGRES is None, reason="there is no PostgreSQL"),
    pytest.mark.parametrize("settings", ["postgresql"], indirect=True),
]

Plan = Mapping[str, Any]
Query = Callable[[Session, Crowd, Runtime], object]

QUERIES: dict[str, Query] = {
    # lists
    "syncs of a project": lambda s, c, r: syncs.list_joined(s, c.project_id, limit=50, offset=100),
    "syncs to a provider": lambda s, c, r: syncs.list_joined(
        s, c.project_id, destination="railway", limit=50
    ),
    "a sync by its name": lambda s, c, r: syncs.find_by_name(s, c.project_id, "sync-000001"),
    "syncs at a destination": lambda s, c, r: syncs.syncs_at(s, c.destination_key),
    "syncs of a connection": lambda s, c, r: syncs.lock_using(s, c.connection_id),
    "jobs of a sync": lambda s, c, r: jobs.list_jobs(s, c.syncs[0], limit=50, offset=0),
    "failed jobs of a sync": lambda s, c, r: jobs.list_jobs(
        s, c.syncs[0], JobFilter(status="failed"), limit=50, offset=0
    ),
    "secrets of a folder": lambda s, c, r: vault.list_secrets(s, c.folder_id),
    "the ledger of a sync": lambda s, c, r: ledger.read(s, c.syncs[0], c.destination_key),
    "the ledger of others": lambda s, c, r: ledger.keys_of_others(s, c.syncs[0], c.destination_key),
    "what is live of some syncs": lambda s, c, r: ledger.confirmed_by_sync(s, c.syncs[:10]),
    "the audit log": lambda s, c, r: audit.list_entries(s, AuditFilter(), limit=50, offset=0),
    "the audit log of a project": lambda s, c, r: audit.list_entries(
        s, AuditFilter(project_id=c.project_id), limit=50, offset=0
    ),
    "the audit log of an actor": lambda s, c, r: audit.list_entries(
        s, AuditFilter(actor="ci"), limit=50, offset=0
    ),
    # what beat and dispatch look for
    "projects with open events": lambda s, c, r: change_events.projects_with_open(s),
    "open events": lambda s, c, r: change_events.claim_open(s, c.project_id, limit=100),
    "is any event open": lambda s, c, r: change_events.has_open(s),
    "is any event of a project open": lambda s, c, r: change_events.has_open(s, c.project_id),
    "who shows a folder": lambda s, c, r: vault.folders_showing(s, c.project_id, [("production", c.folder)]),
    "who follows a folder": lambda s, c, r: syncs.auto_syncs_of(s, c.project_id, [("production", c.folder)]),
    "jobs that are due": lambda s, c, r: jobs.due(s, r.clock(), per_connection=4, limit=200),
    "jobs that may begin now": lambda s, c, r: jobs.claimable_after(
        s, connection_id=c.connection_id, destination_key=c.destination_key, now=r.clock(), limit=8
    ),
    "jobs that expired": lambda s, c, r: jobs.expired(s, r.clock(), limit=200),
    "jobs that a worker left": lambda s, c, r: jobs.expire_leases_of(s, "worker-1", r.clock()),
    "a destination in use": lambda s, c, r: jobs.is_destination_busy(s, c.destination_key),
    "jobs of a connection": lambda s, c, r: jobs.count_running(s, c.connection_id),
    "jobs that failed before": lambda s, c, r: jobs.count_retrying(s),
    "reconciles that are due": lambda s, c, r: syncs.due_for_reconcile(s, r.clock(), limit=100),
    # what is pruned
    "old jobs": lambda s, c, r: jobs.delete_finished_before(s, r.clock() - timedelta(days=30)),
    "old events": lambda s, c, r: change_events.delete_dispatched_before(s, r.clock() - timedelta(days=1)),
    "old audit entries": lambda s, c, r: audit.delete_before(s, r.clock() - timedelta(days=365)),
    "old logins": lambda s, c, r: delete_expired_logins(s, r.clock()),
}


@pytest.fixture
def crowd(runtime: Runtime) -> Crowd:
    return gather(runtime, syncs=300, keys=10, jobs=5)


def test_no_query_reads_a_whole_table(runtime: Runtime, crowd: Crowd) -> None:
    wasteful = {
        name: found
        for name, query in QUERIES.items()
        if (found := sorted({scan for plan in plans(runtime, crowd, query) for scan in _whole_scans(plan)}))
    }

    assert wasteful == {}


def test_a_query_without_an_index_is_noticed(runtime: Runtime, crowd: Crowd) -> None:
    def query(session: Session, crowd: Crowd, runtime: Runtime) -> object:
        return session.query(jobs.Job).where(jobs.Job.message == "x").all()

    [plan] = plans(runtime, crowd, query)

    assert list(_whole_scans(plan)) == ["Seq Scan on jobs"]


def test_a_list_is_one_query_however_long_it_is(runtime: Runtime, crowd: Crowd) -> None:
    with runtime.database.engine.connect() as connection:
        short, long = (_statements(connection, crowd, limit) for limit in (1, 300))

    assert short == long == 1


def _statements(connection: Connection, crowd: Crowd, limit: int) -> int:
    with Session(connection) as session, _recorded(session) as statements:
        assert len(syncs.list_joined(session, crowd.project_id, limit=limit)) == limit
    return len(statements)


def plans(runtime: Runtime, crowd: Crowd, query: Query) -> list[Plan]:
    """Carry *query* out, and return the plan of each of its statements. Nothing of it stays."""
    with Session(runtime.database.engine) as session:
        session.connection().exec_driver_sql("SET LOCAL enable_seqscan = off")
        with _recorded(session) as statements:
            query(session, crowd, runtime)
        found = []
        for statement, parameters in statements:
            answer = session.connection().exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            found.append(answer.scalar_one()[0]["Plan"])
        session.rollback()
        return found


@contextmanager
def _recorded(session: Session) -> Iterator[list[tuple[str, Any]]]:
    statements: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(connection, "before_cursor_execute", note)


def _whole_scans(plan: Plan, table: str | None = None, *, limited: bool = False) -> Iterator[str]:
    """Yield what a plan reads from end to end. *limited*: in the order of an index, until it has enough."""
    kind, index = plan["Node Type"], plan.get("Index Name")
    table = plan.get("Relation Name", table)
    if table in GUARDED and kind == "Seq Scan":
        yield f"{kind} on {table}"
    if table in GUARDED and index and "Index Cond" not in plan and index not in PARTIAL and not limited:
        yield f"all of {index}"
    limits = kind == "Limit" or (limited and kind in {"LockRows", "Incremental Sort"})
    for inner in plan.get("Plans", ()):
        yield from _whole_scans(inner, table, limited=limits)
