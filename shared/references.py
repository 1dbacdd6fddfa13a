"""References inside values: ``${KEY}``, ``${env.KEY}`` and ``${env.folder.sub.KEY}``.

``${KEY}`` means the same environment and folder as the secret that holds it. Whatever does not have one of
these forms is text, and stays text: values are full of ``${…}`` that is meant for a shell.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from shared.errors import KeytideError

#: How many references may follow one another.
MAX_DEPTH = 10
#: How many references one value may need, its own and those inside what they refer to. Without a limit,
#: ten values that each refer ten times to the next would grow to ten thousand million copies of the last.
MAX_REFERENCES = 1000
#: How many characters the references of one value may bring in.
MAX_LENGTH = 262_144

_NAME = "[A-Za-z0-9_-]+"
_REFERENCE = re.compile(rf"\$\{{({_NAME}(?:\.{_NAME})*)\}}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a secret lies in the vault."""

    environment: str
    path: str
    key: str

    def __str__(self) -> str:
        return f"{self.key} in {self.path} of {self.environment}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference as a value has it. ``environment`` is None, and ``path`` empty, for the same folder."""

    text: str
    environment: str | None
    path: str
    key: str

    def seen_from(self, holder: Address) -> Address:
        """Return the secret that is meant when *holder* has this reference in its value."""
        if self.environment is None:
            return Address(holder.environment, holder.path, self.key)
        return Address(self.environment, self.path, self.key)


@dataclass(frozen=True, slots=True)
class Expanded:
    """A value with its references replaced. Warnings name keys and never show a value."""

    value: SecretStr
    warnings: tuple[str, ...] = ()


class Vault(Protocol):
    """Where referenced values are looked up."""

    def has_environment(self, slug: str) -> bool:
        """Is there an environment of that name?"""

    def origin(self, address: Address) -> Address:
        """Return where the secret that a folder shows under that key really lies: imports may show it."""

    def value(self, address: Address) -> SecretStr | None:
        """Return the value that is stored there, or None. Raises if it cannot be decrypted."""


class Unresolvable(KeytideError):
    """A reference cannot be resolved. ``reason`` says why, as the end of a sentence about the secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def find(text: str) -> list[Reference]:
    """Return the references in *text*, in their order."""
    return [_read(match) for match in _REFERENCE.finditer(text)]


def holds_reference(value: SecretStr) -> bool:
    """Would any part of *value* be read as a reference?"""
    return _REFERENCE.search(value.get_secret_value()) is not None


def folders_named(value: SecretStr) -> frozenset[tuple[str, str]]:
    """Return environment and path of every other folder that *value* itself refers to."""
    found = find(value.get_secret_value())
    return frozenset((ref.environment, ref.path) for ref in found if ref.environment is not None)


def keys_named(value: SecretStr) -> set[str]:
    """Return the keys of its own folder that *value* itself refers to."""
    return {ref.key for ref in find(value.get_secret_value()) if ref.environment is None}


def expand(address: Address, vault: Vault) -> Expanded:
    """Return the value at *address* with its references replaced, through as many values as they lead.

    What replaces a reference is not searched again, so no value can complete a reference of another.
    Raises ``Unresolvable`` rather than return a value that misses something.
    """
    value = vault.value(address)
    if value is None:
        raise Unresolvable("it does not exist")
    return expand_value(value, address, vault)


def expand_value(value: SecretStr, address: Address, vault: Vault) -> Expanded:
    """Return *value*, as the secret at *address* has it or once had it, with its references replaced."""
    if not _REFERENCE.search(value.get_secret_value()):
        return Expanded(value)
    expansion = _Expansion(vault)
    text = expansion.of(value, (address,))
    return Expanded(SecretStr(text), tuple(dict.fromkeys(expansion.warnings)))


class _Expansion:
    """The expansion of one secret. A *trail* is the way from that secret to the one being read."""

    def __init__(self, vault: Vault) -> None:
        self.warnings: list[str] = []
        self._vault = vault
        self._references = 0
        self._length = 0

    def of(self, value: SecretStr, trail: tuple[Address, ...]) -> str:
        """Return the text of *value*, which lies at the end of *trail*, with its references replaced."""
        return _REFERENCE.sub(lambda match: self._replace(_read(match), trail), value.get_secret_value())

    def _replace(self, reference: Reference, trail: tuple[Address, ...]) -> str:
        self._references += 1
        if self._references > MAX_REFERENCES:
            raise Unresolvable(f"it needs more than {MAX_REFERENCES} references")
        holder = trail[-1]
        target = self._vault.origin(reference.seen_from(holder))
        if not self._vault.has_environment(target.environment):
            return self._left_as_it_is(reference, holder, "an environment that does not exist")
        value = self._vault.value(target)
        if value is not None:
            return self._follow(target, value, trail)
        if reference.environment is None:
            return self._left_as_it_is(reference, holder, "a secret that is not in its folder")
        who = "it" if len(trail) == 1 else str(holder)
        raise Unresolvable(f"{who} refers to {target}, which does not exist")

    def _follow(self, target: Address, value: SecretStr, trail: tuple[Address, ...]) -> str:
        if target in trail:
            circle = (*trail[trail.index(target) :], target)
            raise Unresolvable("its references go round in a circle: " + " → ".join(map(str, circle)))
        if len(trail) > MAX_DEPTH:
            raise Unresolvable(f"its references are more than {MAX_DEPTH} deep")
        text = self.of(value, (*trail, target))
        self._length += len(text)
        if self._length > MAX_LENGTH:
            raise Unresolvable(f"with its references it is longer than {MAX_LENGTH} characters")
        return text

    def _left_as_it_is(self, reference: Reference, holder: Address, what: str) -> str:
        # What stands between the braces may not be a name at all, but a part of the value.
        self.warnings.append(f"{holder.key} seems to refer to {what}; the text was left as it is.")
        return reference.text


def _read(match: re.Match[str]) -> Reference:
    *place, key = match[1].split(".")
    if not place:
        return Reference(match[0], None, "", key)
    environment, *folders = place
    return Reference(match[0], environment, "/" + "/".join(folders), key)
