"""The contract between the engine and a service that holds variables.

An adapter is two small classes. A ``Provider`` is one set of credentials: who am I, what can I
see. A ``Destination`` is one place: what does it hold, put this there. Scope, deletes, key schema, ledger,
brake, retries and rate budget are the engine's, once, for everybody; an adapter translates, nothing else.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from shared.plan import Change, Remote

#: The connection method whose credentials come from a provider's page and not from a person's hands.
OAUTH = "oauth"

#: Seconds a call may take from its first byte sent to its last byte received. A lease must outlive it.
CALL_SECONDS = 60.0


class DestinationConfig(BaseModel):
    """Where in the provider's world a destination lies. Field names on the wire are camelCase.

    Fields named in ``labels`` are for people's eyes and do not make another place.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        str_strip_whitespace=True,
    )
    labels: ClassVar[frozenset[str]] = frozenset()
    #: Can two places of this kind share a variable without being the same? Then ``collides`` tells.
    may_overlap: ClassVar[bool] = False

    def identity(self) -> str:
        """Return the same text for every description of the same place, whatever the connection."""
        place = self.model_dump(exclude=set(self.labels), exclude_none=True, mode="json")
        return json.dumps(place, sort_keys=True, separators=(",", ":"))

    def collides(self, other: "DestinationConfig") -> bool:
        """Could one variable belong to both places?"""
        return self.identity() == other.identity()


class Credentials(BaseModel):
    """What a connection method asks for. What nobody else may see is a ``SecretStr``."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def reveal(self) -> SecretStr:
        """Return all fields as one JSON text, to be sealed."""
        opened = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in self.model_dump(by_alias=True, exclude_none=True).items()
        }
        return SecretStr(json.dumps(opened, default=str))


class OAuthCredentials(Credentials):
    """What a provider handed out when a person let us in.

    ``team_id`` is absent where that person, not a team, let us in, or where there are no teams.
    """

    access_token: Annotated[SecretStr, Field(min_length=1)]
    refresh_token: SecretStr | None = None
    expires_at: AwareDatetime | None = None
    team_id: str | None = None


@dataclass(frozen=True, slots=True)
class OAuth:
    """How a provider hands out tokens: the authorization code flow, as far as providers differ in it.

    ``page`` is where a person lets us in, with ``{client_id}``, ``{redirect_uri}``, ``{state}`` and
    ``{slug}`` to be filled in. ``exchange_extra`` goes with a code besides the code itself and our
    registration. ``credentials`` names the fields of an answer that are kept. ``revoke_path`` is where a
    token can be ended (RFC 7009), None where that is impossible or would do more than that.
    """

    page: str
    exchange_path: str
    exchange_extra: Mapping[str, str] = field(default_factory=dict)
    credentials: type[OAuthCredentials] = OAuthCredentials
    takes_pkce: bool = False
    revoke_path: str | None = None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What a provider's answer said about its budget. ``resets_in`` is in seconds."""

    remaining: int
    resets_in: float


@dataclass(frozen=True, slots=True)
class Access:
    """How a provider is reached with one connection.

    ``address`` is the base URL (for ``dotenv`` the directory). ``before_call`` runs before each request and
    may raise to stop it: the engine renews its lease there. ``observe`` is told about rate limits.
    ``call_seconds`` is how long one call may take as a whole.
    """

    method: str
    credentials: Any = field(repr=False)
    http: httpx.Client
    address: str
    before_call: Callable[[], None] = lambda: None
    observe: Callable[[RateLimit], None] = lambda limit: None
    call_seconds: float = CALL_SECONDS


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the credentials belong to."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Named:
    """Something at the provider that a person picks by its name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Service(Named):
    """A part of a project that has variables of its own."""

    linked_repo: str | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A project, site or app at the provider, as the listings show it."""

    id: str
    name: str
    environments: tuple[Named, ...] = ()
    services: tuple[Service, ...] = ()
    linked_repo: str | None = None
    framework: str | None = None
    team_id: str | None = None
    team_name: str | None = None


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a destination holds, by key.

    ``incomplete`` says why some keys may be missing from it; the engine then deletes nothing.
    """

    remotes: Mapping[str, Remote]
    incomplete: str | None = None


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a batch.

    Every key of the batch is in exactly one of the two: ``stamps`` (the provider confirmed it; its new
    stamp, None if it has none or it was deleted) or ``refused`` (why, in words that hold no value).
    """

    stamps: Mapping[str, str | None]
    refused: Mapping[str, str] = field(default_factory=dict)


class Destination(ABC):
    """One place that holds variables."""

    #: Changes the provider takes in one push.
    batch_size: ClassVar[int] = 100

    @abstractmethod
    def pull(self) -> Pulled:
        """Return what the place holds now. What the provider itself puts there is left out."""

    @abstractmethod
    def push(self, batch: Sequence[Change]) -> Pushed:
        """Apply *batch*: creates, then updates in place, deletes last. Applying it twice does no harm.

        A batch holds either creates and updates, or deletes. No updated key is ever absent in between.
        """

    def reveal(self, remotes: Sequence[Remote]) -> Mapping[str, SecretStr]:
        """Return, by key, the values that a list hides but a single read shows. Costs a call for each."""
        return {}

    def refuses(self, key: str) -> str | None:
        """Why the provider can never hold a key of that name, or None."""
        return None

    def redeploy(self) -> None:  # noqa: B027 - doing nothing is right where nothing runs
        """Make running services take the values up. Providers that cannot, do nothing."""


ConfigT = TypeVar("ConfigT", bound=DestinationConfig)


class Provider(ABC, Generic[ConfigT]):
    """A service we can write to, reached with one set of credentials."""

    name: ClassVar[str]
    title: ClassVar[str]
    #: Connection methods: the wire's name for each, and what it asks for.
    methods: ClassVar[Mapping[str, type[Credentials]]]
    #: How tokens of the method ``oauth`` are got, None where there is no such method.
    oauth: ClassVar[OAuth | None] = None
    config_type: ClassVar[type[DestinationConfig]]
    #: Are values shown again after they were written? (Single ones may still be hidden.)
    reads_values: ClassVar[bool]
    #: Can existing values be taken over into the vault, by the list or one by one?
    can_import: ClassVar[bool] = True
    can_redeploy: ClassVar[bool] = False

    def __init__(self, access: Access) -> None:
        self.access = access

    @abstractmethod
    def whoami(self) -> Account:
        """Return whom the credentials belong to. Raises ``CredentialsRejected`` if they are not valid."""

    @abstractmethod
    def destination(self, config: ConfigT) -> Destination:
        """Return the place that *config* describes. Makes no call."""

    def projects(self) -> list[Project]:
        """Return every project these credentials can see."""
        return []
