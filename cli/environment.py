"""The settings, with a sentence instead of a traceback where they are wrong."""

from pydantic import ValidationError

from shared.errors import InvalidInput
from shared.settings import Settings


def read_settings() -> Settings:
    """Return the settings of this process. Raises ``InvalidInput`` naming what is wrong, not its value."""
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)
        named = (f"KEYTIDE_{str(item['loc'][0]).upper()}: {item['msg']}." for item in wrong)
        raise InvalidInput(" ".join(named)) from None
    broker = settings.broker_url.get_secret_value()
    if broker and not broker.startswith(("redis://", "rediss://")):
        # Left to itself, Celery would look for a broker of another kind, again and again.
        raise InvalidInput("KEYTIDE_BROKER_URL has to read like redis://:password@host:6379/0.")
    return settings


def read_settings_with_broker() -> Settings:
    """Return the settings of a process that cannot work without a broker somebody else runs."""
    settings = read_settings()
    if not settings.broker_url.get_secret_value():
        raise InvalidInput(
            "KEYTIDE_BROKER_URL is not set. Set it to a Redis that every process can reach, "
            "or use 'keytide up', which brings a broker with it."
        )
    return settings


def is_embedded_database(settings: Settings) -> bool:
    """Is the database the SQLite file of the data directory, or another SQLite file?"""
    return settings.database.startswith("sqlite")
