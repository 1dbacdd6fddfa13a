"""A .env file of the person at the keyboard: what it holds, and how it would look with other values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import InvalidInput
from shared.providers.dotenv import KEY, EnvFile, EnvText


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A .env file as it is now; an empty one if there is none."""

    path: Path
    text: EnvText

    @classmethod
    def read(cls, path: Path) -> "LocalFile":
        """Read *path*. Raises a ``KeytideError`` if it is no text."""
        # Following a link is what the person wants who made it.
        path = path.resolve()
        return cls(path, EnvText.parse(EnvFile(str(path.parent), path.name).read()))

    @property
    def values(self) -> dict[str, str]:
        return self.text.values

    def require_clean(self) -> None:
        """Raise ``InvalidInput`` if a line holds something that is neither a comment nor an assignment."""
        line = 1
        for statement in self.text.statements:
            content = statement.text.strip().removeprefix("\ufeff")
            if statement.key is None and content and not content.startswith("#"):
                raise InvalidInput(
                    f"{self.path}, line {line}: neither KEY=value nor a comment. Perhaps a quote is never "
                    "closed, or the key holds something else than letters, digits and _, or begins with a "
                    "digit. Nothing was pushed."
                )
            line += statement.text.count("\n")

    def write(self, values: Mapping[str, str], *, removed: Sequence[str]) -> None:
        """Give the file *values*, for its owner's eyes only. Other lines stay as they are."""
        after = self.text.holding(values).without(removed)
        kept = {key: value for key, value in self.values.items() if key not in removed}
        if EnvText.parse(after.text).values != {**kept, **values}:
            raise InvalidInput(
                f"A quote in {self.path} is never closed. Nothing was written: close it first."
            )
        EnvFile(str(self.path.parent), self.path.name).write(after.text)


def unwritable(values: Mapping[str, str]) -> list[str]:
    """Return the keys that a .env file cannot hold."""
    return sorted(key for key, value in values.items() if not KEY.fullmatch(key) or "\0" in value)
