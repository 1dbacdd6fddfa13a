"""How lists, previews and the work of beat fare with very many rows.

    python -m benchmarks.scale [--syncs 10000] [--ledger 1000000] [--rounds 50]

Fills an SQLite database and a schema of its own in PostgreSQL (at its standard local port, dropped at the
end) and measures there what people and beat ask for. The provider is emulated and costs no time of its own.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from shared import log
from shared.crypto import Keyring
from shared.db import syncs as sync_rows
from shared.db.session import Database
from shared.runtime import Runtime
from shared.usecases import reconcile, secrets_live, syncs
from shared.usecases.dispatch import dispatch
from shared.usecases.edit_secrets import Draft, update_secrets
from shared.usecases.preview import preview_sync
from shared.usecases.setup import migrate
from tests.crowd import Crowd, gather
from tests.fakes.railway import FakeRailway
from tests.support import (
    MASTER_KEY,
    ManualClock,
    RecordingBroker,
    emulated_client,
    make_settings,
    postgres_schema,
    postgres_url,
)


def main() -> None:
    arguments = _arguments()
    keys = max(1, arguments.ledger // arguments.syncs)
    print(f"{arguments.syncs:,} syncs, {arguments.syncs * keys:,} ledger rows, {keys} keys per sync")
    for name, database in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
        with database() as runtime:
            began = time.perf_counter()
            crowd = gather(runtime, syncs=arguments.syncs, keys=keys, jobs=10)
            print(f"\n{name} (filled in {time.perf_counter() - began:.0f} s)", flush=True)
            _measure(runtime, crowd, arguments.rounds)


def _measure(runtime: Runtime, crowd: Crowd, rounds: int) -> None:
    print(f"{'':<34}{'p50':>10}{'p99':>10}")
    for name, action in _actions(runtime, crowd).items():
        took = sorted(_timed(action) for _ in range(rounds))
        p99 = took[min(len(took) - 1, round(0.99 * len(took)))]
        print(f"{name:<34}{statistics.median(took):>8.1f}ms{p99:>8.1f}ms", flush=True)


def _actions(runtime: Runtime, crowd: Crowd) -> Mapping[str, Callable[[], object]]:
    some = random.Random(0)
    last = len(crowd.syncs) - 50

    def change() -> None:
        drafts = [Draft("KEY_0", SecretStr(str(some.random())))]
        update_secrets(runtime, crowd.project_id, "production", crowd.folder, drafts, actor="benchmark")

    def due() -> int:
        tomorrow = runtime.clock() + timedelta(days=1)
        with runtime.database.transaction() as session:
            return len(sync_rows.due_for_reconcile(session, tomorrow, limit=reconcile.BATCH))

    project = crowd.project_id
    return {
        "list 50 syncs, first page": lambda: syncs.list_syncs(runtime, project, limit=50),
        "list 50 syncs, last page": lambda: syncs.list_syncs(runtime, project, limit=50, offset=last),
        "get a sync": lambda: syncs.get_sync(runtime, "railway", some.choice(crowd.syncs)),
        "list 50 jobs of a sync": lambda: syncs.list_jobs(
            runtime, "railway", some.choice(crowd.syncs), limit=50, offset=0
        ),
        "preview a sync": lambda: preview_sync(runtime, "railway", some.choice(crowd.syncs)),
        "which version is live where": lambda: secrets_live.secrets_live(
            runtime, project, "production", crowd.folder
        ),
        "change a secret": change,
        "change it and dispatch to 10 syncs": lambda: (change(), dispatch(runtime)),
        "100 syncs due for a reconcile": due,
    }


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


@contextmanager
def _sqlite() -> Iterator[Runtime]:
    with tempfile.TemporaryDirectory() as directory:
        migrate(make_settings(Path(directory)))
        with _runtime(Path(directory), "") as runtime:
            yield runtime


@contextmanager
def _postgres() -> Iterator[Runtime]:
    server = postgres_url()
    if server is None:
        sys.exit("There is no PostgreSQL at its standard local port.")
    with (
        tempfile.TemporaryDirectory() as directory,
        postgres_schema(server) as url,
        _runtime(Path(directory), url) as runtime,
    ):
        yield runtime


@contextmanager
def _runtime(directory: Path, url: str) -> Iterator[Runtime]:
    settings = make_settings(directory, url)
    settings.log_level = "error"
    log.configure(settings)
    runtime = Runtime(
        settings=settings,
        database=Database(settings.database, pool_size=4),
        broker=RecordingBroker(),
        keyring=Keyring([MASTER_KEY]),
        http=emulated_client({"railway": FakeRailway.with_demo()}),
        clock=ManualClock(),
    )
    try:
        yield runtime
    finally:
        runtime.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--syncs", type=int, default=10_000)
    parser.add_argument("--ledger", type=int, default=1_000_000, help="rows in the ledger, of all syncs")
    parser.add_argument("--rounds", type=int, default=50, help="how often each thing is measured")
    return parser.parse_args()


if __name__ == "__main__":
    main()
