"""From the edit's answer to the value at the destination, in milliseconds.

    python -m benchmarks.propagation [--edits 100] [--latency 0.05] [--services]

Runs ``keytide up`` and an emulated Railway that takes *latency* seconds for each call. With ``--services``
PostgreSQL and Redis at their standard local ports are used instead of the embedded pair.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.installation import Installation, eventually
from tests.e2e.product import Product
from tests.fakes.railway import FakeRailway
from tests.fakes.service import FakeServer
from tests.support import postgres_schema, postgres_url


def main() -> None:
    arguments = _arguments()
    with (
        tempfile.TemporaryDirectory() as data_dir,
        FakeServer(FakeRailway.with_demo(), latency=arguments.latency) as server,
        _database(services=arguments.services) as urls,
    ):
        environment = {"KEYTIDE_PORT": "0", "KEYTIDE_RAILWAY_API_URL": server.address, **urls}
        installation = Installation(Path(data_dir), environment)
        installation.start()
        try:
            with installation.client() as client:
                _report(_measure(Product.create(installation, client, server), arguments.edits))
        finally:
            installation.stop()


def _measure(product: Product, edits: int) -> Iterator[float]:
    product.set("TOKEN", "0", new=True)
    sync = product.create_sync()
    product.until_synced(sync["id"], TOKEN="0")
    for number in range(1, edits + 1):
        value = str(number)
        product.set("TOKEN", value)
        answered = time.perf_counter()
        eventually(lambda value=value: product.held()["TOKEN"] == value, every=0.0005)
        yield (time.perf_counter() - answered) * 1000
        # The next edit finds the sync at rest.
        product.until_status(sync["id"], "succeeded")


def _report(measured: Iterator[float]) -> None:
    took = sorted(measured)
    print(f"edits {len(took)}  median {statistics.median(took):.1f} ms  ", end="")
    print(f"p95 {took[int(len(took) * 0.95)]:.1f} ms  longest {took[-1]:.1f} ms")


@contextmanager
def _database(*, services: bool) -> Iterator[dict[str, str]]:
    if not services:
        yield {}
        return
    with postgres_schema(postgres_url() or "", migrated=False) as url:
        yield {"KEYTIDE_DATABASE_URL": url, "KEYTIDE_BROKER_URL": "redis://127.0.0.1:6379/7"}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--edits", type=int, default=100)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds per provider call")
    parser.add_argument("--services", action="store_true", help="use PostgreSQL and Redis")
    return parser.parse_args()


if __name__ == "__main__":
    main()
