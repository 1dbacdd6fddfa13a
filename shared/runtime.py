"""What every use-case needs from outside, in one value that a test or a simulation can build itself."""

import random
from dataclasses import dataclass, field
from typing import Self

import httpx

from shared.broker import Broker, CeleryBroker, create_publisher
from shared.clock import Clock, utc_now
from shared.crypto import DataKey, Keyring, load_keyring
from shared.db.session import Database
from shared.settings import Settings


@dataclass(frozen=True)
class Runtime:
    """The outside world: settings, database, broker, keys, time, network and chance."""

    settings: Settings
    database: Database
    broker: Broker
    keyring: Keyring
    http: httpx.Client
    clock: Clock = utc_now
    rng: random.Random = field(default_factory=random.Random)

    @classmethod
    def from_settings(cls, settings: Settings, *, threads: int = 8) -> Self:
        """Return the real thing, for a process with *threads* threads."""
        return cls(
            settings=settings,
            database=Database(settings.database, pool_size=threads + 2),
            broker=CeleryBroker(create_publisher(settings)),
            keyring=load_keyring(settings),
            http=create_http_client(threads),
        )

    def close(self) -> None:
        """Close what was opened."""
        self.http.close()
        self.database.close()

    def data_key(self, wrapped: bytes) -> DataKey:
        """Return the data key of a project or a connection. Raises ``CryptoError``."""
        return self.keyring.unwrap(wrapped)


def create_http_client(threads: int) -> httpx.Client:
    """Return the client that all requests of a process share, so that connections are kept open."""
    limits = httpx.Limits(max_connections=threads * 2, max_keepalive_connections=threads)
    return httpx.Client(limits=limits, follow_redirects=False)
