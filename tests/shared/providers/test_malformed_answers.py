"""Answers of a form that nobody documents: they stop a run, and never pass for "there is nothing" or "done".

Every part of the true answers of each emulator is dropped, emptied or given another type, one at a time.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from shared.errors import ProviderError
from shared.providers.base import Access, Destination
from tests.fakes.service import FakeService, InProcess
from tests.shared.providers import test_netlify, test_vercel
from tests.shared.providers.contract import Ledger, Run, synchronise
from tests.shared.providers.test_call_table import SUBJECTS, Subject

VERCEL, NETLIFY, RAILWAY, FLYIO = SUBJECTS
BEFORE = {"KEPT": "kept", "CHANGED": "old", "REMOVED": "removed"}
AFTER = {"KEPT": "kept", "CHANGED": "new", "ADDED": "added"}

Path = tuple[str | int, ...]
Change = Callable[[httpx.Response], httpx.Response]


@dataclass(frozen=True)
class Place:
    """A subject, and the name under which its emulator keeps the place it writes to."""

    subject: Subject
    name: str
    #: Lists that may be empty, so an empty one has to be believed.
    lists: frozenset[Path]


PLACES = {
    "vercel": Place(VERCEL, test_vercel.PRODUCTION, frozenset({("envs",)})),
    "vercel-team": Place(
        replace(VERCEL, config=test_vercel.IN_TEAM), "team_1/production", frozenset({("data",)})
    ),
    "netlify": Place(NETLIFY, test_netlify.PRODUCTION, frozenset({()})),
    "netlify-secrets": Place(
        replace(NETLIFY, config=test_netlify.AS_SECRET), test_netlify.PRODUCTION, frozenset({()})
    ),
    "railway": Place(RAILWAY, "env-production/svc-web", frozenset({("data", "variables")})),
    "flyio": Place(FLYIO, "shop", frozenset({("secrets",)})),
}

DROPPED = object()
OTHERS: tuple[Any, ...] = (DROPPED, None, {}, [], "", 0, False, True, 5, [[]])


class Spoiling(httpx.BaseTransport):
    """Carries requests to *service*, and spoils the answer to the *nth* of them.

    Without ``applied`` the service never sees that request: what it answers is that of a copy of itself.
    """

    def __init__(self, service: FakeService, nth: int, spoil: Change, *, applied: bool = True) -> None:
        self.answers: list[httpx.Response] = []
        self._service = service
        self._nth = nth
        self._spoil = spoil
        self._applied = applied

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        is_hit = len(self.answers) == self._nth
        before = None if self._applied or not is_hit else _state(self._service)
        answer = InProcess(self._service).handle_request(request)
        if before is not None:
            vars(self._service).update(before)
        self.answers.append(answer)
        return self._spoil(answer) if is_hit else answer


def _state(service: FakeService) -> dict[str, Any]:
    kept = {"variables", "projects", "apps", "calls", "history"}
    return {name: copy.deepcopy(value) for name, value in vars(service).items() if name in kept}


def _same(answer: httpx.Response) -> httpx.Response:
    return answer


def _paths(node: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every part of *node*; of the variables in a list those of one are enough."""
    if isinstance(node, dict) and node.get("key", node.get("name", "KEPT")) != "KEPT":
        return
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in children:
        yield from _paths(child, (*path, name))


def _put(body: Any, path: Path, other: Any) -> Any:
    if not path:
        return copy.deepcopy(other)
    changed = copy.deepcopy(body)
    parent = changed
    for step in path[:-1]:
        parent = parent[step]
    if other is DROPPED:
        del parent[path[-1]]
    else:
        parent[path[-1]] = copy.deepcopy(other)
    return changed


def _with(path: Path, other: Any) -> Change:
    return lambda answer: httpx.Response(answer.status_code, json=_put(answer.json(), path, other))


@dataclass
class Attempt:
    """A run one of whose answers was spoilt: how it ended, and what the service holds since."""

    run: Run | None
    before: Mapping[str, Mapping[str, str]]
    after: Mapping[str, Mapping[str, str]]
    answers: list[httpx.Response]

    @property
    def says_it_succeeded(self) -> bool:
        return self.run is not None and not self.run.refused and not self.run.plan.skipped


def attempt(place: Place, nth: int, spoil: Change, *, applied: bool = True) -> Attempt:
    """Turn BEFORE into AFTER. An error that is not the provider's fails the test."""
    fake = place.subject.fake()
    ledger: Ledger = {}
    with httpx.Client(transport=InProcess(fake)) as http:
        synchronise(_destination(place, http), BEFORE, ledger)
    before = fake.places()
    transport = Spoiling(fake, nth, spoil, applied=applied)
    run: Run | None = None
    with httpx.Client(transport=transport) as http, suppress(ProviderError):
        run = synchronise(_destination(place, http), AFTER, ledger)
    return Attempt(run, before, fake.places(), transport.answers)


def _destination(place: Place, http: httpx.Client) -> Destination:
    subject = place.subject
    access = Access(subject.method, subject.credentials, http, "http://emulator.test")
    return subject.provider(access).destination(subject.config)


@pytest.fixture(params=PLACES.values(), ids=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.param
    return found


def test_whatever_a_list_shows_no_wanted_key_is_lost_or_emptied_and_no_neighbour_changes(
    place: Place,
) -> None:
    listed = attempt(place, 99, _same).answers[0].json()
    for path in _paths(listed):
        for other in OTHERS:
            if other is DROPPED and not path:
                continue

            told = attempt(place, 0, _with(path, other))

            where = f"{path} = {other!r}"
            held = told.after[place.name]
            assert {key for key in AFTER if key in BEFORE and not held.get(key)} == set(), where
            neighbours = told.before.keys() - {place.name}
            assert {name: told.after[name] for name in neighbours} == {
                name: told.before[name] for name in neighbours
            }, where


def test_a_list_of_another_form_is_an_error_and_never_an_empty_place(place: Place) -> None:
    for path in place.lists:
        for other in ("", 0, False, True, 5, [[]], ["x"], [None]):
            assert attempt(place, 0, _with(path, other)).run is None, f"{path} = {other!r}"


PAGES: Mapping[str, Change] = {
    "page": lambda _: httpx.Response(200, html="<html>We will be back soon.</html>"),
    "untyped": lambda _: httpx.Response(200, content=b"{}", headers={"Content-Type": "text/plain"}),
    "broken": lambda _: httpx.Response(200, content=b'{"da', headers={"Content-Type": "application/json"}),
    "null": lambda _: httpx.Response(200, json=None),
    "object": lambda _: httpx.Response(200, json={}),
    "data": lambda _: httpx.Response(200, json={"data": {}}),
    "false": lambda _: httpx.Response(200, json={"data": {"variableCollectionUpsert": False}}),
}


@pytest.mark.parametrize("spoil", PAGES.values(), ids=PAGES)
def test_an_answer_that_confirms_nothing_is_no_success(place: Place, spoil: Change) -> None:
    calls = len(attempt(place, 99, _same).answers)
    for nth in range(calls):
        told = attempt(place, nth, spoil, applied=False)

        if told.says_it_succeeded:
            assert told.after[place.name] == AFTER, nth
