"""Making everything ready: data directory, master key, tables, and the administrator's token."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import OperationalError

from shared.crypto import (
    CryptoError,
    MasterKeyMissing,
    create_master_key_file,
    load_keyring,
    write_private,
)
from shared.db import migrations, vault
from shared.db.session import Database
from shared.errors import KeytideError
from shared.runtime import Runtime
from shared.settings import Settings, make_data_dir
from shared.usecases.tokens import create_first_token


def prepare(settings: Settings) -> None:
    """Leave everything ready to serve. Harmless when it already is, and when several do it at once.

    Raises a ``KeytideError`` if the data directory or the database cannot be used.
    """
    make_data_dir(settings.data_dir)
    with _alone(settings.data_dir / "setup.lock"):
        migrate(settings)
        _ensure_master_key(settings)
        _ensure_token(settings)


def migrate(settings: Settings) -> None:
    """Bring the tables to this version."""
    database = Database(settings.database, pool_size=1)
    try:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        _require_answer(database)
        # One transaction on one connection, so that two that migrate at once wait for each other.
        with database.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.close()


def _require_answer(database: Database) -> None:
    try:
        database.engine.connect().close()
    except OperationalError as error:
        # Which host, port, database or user it was: the driver's words name no password.
        reason = str(error.orig).partition("\n")[0]
        raise KeytideError(f"The database cannot be used: {reason}. Look at KEYTIDE_DATABASE_URL.") from None


def _ensure_master_key(settings: Settings) -> None:
    """Make a master key where none is needed yet. A database that was sealed with another one is refused."""
    database = Database(settings.database, pool_size=1)
    try:
        with database.snapshot() as session:
            sealed = vault.data_keys(session)
    finally:
        database.close()
    if not settings.master_key.get_secret_value() and not sealed:
        create_master_key_file(settings.master_key_file)
    try:
        keyring = load_keyring(settings)
        for data_key in sealed:
            keyring.unwrap(data_key)
    except (MasterKeyMissing, CryptoError):
        if not sealed:
            raise
        raise MasterKeyMissing(
            "This database was sealed with a master key that is not here. Set KEYTIDE_MASTER_KEY to it, or "
            f"put it back into {settings.master_key_file}."
        ) from None


def _ensure_token(settings: Settings) -> None:
    runtime = Runtime.from_settings(settings, threads=1)
    try:
        token = create_first_token(runtime)
        if token is not None:
            settings.admin_token_file.unlink(missing_ok=True)
            write_private(settings.admin_token_file, token.get_secret_value())
    finally:
        runtime.close()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
