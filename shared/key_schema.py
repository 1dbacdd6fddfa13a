"""What a key is called at its destination: ``MYAPP_{{secretKey}}_{{environment}}``.

A schema also says which destination keys belong to a sync: those it could have produced.
"""

import re
from dataclasses import dataclass

from shared.errors import InvalidInput

MAX_LENGTH = 255

_KEY = "{{secretKey}}"
_ENVIRONMENT = "{{environment}}"
_ALLOWED = re.compile(rf"(?:[A-Za-z0-9_/-]|{_KEY}|{_ENVIRONMENT})*")


@dataclass(frozen=True, slots=True)
class KeySchema:
    """What stands before and after the vault's key. Either may hold ``{{environment}}``."""

    prefix: str = ""
    suffix: str = ""

    @classmethod
    def parse(cls, text: str | None) -> "KeySchema":
        """Read a schema as the wire writes it. None or nothing keeps every key as it is."""
        schema = (text or "").strip()
        if not schema:
            return cls()
        if len(schema) > MAX_LENGTH:
            raise _invalid(f"A key schema may have at most {MAX_LENGTH} characters.")
        if not _ALLOWED.fullmatch(schema):
            raise _invalid(
                "A key schema may hold letters, digits, '_', '-', '/' and the placeholders "
                f"{_KEY} and {_ENVIRONMENT}, written without spaces."
            )
        if schema.count(_KEY) != 1:
            raise _invalid(f"A key schema must hold {_KEY} exactly once.")
        prefix, suffix = schema.split(_KEY)
        return cls(prefix, suffix)

    def apply(self, key: str, environment: str) -> str:
        """Return what the destination calls *key*."""
        prefix, suffix = self._around(environment)
        return prefix + key + suffix

    def matches(self, remote_key: str, environment: str) -> bool:
        """Could this schema have produced *remote_key*?"""
        return self.strip(remote_key, environment) is not None

    def strip(self, remote_key: str, environment: str) -> str | None:
        """Return the vault's key for *remote_key*, or None if this schema did not produce it."""
        prefix, suffix = self._around(environment)
        key = remote_key[len(prefix) : len(remote_key) - len(suffix)]
        if not key or prefix + key + suffix != remote_key:
            return None
        # "/team/{{secretKey}}" means the keys directly in /team, not those in folders below it.
        if "/" in key and "/" in prefix + suffix:
            return None
        return key

    def overlaps(self, environment: str, other: "KeySchema", other_environment: str) -> bool:
        """Is there a destination key that both schemas match?"""
        prefixes, suffixes = zip(self._around(environment), other._around(other_environment), strict=True)
        # A key of both begins with the longer prefix and ends with the longer suffix.
        candidates = _shortest_keys(max(prefixes, key=len), max(suffixes, key=len))
        return any(
            self.matches(key, environment) and other.matches(key, other_environment) for key in candidates
        )

    @property
    def names_environment(self) -> bool:
        """Does what a key is called depend on the environment's slug?"""
        return _ENVIRONMENT in self.prefix + self.suffix

    def _around(self, environment: str) -> tuple[str, str]:
        return (
            self.prefix.replace(_ENVIRONMENT, environment),
            self.suffix.replace(_ENVIRONMENT, environment),
        )


def _shortest_keys(start: str, end: str) -> list[str]:
    """Return keys that begin with *start* and end with *end*: if any such key will do, one of these will.

    The two may share characters: "a/x/" and "/b" are both in "a/x/b".
    """
    lengths = range(min(len(start), len(end)) + 1)
    joined = [start + end[shared:] for shared in lengths if start.endswith(end[:shared])]
    # In the middle, any letter is as good as any other text: only "/" could spoil a match.
    return [start + "x" + end, *joined]


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, field=("syncOptions", "keySchema"))
