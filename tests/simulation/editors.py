"""People who work in the vault: they edit, move and delete secrets, and change folders and imports."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import update

from shared.db.vault import Secret
from shared.errors import InputError
from shared.usecases import edit_secrets, folders, imports
from shared.usecases.edit_secrets import Draft
from shared.usecases.move_secrets import Spot, move_secrets
from shared.usecases.read_secrets import Detail, SecretView, get_secret
from tests.simulation.database import rows
from tests.simulation.person import Person
from tests.simulation.vault import Folder

ROOT: Folder = ("production", "/")
WEB: Folder = ("production", "/web")
#: Below another one: a recursive sync of ``WEB`` shows it as well.
API: Folder = ("production", "/web/api")
#: Its secrets are referred to, and refer to nothing.
SHARED: Folder = ("production", "/shared")
FOLDERS: tuple[Folder, ...] = (ROOT, WEB, API, SHARED, ("staging", "/"))
#: Those that come and go.
PASSING = (WEB, API, SHARED)
#: Where most edits are made.
BUSY_FOLDERS = (*[ROOT] * 8, *[WEB] * 2, *FOLDERS)
KEYS = ("ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON")
#: Mostly other keys than above: whoever shows both folders cannot tell equal ones apart.
API_KEYS = ("ZETA", "ETA", "THETA")


def keys_of(folder: Folder) -> Sequence[str]:
    """Return the names of the secrets that people keep in *folder*."""
    return API_KEYS if folder == API else KEYS


class Editor(Person):
    """Changes what the vault holds."""

    # --- secrets ---------------------------------------------------------------------------------------

    def edit_secret(self) -> None:
        rng = self.kernel.rng
        folder = rng.choice(BUSY_FOLDERS)
        keys = rng.sample(keys_of(folder), min(rng.choice((1, 1, 2, 5)), len(keys_of(folder))))
        self._update(folder, [self._draft(key, folder) for key in keys])

    def delete_secret(self) -> None:
        folder = self.kernel.rng.choice(BUSY_FOLDERS)
        self._delete(folder, self.kernel.rng.sample(keys_of(folder), self.kernel.rng.choice((1, 1, 2))))

    def rename_secret(self) -> None:
        folder = self.kernel.rng.choice(FOLDERS)
        old, new = self.kernel.rng.sample(keys_of(folder), 2)
        edit_secrets.update_secrets(
            self.runtime, self.project_id, *folder, [Draft(old, new_key=new)], actor="ann"
        )

    def move_secret(self) -> None:
        rng = self.kernel.rng
        source, home = rng.sample((WEB, API) if rng.random() < 0.6 else FOLDERS, 2)
        key = rng.choice(keys_of(source))
        found = get_secret(self.runtime, self.project_id, *source, key, detail=Detail())
        if rng.random() < 0.5:
            self._carry_over(found, source, home)
            return
        overwrite = rng.random() < 0.5
        where = {"source": Spot(*source), "destination": Spot(*home)}
        move_secrets(self.runtime, self.project_id, [found.id], **where, overwrite=overwrite, actor="ann")

    def _carry_over(self, found: SecretView, source: Folder, home: Folder) -> None:
        """Move a secret in two edits, as people do: for a moment it is in both folders, or in neither."""
        steps = [
            partial(self._update, home, [Draft(found.key, found.value)]),
            partial(self._delete, source, [found.key]),
        ]
        self.kernel.rng.shuffle(steps)
        for step in steps:
            step()

    def change_mind(self) -> None:
        """Begin an edit that is rolled back."""
        rng = self.kernel.rng
        if rng.random() < 0.3:
            self._delete(rng.choice(BUSY_FOLDERS), [rng.choice(KEYS)], in_vain=True)
            return
        text = self.mint()
        self.watch.minted_in_vain.add(text)
        self._update(rng.choice(FOLDERS), [Draft(rng.choice(KEYS), SecretStr(text))], in_vain=True)

    def spoil_secret(self) -> None:
        """Damage a stored value so that it cannot be decrypted any more."""
        found = rows("SELECT id FROM secrets ORDER BY created_at, key")
        if found:
            chosen = UUID(self.kernel.rng.choice(found)["id"])
            with self.database.transaction() as session:
                session.execute(update(Secret).where(Secret.id == chosen).values(value=b"damaged" * 5))

    def fill(self) -> None:
        """Give the folders that matter most every secret."""
        for folder in (SHARED, ROOT, API):
            self._update(folder, [Draft(key, SecretStr(self.mint())) for key in keys_of(folder)])

    def _update(self, folder: Folder, drafts: list[Draft], *, in_vain: bool = False) -> None:
        with self._maybe_in_vain(in_vain):
            edit_secrets.update_secrets(
                self.runtime, self.project_id, *folder, drafts, actor="ann", create_missing=True
            )

    def _delete(self, folder: Folder, keys: list[str], *, in_vain: bool = False) -> None:
        with self._maybe_in_vain(in_vain):
            edit_secrets.delete_secrets(self.runtime, self.project_id, *folder, keys, actor="ann")

    def _maybe_in_vain(self, in_vain: bool) -> AbstractContextManager[None]:
        return self.database.doomed() if in_vain else nullcontext()

    def _draft(self, key: str, folder: Folder) -> Draft:
        """Return a new value for *key*, now and then an empty one or one with a reference inside."""
        text, chance = self.mint(), self.kernel.rng.random()
        if chance < 0.04:
            text = ""
        elif folder != SHARED and chance < 0.1:
            text += f"${{production.shared.{self.kernel.rng.choice(KEYS)}}}"
        elif folder != SHARED and key != KEYS[0] and chance < 0.16:
            text += f"${{{KEYS[0]}}}"
        return Draft(key, SecretStr(text))

    # --- folders and imports ---------------------------------------------------------------------------

    def make_folders(self) -> None:
        """Create every folder that is missing."""
        for environment, path in PASSING:
            parent, _, name = path.rpartition("/")
            with suppress(InputError):
                folders.create_folder(
                    self.runtime,
                    self.project_id,
                    environment=environment,
                    parent_path=parent or "/",
                    name=name,
                )

    def delete_folder(self) -> None:
        """Delete a folder with all that is below it. Syncs that read it have no source any more."""
        _, path = self.kernel.rng.choice(PASSING)
        for row in rows("SELECT id FROM folders WHERE path = ?", path):
            folders.delete_folder(self.runtime, UUID(row["id"]))

    def rename_folder(self) -> None:
        """Give a folder another name, or its own again. Syncs and imports of it go on, references do not."""
        found = rows("SELECT id, name FROM folders WHERE path <> '/' ORDER BY path")
        if found:
            chosen = self.kernel.rng.choice(found)
            former = chosen["name"].removesuffix("-2")
            name = former if former != chosen["name"] else f"{former}-2"
            folders.update_folder(self.runtime, UUID(chosen["id"]), name=name)

    def add_import(self) -> None:
        (environment, path), (shown, shown_path) = self.kernel.rng.sample(FOLDERS, 2)
        imports.create_import(
            self.runtime,
            self.project_id,
            environment=environment,
            path=path,
            imported_environment=shown,
            imported_path=shown_path,
        )

    def drop_import(self) -> None:
        environment, path = self.kernel.rng.choice(FOLDERS)
        found = imports.list_imports(self.runtime, self.project_id, environment=environment, path=path)
        if found:
            imports.delete_import(
                self.runtime, self.project_id, found[0].row.id, environment=environment, path=path
            )
