"""Vercel's API: calls, pages, and what its errors mean."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from shared.errors import (
    AccessDenied,
    CredentialsRejected,
    ProviderError,
    RateLimited,
    RequestRejected,
    Transient,
    Unavailable,
    UnexpectedAnswer,
)
from shared.providers.http import Api, map_in, maps_in, unexpected
from shared.providers.vercel.records import Record, ids_of

ONGOING = "envs_ongoing_update"
EXISTS = "existing_key_and_target"
INVALID_TOKEN = "invalid_token"  # noqa: S105 - a code, no password
#: What Vercel's codes mean where its status says something else. They come in upper and in lower case.
CODES: Mapping[str, type[ProviderError]] = {
    INVALID_TOKEN: CredentialsRejected,
    ONGOING: Unavailable,
    "rate_limited": RateLimited,
    "internal_server_error": Unavailable,
    # A session that has to prove itself again may not read this value; the token is not dead.
    "challenge_required": AccessDenied,
    "challenge_required_email_otp": AccessDenied,
    "user_auth_required": AccessDenied,
    # These come with 403.
    "env_already_exists": RequestRejected,
    "env_conflict": RequestRejected,
    EXISTS: RequestRejected,
}


@dataclass(frozen=True)
class VercelApi(Api):
    """Vercel's API as one team or person sees it."""

    team: str | None = None
    installation: str | None = None

    def record(self, item: Mapping[str, Any]) -> Record:
        """Read a variable as Vercel shows it. What our own installation made is not somebody else's."""
        return Record.of(item, installation=self.installation)

    def get(self, path: str, **params: Any) -> Any:
        """Read *path*. Without a team Vercel looks in the personal account and finds no team's project."""
        return self.call("GET", path, params={"teamId": self.team, **params})

    def write(self, method: str, path: str, body: Any, **params: Any) -> Mapping[str, Any]:
        """Send *body*, whose items may be refused singly, and return the answer."""
        answer = self.send(method, path, params={"teamId": self.team, **params}, json=body)
        # Where not one item was taken, the same answer comes with 400.
        told = isinstance(answer.body, dict) and answer.body.get("failed")
        if not (answer.status == 400 and told):
            self.raise_for_status(answer)
        return map_in(answer.body, self.title)

    def pages(self, path: str, *, cursor: str, **params: Any) -> Iterator[Mapping[str, Any]]:
        """Yield every page of a list. ``cursor`` is the parameter that takes the next position."""
        position: Any = None
        seen = {position}
        while True:
            body = map_in(self.get(path, **params, **{cursor: position}), self.title)
            yield body
            position = _following(body)
            if position is None:
                return
            if position in seen:
                raise UnexpectedAnswer("Vercel's list does not end.", provider=self.title)
            seen.add(position)

    def failures(self, body: Mapping[str, Any]) -> "Failures":
        """Return why single items of *body* failed. Raises if one of them only has to be tried again."""
        found = {}
        for item in maps_in(body.get("failed") or [], self.title):
            error = map_in(item.get("error"), self.title)
            code = _code_word(error.get("code")) or "no code"
            if issubclass(CODES.get(code.lower(), RequestRejected), Transient):
                raise self.error(None, code)
            told = [error.get(name) for name in ("key", "envVarKey", "envVarId")]
            names = {name for name in told if isinstance(name, str)}
            # Only the code and the message are always there, and the message may quote the value.
            found.update(dict.fromkeys(names or {ANYBODY}, f"Vercel refused it ({code})"))
        return Failures(found)


ANYBODY = ""


@dataclass(frozen=True, slots=True)
class Failures:
    """Why items failed, by key or by record id, whichever Vercel named."""

    reasons: Mapping[str, str]

    def of(self, key: str, records: Sequence[Record] = ()) -> str | None:
        """Return why *key* or one of its *records* failed, None if nothing is known against it."""
        return next((self.reasons[name] for name in (key, *ids_of(records)) if name in self.reasons), None)

    def unnamed(self, otherwise: str) -> str:
        """Return the reason that Vercel gave without saying for which item."""
        return self.reasons.get(ANYBODY, otherwise)


def error_code(body: Any) -> str | None:
    """Return the code of an error body, and a code of our own where Vercel's tells too little."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    if error.get("invalidToken") is True:
        return INVALID_TOKEN
    code, message = error.get("code"), error.get("message")
    # Declared without a code of its own: https://vercel.com/docs/rest-api (400 of createProjectEnv).
    if str(code).lower() == "bad_request" and "ongoing" in str(message):
        return ONGOING
    return _code_word(code)


def _code_word(code: Any) -> str | None:
    # Codes are repeated to people; any other text may quote a value.
    return code if isinstance(code, str) and re.fullmatch(r"[A-Za-z0-9_]{1,64}", code) else None


def _following(page: Mapping[str, Any]) -> str | int | None:
    """Return the position of the next page, None after the last."""
    pagination = page.get("pagination")
    position = None if pagination is None else map_in(pagination, "Vercel").get("next")
    if position is not None and type(position) not in {str, int}:
        raise unexpected("Vercel")
    return cast("str | int | None", position)
