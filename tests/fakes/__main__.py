"""All provider emulators in one process, to try Keytide by hand: ``python -m tests.fakes``.

Its output is shell: the addresses as settings, and above each what the emulator holds, as a comment.
"""

import argparse
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from tests.fakes.flyio import FakeFlyio
from tests.fakes.netlify import FakeNetlify
from tests.fakes.railway import FakeRailway
from tests.fakes.service import FakeServer, FakeService
from tests.fakes.vercel import FakeVercel


def services() -> Mapping[str, FakeService]:
    """Return an emulator of each provider, filled for a demonstration."""
    return {
        "railway": FakeRailway.with_demo(),
        "vercel": FakeVercel.with_demo(),
        "netlify": FakeNetlify.with_demo(),
        "flyio": FakeFlyio.with_demo(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve every emulator until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description=__doc__)
    parser.add_argument("--first-port", type=int, default=9101, help="0 takes free ones")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds each answer takes")
    options = parser.parse_args(arguments)
    ends = {signal.SIGINT, signal.SIGTERM}
    # Blocked before the first thread starts, so that only sigwait sees them.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with ExitStack() as running:
        for position, (name, service) in enumerate(services().items()):
            port = options.first_port and options.first_port + position
            server = running.enter_context(FakeServer(service, port=port, latency=options.latency))
            print("#", name, *(f"{field}={value}" for field, value in service.demo().items()))
            print(f"export KEYTIDE_{name.upper()}_API_URL={server.address}", flush=True)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
