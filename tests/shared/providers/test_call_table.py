"""The table of provider calls in the README, measured and compared with what stands there.

``pytest -s tests/shared/providers/test_call_table.py`` prints it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.providers.base import Access, Credentials, DestinationConfig, Provider
from shared.providers.flyio import FlyioProvider
from shared.providers.netlify import NetlifyProvider
from shared.providers.railway import RailwayProvider
from shared.providers.vercel import VercelProvider
from tests.fakes.service import FakeService, InProcess
from tests.shared.providers import test_flyio, test_netlify, test_railway, test_vercel
from tests.shared.providers.contract import Ledger, hundred, synchronise

README = Path(__file__).parents[3] / "README.md"
HEADINGS = ("first sync", "nothing changed", "1 changed", "100 changed", "1 removed")


@dataclass(frozen=True)
class Subject:
    """A provider with an empty place at its emulator."""

    provider: type[Provider[Any]]
    fake: Callable[[], FakeService]
    config: DestinationConfig
    method: str
    credentials: Credentials

    def measure(self) -> tuple[int, ...]:
        """Return the calls of the five kinds of run, in the order of the headings."""
        without_one = {key: value for key, value in hundred().items() if key != "KEY_050"}
        return (
            self._calls({}, hundred()),
            self._calls(hundred(), hundred()),
            self._calls(hundred(), {**hundred(), "KEY_050": "changed"}),
            self._calls(hundred(), hundred("changed")),
            self._calls(hundred(), without_one),
        )

    def _calls(self, before: Mapping[str, str], after: Mapping[str, str]) -> int:
        fake = self.fake()
        ledger: Ledger = {}
        with httpx.Client(transport=InProcess(fake)) as http:
            access = Access(
                method=self.method, credentials=self.credentials, http=http, address="http://emulator.test"
            )
            if before:
                synchronise(self.provider(access).destination(self.config), before, ledger)
            fake.forget_calls()
            synchronise(self.provider(access).destination(self.config), after, ledger)
        return len(fake.calls)


SUBJECTS = [
    Subject(
        VercelProvider, test_vercel.new_fake, test_vercel.IN_PRODUCTION, "api-token", test_vercel.token()
    ),
    Subject(
        NetlifyProvider,
        lambda: test_netlify.new_fake(test_netlify.PRODUCTION),
        test_netlify.IN_PRODUCTION,
        "access-token",
        test_netlify.TOKEN,
    ),
    Subject(
        RailwayProvider,
        test_railway.new_fake,
        test_railway.IN_WEB,
        "account-token",
        test_railway.token("demo-account-token"),
    ),
    Subject(
        FlyioProvider,
        test_flyio.new_fake,
        test_flyio.SHOP,
        "access-token",
        test_flyio.token("FlyV1 fm2_demo-org"),
    ),
]


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.provider.name)
def test_the_readme_tells_the_calls_that_were_counted(subject: Subject) -> None:
    measured = subject.measure()

    row = f"| {subject.provider.title} | " + " | ".join(map(str, measured)) + " |"
    print(f"\n| | {' | '.join(HEADINGS)} |\n{row}")
    assert row in README.read_text().splitlines()
