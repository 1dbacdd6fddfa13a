"""The authorization server of an emulated provider: a page that lets anybody in, codes, tokens (RFC 6749).

Its errors repeat what was sent, as real descriptions may.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.fakes.service import Request, Response

CLIENT_ID = "demo-client"
CLIENT_SECRET = "demo-client-secret"


@dataclass(frozen=True, slots=True)
class _Grant:
    redirect_uri: str
    challenge: str | None


class _Refused(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass
class FakeOAuth:
    """Serves one application. ``accept`` and ``withdraw`` tell the service which access tokens are valid.

    ``registered`` is the redirect address that the application has at the provider; None: the page takes it
    from the browser. ``extra`` goes with every token. ``lifetime`` is how many seconds a token is valid, and
    with it come refresh tokens, each good for one use; None: tokens stay valid and there are none.
    """

    accept: Callable[[str], object]
    withdraw: Callable[[str], object]
    page: str
    exchange_path: str
    revoke_path: str | None = None
    registered: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    lifetime: float | None = None
    exchanges: int = 0
    refreshes: int = 0
    _codes: dict[str, _Grant] = field(default_factory=dict)
    _refresh_tokens: dict[str, str] = field(default_factory=dict)
    _number: int = 0

    def serves(self, request: Request) -> bool:
        """Is *request* for the authorization server and not for the API?"""
        return request.path in {self.page, self.exchange_path, self.revoke_path}

    def answer(self, request: Request) -> Response:
        """Answer the page, the exchange or the end of a token."""
        if request.path == self.page:
            return self._let_in(request)
        form = dict(parse_qsl(request.body.decode()))
        try:
            if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
                raise _Refused(401, "invalid_client")
            if request.path == self.revoke_path:
                return self._revoke(form)
            refreshes = form.get("grant_type") == "refresh_token"
            return self._refresh(form) if refreshes else self._exchange(form)
        except _Refused as error:
            description = f"<script>you sent {form}</script>"
            return Response(error.status, {"error": error.code, "error_description": description})

    def refuse_refreshes(self) -> None:
        """Forget every refresh token, as if the person had taken the permission back."""
        self._refresh_tokens.clear()

    def _let_in(self, request: Request) -> Response:
        redirect_uri = self.registered or request.param("redirect_uri") or ""
        code = self._next("code")
        self._codes[code] = _Grant(redirect_uri, request.param("code_challenge"))
        query = urlencode({"code": code, "state": request.param("state") or ""})
        return Response(302, headers={"Location": f"{redirect_uri}?{query}"})

    def _exchange(self, form: Mapping[str, str]) -> Response:
        self.exchanges += 1
        grant = self._codes.pop(form.get("code", ""), None)
        if grant is None or grant.redirect_uri != form.get("redirect_uri"):
            raise _Refused(400, "invalid_grant")
        if grant.challenge and grant.challenge != _challenge(form.get("code_verifier", "")):
            raise _Refused(400, "invalid_grant")
        return self._token()

    def _refresh(self, form: Mapping[str, str]) -> Response:
        self.refreshes += 1
        old = self._refresh_tokens.pop(form["refresh_token"], None)
        if old is None:
            raise _Refused(400, "invalid_grant")
        self.withdraw(old)
        return self._token()

    def _revoke(self, form: Mapping[str, str]) -> Response:
        access = self._refresh_tokens.pop(form["token"], form["token"])
        self.withdraw(access)
        return Response(200)

    def _token(self) -> Response:
        token = self._next("access-token")
        self.accept(token)
        body = {"token_type": "Bearer", "access_token": token, **self.extra}
        if self.lifetime is not None:
            refresh = self._next("refresh-token")
            self._refresh_tokens[refresh] = token
            body |= {"expires_in": self.lifetime, "refresh_token": refresh}
        return Response(200, body)

    def _next(self, kind: str) -> str:
        self._number += 1
        return f"emulated-{kind}-{self._number:04}"


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
