"""Every setting, from the environment (prefix ``KEYTIDE_``); ``deploy/env.example`` lists them for people."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import InvalidInput


def make_data_dir(path: Path) -> None:
    """Make sure that the data directory is there, closed to others if it is new. Raises ``InvalidInput``."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"The data directory {path} cannot be made: {error.strerror}. Set KEYTIDE_DATA_DIR."
        ) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise InvalidInput(f"The data directory {path} cannot be written to. Set KEYTIDE_DATA_DIR.")


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Our registration at a provider, and where the pages are that ask a person to let us in."""

    id: str
    secret: SecretStr
    site: str
    slug: str


class Settings(BaseSettings):
    """The settings of one process.

    Nothing else reads the environment, but the command line, as ``docs/cli.md`` says.
    """

    model_config = SettingsConfigDict(env_prefix="KEYTIDE_", env_ignore_empty=True, extra="ignore")

    # Where things are kept. An empty database or broker URL means the embedded one.
    data_dir: Path = Path(".keytide")
    database_url: SecretStr = SecretStr("")
    broker_url: SecretStr = SecretStr("")

    # What wraps the data keys: 32 bytes in base64; several, separated by commas, the first one seals.
    master_key: SecretStr = SecretStr("")

    # The doors.
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8200
    public_url: str = ""
    # The Keyway wire: requests per token and window (0: any number), and how long a sync is waited for.
    rate_limit_max: Annotated[int, Field(ge=0)] = 100
    rate_limit_window_seconds: Annotated[int, Field(ge=1)] = 900
    sync_wait_seconds: Annotated[float, Field(ge=0)] = 25.0
    # Where GitHub answers. Empty: GitHub's tokens are not accepted.
    github_api_url: str = ""
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # How work is done.
    worker_threads: Annotated[int, Field(ge=1, le=512)] = 32
    connection_concurrency: Annotated[int, Field(ge=1)] = 4
    # Seven eighths of it outlast any single call to a provider, which takes 100 seconds at worst.
    lease_seconds: Annotated[float, Field(ge=120)] = 120.0
    sweep_seconds: Annotated[float, Field(gt=0)] = 5.0
    reconcile_seconds: Annotated[float, Field(gt=0)] = 3600.0
    keep_jobs_days: Annotated[int, Field(ge=1)] = 30
    keep_jobs_per_sync: Annotated[int, Field(ge=1)] = 500
    keep_audit_days: Annotated[int, Field(ge=1)] = 365
    # Set by whoever restarts a dead worker under the same name: what that name left running is free again.
    worker_name: str = ""

    # Where the providers answer. Ours are the real ones, a test's an emulator.
    railway_api_url: str = "https://backboard.railway.com"
    vercel_api_url: str = "https://api.vercel.com"
    netlify_api_url: str = "https://api.netlify.com"
    flyio_api_url: str = "https://api.machines.dev"
    # Our registrations at the providers, and where their pages are. Without one, people connect with a token.
    vercel_client_id: str = ""
    vercel_client_secret: SecretStr = SecretStr("")
    vercel_integration_slug: str = ""
    vercel_site_url: str = "https://vercel.com"
    netlify_client_id: str = ""
    netlify_client_secret: SecretStr = SecretStr("")
    netlify_site_url: str = "https://app.netlify.com"
    # The directory below which ``dotenv`` destinations may lie; in the data directory unless set.
    dotenv_dir: Path | None = None

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database in use."""
        url = self.database_url.get_secret_value()
        if not url:
            return f"sqlite:///{self.data_dir.absolute() / 'keytide.db'}"
        # psycopg 3 is the one driver we ship; people write the plain scheme.
        for scheme in ("postgres://", "postgresql://"):
            if url.startswith(scheme):
                return "postgresql+psycopg://" + url.removeprefix(scheme)
        return url

    @property
    def admin_token_file(self) -> Path:
        """Where the first start leaves the administrator's token."""
        return self.data_dir / "admin-token"

    @property
    def master_key_file(self) -> Path:
        """Where the embedded mode keeps the master key."""
        return self.data_dir / "master-key"

    def address(self, provider: str) -> str:
        """Where *provider* answers: a base URL, for ``dotenv`` a directory."""
        if provider == "dotenv":
            return str(self.dotenv_dir or self.data_dir / "dotenv")
        return str(getattr(self, f"{provider}_api_url"))

    def oauth_client(self, provider: str) -> OAuthClient | None:
        """Return our registration at *provider*, None if a part of it is missing."""
        id_ = getattr(self, f"{provider}_client_id", "")
        secret = getattr(self, f"{provider}_client_secret", SecretStr(""))
        # Only Vercel finds its page by a name that we chose there.
        slug = getattr(self, f"{provider}_integration_slug", None)
        if not id_ or not secret or slug == "":
            return None
        return OAuthClient(id_, secret, getattr(self, f"{provider}_site_url"), slug or "")
