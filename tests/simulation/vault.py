"""What the folders of the vault show, worked out apart from the code under test."""

import re
from dataclasses import dataclass, field

_REFERENCE = re.compile(r"\$\{([^}]+)\}")

#: Environment slug and folder path.
Folder = tuple[str, str]


class Unreadable(Exception):
    """A secret has no value that could be sent anywhere."""


@dataclass
class Vault:
    """All folders, what lies in them and what they import, values in plain; None is undecryptable."""

    folders: dict[str, Folder]
    secrets: dict[Folder, dict[str, str | None]] = field(default_factory=dict)
    imports: dict[Folder, list[Folder]] = field(default_factory=dict)
    _broken: set[str] = field(default_factory=set)

    def render(self, folder: Folder, *, recursive: bool) -> tuple[dict[str, str], set[str]]:
        """Return what *folder* shows, with *recursive* also those below it, and what cannot be shown."""
        self._broken = set()
        rendered, unreadable = {}, set()
        for key, homes in self._homes(folder, recursive=recursive).items():
            try:
                rendered[key] = self._expand(_only(homes), key, ())
            except Unreadable:
                unreadable.add(key)
        return rendered, unreadable | self._broken

    def _homes(self, folder: Folder, *, recursive: bool) -> dict[str, set[Folder]]:
        """Return where each key lies that *folder*, or one below it, shows."""
        homes: dict[str, set[Folder]] = {}
        for place in self._below(folder) if recursive else [folder]:
            for key, home in self._visible(place, ()).items():
                homes.setdefault(key, set()).add(home)
        return homes

    def _below(self, folder: Folder) -> list[Folder]:
        environment, path = folder
        return [
            each
            for each in self.folders.values()
            if each[0] == environment and f"{each[1]}/".startswith(f"{path.rstrip('/')}/")
        ]

    def _visible(self, folder: Folder, trail: tuple[Folder, ...]) -> dict[str, Folder]:
        if folder in trail or folder not in self.folders.values():
            return {}
        shown: dict[str, Folder] = {}
        for imported in self.imports.get(folder, []):
            if imported not in self.folders.values():
                self._broken.add(f"the import of {imported[1]} of {imported[0]}")
            shown |= self._visible(imported, (*trail, folder))
        return shown | dict.fromkeys(self.secrets.get(folder, {}), folder)

    def _expand(self, folder: Folder, key: str, trail: tuple[tuple[Folder, str], ...]) -> str:
        text = self.secrets.get(folder, {}).get(key)
        if text is None or (folder, key) in trail:
            raise Unreadable
        return _REFERENCE.sub(
            lambda found: self._refer(found[1], folder, found[0], (*trail, (folder, key))), text
        )

    def _refer(self, name: str, holder: Folder, text: str, trail: tuple[tuple[Folder, str], ...]) -> str:
        *where, key = name.split(".")
        folder = (where[0], "/" + "/".join(where[1:])) if where else holder
        # A folder also shows what it imports.
        home = self._visible(folder, ()).get(key, folder)
        if not where and key not in self.secrets.get(home, {}):
            return text
        return self._expand(home, key, trail)


def _only(homes: set[Folder]) -> Folder:
    """Return the one folder that has a key. Where two have it, nobody knows which one is meant."""
    if len(homes) > 1:
        raise Unreadable
    return next(iter(homes))
