"""Signing in with a browser at an emulated provider, for tests of what comes of it."""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from pydantic import SecretStr

from shared.db.connections import Connection
from shared.providers.base import OAuthCredentials
from shared.runtime import Runtime
from shared.sync_options import SyncOptions
from shared.usecases.credentials import unseal
from shared.usecases.oauth import Begun, begin, complete
from shared.usecases.projects import create_project
from shared.usecases.syncs import SyncDraft, create_sync
from shared.usecases.tokens import Caller

HOUR = 3600.0


@dataclass(frozen=True)
class Return:
    """A browser that comes back from the provider's page, with its cookie."""

    code: SecretStr
    state: str
    nonce: str

    def to(self, runtime: Runtime, app: str = "netlify") -> Connection:
        done = complete(runtime, app, code=self.code, state=self.state, browser_nonce=self.nonce)
        return done.connection


def visit(runtime: Runtime, begun: Begun) -> Return:
    """Let somebody in on the provider's page."""
    back = runtime.http.get(begun.url).headers["location"]
    told = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    return Return(SecretStr(told["code"]), told["state"], begun.browser_nonce.get_secret_value())


def connect(
    runtime: Runtime, caller: Caller, app: str = "netlify", project_id: UUID | None = None
) -> Connection:
    return visit(runtime, begin(runtime, app, caller, project_id=project_id)).to(runtime, app)


def token_of(runtime: Runtime, connection: Connection) -> str:
    credentials = unseal(runtime, connection)
    assert isinstance(credentials, OAuthCredentials)
    return credentials.access_token.get_secret_value()


def use(runtime: Runtime, connection: Connection) -> None:
    """Let a sync use *connection*."""
    create_sync(
        runtime,
        SyncDraft(
            destination="netlify",
            name="shop",
            project_id=create_project(runtime, "Shop").project.id,
            connection_id=connection.id,
            environment="production",
            secret_path="/",
            destination_config={"accountId": "acc-1", "siteId": "site-shop"},
            sync_options=SyncOptions.model_validate({"initialSyncBehavior": "overwrite-destination"}),
        ),
    )
