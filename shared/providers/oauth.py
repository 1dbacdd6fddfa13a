"""OAuth 2.0, authorization code flow (RFC 6749), with PKCE (RFC 7636) where the provider takes it.

One implementation for all providers: what they differ in is data, ``OAuth`` beside the contract.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr, ValidationError

from shared.errors import CredentialsRejected, ProviderError, RequestRejected, UnexpectedAnswer
from shared.providers.base import OAUTH, Access, OAuth, OAuthCredentials
from shared.providers.http import Api
from shared.settings import OAuthClient

#: What the codes of RFC 6749, section 5.2, mean. Others are not repeated: they could be any text.
CODES: dict[str, type[ProviderError]] = {
    "invalid_grant": CredentialsRejected,
    # A 401 here says that our registration is wrong, not a person's credentials.
    "invalid_client": RequestRejected,
    "unauthorized_client": RequestRejected,
    "invalid_request": RequestRejected,
    "invalid_scope": RequestRejected,
    "unsupported_grant_type": RequestRejected,
}


@dataclass(frozen=True)
class OAuthFlow:
    """Getting, renewing and ending tokens at one provider. ``address`` is its API's."""

    title: str
    oauth: OAuth
    client: OAuthClient
    http: httpx.Client
    address: str

    def authorize_url(self, *, state: SecretStr, verifier: SecretStr, redirect_uri: str) -> str:
        """Return the page on which a person lets us in. It leads back to *redirect_uri* with a code."""
        parts = {
            "client_id": self.client.id,
            "slug": self.client.slug,
            "state": state.get_secret_value(),
            "redirect_uri": redirect_uri,
        }
        page = self.oauth.page.format_map({name: quote(part, safe="") for name, part in parts.items()})
        if self.oauth.takes_pkce:
            page += f"&code_challenge={_challenge(verifier)}&code_challenge_method=S256"
        return self.client.site.rstrip("/") + page

    def exchange(
        self, code: SecretStr, *, verifier: SecretStr, redirect_uri: str, now: datetime
    ) -> OAuthCredentials:
        """Return what *code* stands for. Raises ``CredentialsRejected`` if it is not valid."""
        form = {
            **self.oauth.exchange_extra,
            "code": code.get_secret_value(),
            "redirect_uri": redirect_uri,
        }
        if self.oauth.takes_pkce:
            form["code_verifier"] = verifier.get_secret_value()
        return self._read(self._post(self.oauth.exchange_path, form), now)

    def refresh(self, credentials: OAuthCredentials, *, now: datetime) -> OAuthCredentials:
        """Return renewed credentials. Raises ``CredentialsRejected`` if they can no longer be renewed."""
        if credentials.refresh_token is None:
            raise CredentialsRejected(provider=self.title)
        old = credentials.refresh_token
        form = {"grant_type": "refresh_token", "refresh_token": old.get_secret_value()}
        renewed = self._read(self._post(self.oauth.exchange_path, form), now)
        # A refresh token that is not replaced stays valid, and a team is named only once.
        told = {name: getattr(renewed, name) for name in ("access_token", "refresh_token", "expires_at")}
        return credentials.model_copy(update={**told, "refresh_token": told["refresh_token"] or old})

    def revoke(self, credentials: OAuthCredentials) -> bool:
        """End the tokens of *credentials*, and return whether this provider lets us do so."""
        if self.oauth.revoke_path is None:
            return False
        # Ending the refresh token ends what it was used for, too.
        token = credentials.refresh_token or credentials.access_token
        self._post(self.oauth.revoke_path, {"token": token.get_secret_value()})
        return True

    def _post(self, path: str, form: dict[str, str]) -> Any:
        registration = {
            "client_id": self.client.id,
            "client_secret": self.client.secret.get_secret_value(),
        }
        access = Access(method=OAUTH, credentials=None, http=self.http, address=self.address)
        api = Api(self.title, access, {}, _error_code, CODES)
        return api.call("POST", path, form={**registration, **form})

    def _read(self, answer: Any, now: datetime) -> OAuthCredentials:
        kind = self.oauth.credentials
        told = answer if isinstance(answer, dict) else {}
        kept = {name: told[name] for name in kind.model_fields if told.get(name) is not None}
        if isinstance(told.get("expires_in"), int | float):
            kept["expires_at"] = now + timedelta(seconds=told["expires_in"])
        try:
            return kind.model_validate(kept)
        except ValidationError:
            # Its own text would repeat the answer.
            raise UnexpectedAnswer(
                f"{self.title} answered without an access token.", provider=self.title
            ) from None


def _challenge(verifier: SecretStr) -> str:
    digest = hashlib.sha256(verifier.get_secret_value().encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _error_code(body: Any) -> str | None:
    code = body.get("error") if isinstance(body, dict) else None
    return code if isinstance(code, str) and code in CODES else None
