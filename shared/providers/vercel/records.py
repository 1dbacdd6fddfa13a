"""Records: what Vercel keeps a variable in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import SecretStr

from shared.plan import Change, Create
from shared.providers.http import text_in, texts_in
from shared.providers.vercel.config import ALL_CUSTOM, SYSTEM_ENVIRONMENTS

TITLE = "Vercel"
#: Names that Vercel itself provides, the second for the browser.
RESERVED_PREFIXES = ("VERCEL_", "NEXT_PUBLIC_VERCEL_")

#: "sensitive" was called "secret" for a while, and "secret" is what answers may call it again.
HIDDEN_TYPES = ("sensitive", "secret")


@dataclass(frozen=True, slots=True)
class Record:
    """A stored variable: one value, and every environment that it reaches.

    ``owner`` says who else it belongs to. ``value`` is None where the list does not show it; ``hidden`` ones
    no call shows.
    """

    id: str
    key: str
    reach: frozenset[str]
    branch: str | None
    projects: frozenset[str]
    stamp: str
    hidden: bool
    owner: str | None
    value: SecretStr | None = field(repr=False)

    @classmethod
    def of(cls, item: Mapping[str, Any], *, installation: str | None = None) -> "Record":
        """Read a variable as Vercel shows it, a project's or a team's."""
        return cls(
            id=text_in(item, "id", TITLE),
            key=text_in(item, "key", TITLE),
            reach=reach_of(item),
            branch=item.get("gitBranch") or None,
            projects=frozenset(_texts(item.get("projectId"))),
            stamp=f"{item['id']}@{item.get('updatedAt')}",
            hidden=_is_hidden(item),
            owner=_owner(item, installation),
            value=value_in(item, surely=False),
        )


def reach_of(item: Mapping[str, Any]) -> frozenset[str]:
    """Return every environment that a variable, as Vercel shows it, reaches."""
    target = item.get("target")
    reach = {target} if isinstance(target, str) else set(_texts(target))
    reach.update(_texts(item.get("customEnvironmentIds")))
    if item.get("applyToAllCustomEnvironments"):
        reach.add(ALL_CUSTOM)
    return frozenset(reach)


def _texts(told: Any) -> list[str]:
    return [] if told is None else texts_in(told, TITLE)


def _is_hidden(item: Mapping[str, Any]) -> bool:
    visibility = item.get("visibility")
    return visibility == "secret" if visibility else item.get("type") in HIDDEN_TYPES


def value_in(item: Mapping[str, Any], *, surely: bool) -> SecretStr | None:
    """Return the value if it is the plain text. ``surely``: it is, unless Vercel says otherwise."""
    # A list shows ciphertext for encrypted variables: https://github.com/vercel/sdk/issues/118
    plain = item.get("type") == "plain" or item.get("decrypted", surely)
    value = item.get("value")
    return SecretStr(value) if plain and isinstance(value, str) and not _is_hidden(item) else None


def _owner(item: Mapping[str, Any], installation: str | None) -> str | None:
    integration = item.get("configurationId")
    if integration and integration != installation:
        return "an integration installed at Vercel owns this variable"
    if item.get("type") == "system" or item.get("system") or item["key"].startswith(RESERVED_PREFIXES):
        return "Vercel provides this variable itself"
    return None


def ids_of(records: Sequence[Record]) -> list[str]:
    """Return their ids, in the same order."""
    return [record.id for record in records]


def stamp_of(records: Sequence[Record]) -> str:
    """Return one stamp for all of *records*: it changes when one of them does."""
    return ",".join(sorted(record.stamp for record in records))


def by_key(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return *records* under their keys: a key has several where none reaches the whole place."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.key, []).append(record)
    return found


def records_of(change: Change) -> tuple[Record, ...]:
    """Return the records that hold the key of *change* today."""
    return () if isinstance(change, Create) else cast("tuple[Record, ...]", change.remote.handle)


def system_environments(reach: frozenset[str]) -> list[str]:
    """Return which of the three that every project has are in *reach*, in Vercel's order."""
    return [each for each in SYSTEM_ENVIRONMENTS if each in reach]
