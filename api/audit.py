"""The audit log's recorder: one place around all routes, so that no route can forget it.

It sees who called (the dependencies that identify callers leave it on the request), which projects the
permission checks asked about, which operation it was, and the status of the answer. Routes that need no token
leave on the request what they turned out to concern, such as the identity whose secret somebody tried out. It
runs inside the request, after the work and before the answer: what a caller was told has been written down.
Should the writing fail, the answer is sent all the same, because the change is made and cannot be taken back;
the log tells of it. Runs of syncs are in the history of jobs, with who or what triggered them.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import structlog
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.db.identities import Identity
from shared.usecases import audit_log
from shared.usecases.audit_log import NOBODY, Actor, Deed
from shared.usecases.keyway.access import Visitor
from shared.usecases.tokens import Caller

log = structlog.get_logger()

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
#: Browsers connect a provider with these, although they only GET.
_CONNECTING = frozenset({"keywayAuthorize", "keywayComeBack"})

#: What is the same deed under another name: of older clients, or of the other wire.
_DEEDS = {
    "createWorkspace": "createProject",
    "updateWorkspace": "updateProject",
    "deleteWorkspace": "deleteProject",
    "deleteWorkspaceBySlug": "deleteProject",
    "createWorkspaceTag": "createTag",
    "updateWorkspaceTag": "updateTag",
    "deleteWorkspaceTag": "deleteTag",
    "keywayCreateVault": "createProject",
    "keywayCreateEnvironment": "createEnvironment",
    "keywayChangeSecret": "updateSecret",
    "keywayDeleteSecret": "deleteSecret",
    "keywayDeleteConnection": "deleteConnection",
}

#: Longer answers hold lists, which are not looked into.
_MAX_ANSWER = 1024 * 1024
_MAX_IDS = 100


class AuditLog:
    """Writes down every request that means to change something, before its answer is sent."""

    def __init__(self, app: ASGIApp, *, name_of: Callable[[APIRoute], str]) -> None:
        self.app = app
        self._name_of = name_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer()
        try:
            await self.app(scope, receive, answer)
        except Exception:
            await self._record(scope, 500, b"")
            raise
        await self._record(scope, answer.status, answer.body)
        for message in answer.messages:
            await send(message)

    async def _record(self, scope: Scope, status: int, body: bytes) -> None:
        route = scope.get("route")
        if not isinstance(route, APIRoute):
            return
        deed = _deed(scope, action_of(route, self._name_of(route)), status, body)
        if deed is None:
            return
        try:
            await anyio.to_thread.run_sync(audit_log.record, scope["app"].state.runtime, deed)
        except Exception as error:
            log.error("audit.not_written", action=deed.action, status=status, error=type(error).__name__)


class _Answer:
    """Keeps an answer back until it may be sent. Every answer here is short, and made before it is sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.status = 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.messages.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


def action_of(route: APIRoute, name: str) -> str:
    """Return what is done there, by the same name on whichever path it is asked for."""
    # The old paths of a route have operation ids of their own, and its function in common with the present.
    own = None if route.deprecated else route.operation_id
    return _DEEDS.get(name) or own or name


def _deed(scope: Scope, action: str, status: int, body: bytes) -> Deed | None:
    """Return what is to be written down of a request, or None if that is nothing."""
    if scope["method"] in _READING and action not in _CONNECTING:
        return None
    state = scope.get("state", {})
    found = state.get("actor")
    objects = state.get("objects", {})
    if found is None and not objects:
        # Nobody that is known asked, and for nothing that is: anybody could fill the table with that.
        return None
    client = scope.get("client")
    return Deed(
        actor=_actor(found),
        address=client[0] if client else None,
        action=action,
        status=status,
        objects={
            **scope.get("path_params", {}),
            **objects,
            **(dict(_ids(body)) if status < 400 else {}),
        },
        projects=_projects(found),
    )


def _actor(found: object) -> Actor:
    match found:
        case Caller(identity_id=None, prefix=prefix):
            return Actor("api-key" if prefix else "token", str(found.token_id), found.name)
        case Caller(identity_id=identity_id):
            return Actor("identity", str(identity_id), found.name)
        case Visitor(token=Caller() as caller):
            return _actor(caller)
        case Visitor(github=person):
            return Actor("github", str(person.id) if person else None, found.name)
        case Identity():
            return Actor("identity", str(found.id), found.name)
    return NOBODY


def _projects(found: object) -> Any:
    match found:
        case Caller():
            return frozenset(found.asked)
        case Visitor():
            return frozenset(found.asked)
    return ()


def _ids(body: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the ids of what an answer is about, under the names that the answer has for it."""
    if len(body) > _MAX_ANSWER:
        return
    try:
        answer = json.loads(body)
    except ValueError:
        return
    if isinstance(answer, dict):
        # One wire wraps its answers.
        inner = answer.get("data")
        yield from _named_ids(answer)
        if isinstance(inner, dict):
            yield from _named_ids(inner)


def _named_ids(fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        match value:
            case {"id": str() as id_}:
                yield name, id_
            case [{"id": str()}, *_]:
                yield name, [each.get("id") for each in value[:_MAX_IDS]]
