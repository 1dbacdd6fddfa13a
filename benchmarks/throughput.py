"""Jobs per second with a slow provider, by the worker's pool.

    python -m benchmarks.throughput [--syncs 300] [--latency 0.05] [--pools threads:32 prefork:16 …]

One edit of a folder that *syncs* syncs show; each run makes two calls that take *latency* seconds. Needs
PostgreSQL and Redis at their standard local ports; one worker process (with prefork: its children).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import redis
from pydantic import SecretStr

from shared.runtime import Runtime
from shared.settings import Settings
from shared.sync_options import SyncOptions
from shared.usecases.connections import ConnectionDraft, create_connection
from shared.usecases.edit_secrets import Draft, create_secrets, update_secrets
from shared.usecases.health import measure
from shared.usecases.projects import create_project
from shared.usecases.setup import prepare
from shared.usecases.syncs import SyncDraft, create_sync
from tests.e2e.installation import eventually
from tests.fakes.railway import FakeRailway
from tests.fakes.service import FakeServer
from tests.support import postgres_schema, postgres_url

REDIS = "redis://127.0.0.1:6379/7"


def main() -> None:
    arguments = _arguments()
    print(f"{arguments.syncs} syncs, {arguments.latency * 1000:.0f} ms per call, two calls per job")
    for pool in arguments.pools:
        with _installation(arguments.latency) as (runtime, railway):
            project = _syncs(runtime, railway, arguments.syncs)
            kind, _, size = pool.partition(":")
            with _worker(kind, size):
                _wait(runtime)
                took = _edit(runtime, project)
        print(f"{pool:<12} {arguments.syncs / took:7.1f} jobs/s  {took:6.2f} s")


@contextmanager
def _installation(latency: float) -> Iterator[tuple[Runtime, FakeRailway]]:
    railway = FakeRailway.with_demo()
    with (
        tempfile.TemporaryDirectory() as data_dir,
        FakeServer(railway, latency=latency) as server,
        postgres_schema(postgres_url() or "", migrated=False) as database_url,
        redis.Redis.from_url(REDIS) as client,
    ):
        client.flushdb()
        os.environ |= {
            "KEYTIDE_DATA_DIR": str(Path(data_dir)),
            "KEYTIDE_DATABASE_URL": database_url,
            "KEYTIDE_BROKER_URL": REDIS,
            "KEYTIDE_RAILWAY_API_URL": server.address,
            "KEYTIDE_CONNECTION_CONCURRENCY": "1000",
            "KEYTIDE_WORKER_THREADS": "64",
            "KEYTIDE_LOG_LEVEL": "warning",
        }
        settings = Settings()
        prepare(settings)
        runtime = Runtime.from_settings(settings)
        try:
            yield runtime, railway
        finally:
            runtime.close()


def _syncs(runtime: Runtime, railway: FakeRailway, count: int) -> UUID:
    """Create *count* syncs of one folder, each to a Railway project of its own."""
    project = create_project(runtime, "Benchmark").project.id
    create_secrets(runtime, project, "production", "/", [Draft("TOKEN", SecretStr("0"))], actor="benchmark")
    token = {"apiToken": railway.demo()["token"]}
    connection = create_connection(runtime, ConnectionDraft("railway", "railway", "account-token", token)).id
    for number in range(count):
        name = f"prj-bench-{number}"
        railway.add_project(name, name, workspace="ws-1")
        config = {
            "projectId": name,
            "environmentId": f"env-production-{name}",
            "serviceId": f"svc-web-{name}",
        }
        create_sync(
            runtime,
            SyncDraft(
                destination="railway",
                name=f"sync-{number}",
                project_id=project,
                connection_id=connection,
                environment="production",
                secret_path="/",
                destination_config={**config, "projectName": "", "environmentName": ""},
                sync_options=SyncOptions.model_validate({"initialSyncBehavior": "overwrite-destination"}),
            ),
        )
    return project


@contextmanager
def _worker(pool: str, size: str) -> Iterator[None]:
    options = ["--pool", pool, "--concurrency", size, "-Q", "interactive,changes,background"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "worker.app", "--quiet", "worker", *options, *quiet],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def _edit(runtime: Runtime, project: UUID) -> float:
    """Edit the secret, and return the seconds until every sync is done."""
    drafts = [Draft("TOKEN", SecretStr(str(time.time())))]
    started = time.perf_counter()
    update_secrets(runtime, project, "production", "/", drafts, actor="benchmark")
    _wait(runtime)
    return time.perf_counter() - started


def _wait(runtime: Runtime) -> None:
    def is_done() -> bool:
        load = measure(runtime)
        return load.open_events == 0 and load.jobs["queued"] == 0 and load.jobs["running"] == 0

    eventually(is_done, within=300, every=0.05)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--syncs", type=int, default=300)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds per provider call")
    parser.add_argument("--pools", nargs="+", default=["threads:8", "threads:32", "threads:64", "prefork:16"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
