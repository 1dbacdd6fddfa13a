"""Reading secrets for a person or a program."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.orm import Session

from shared.crypto import CryptoError, DataKey
from shared.db import vault
from shared.db.labels import NO_LABELS, Labels, labels_of
from shared.db.vault import Environment, Folder, Secret
from shared.errors import NotFound, SourceUnreadable
from shared.references import Address, Unresolvable, expand_value
from shared.runtime import Runtime
from shared.usecases.places import Place, find_place
from shared.usecases.source import VaultReader, open_comment, open_value


@dataclass(frozen=True, slots=True)
class SecretView:
    """A secret as a caller sees it. ``value`` is None when it was not asked for."""

    id: UUID
    key: str
    version: int
    value: SecretStr | None
    comment: SecretStr | None
    project_id: UUID
    environment: str
    path: str
    folder_id: UUID
    created_at: datetime
    updated_at: datetime
    labels: Labels = NO_LABELS

    @classmethod
    def of(cls, secret: Secret, place: Place, data_key: DataKey, *, hide_value: bool = False) -> Self:
        """Return the view of *secret*, which lies in *place*. Raises ``CryptoError`` unless hidden."""
        return cls(
            id=secret.id,
            key=secret.key,
            version=secret.version,
            value=None if hide_value else open_value(secret, place, data_key),
            comment=open_comment(secret, place, data_key),
            project_id=place.project.id,
            environment=place.environment.slug,
            path=place.folder.path,
            folder_id=place.folder.id,
            created_at=secret.created_at,
            updated_at=secret.updated_at,
        )


@dataclass(frozen=True, slots=True)
class ImportedSecrets:
    """What one import shows."""

    environment: str
    path: str
    folder_id: UUID
    secrets: Sequence[SecretView]


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder's own secrets and, if asked for, what its imports show."""

    secrets: Sequence[SecretView]
    imports: Sequence[ImportedSecrets] = ()


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of the secrets a caller wants to see."""

    values: bool = True
    expand: bool = False
    recursive: bool = False
    imports: bool = False
    tag_slugs: frozenset[str] = frozenset()
    metadata: frozenset[tuple[str, str]] = frozenset()

    def selects(self, labels: Labels) -> bool:
        """Are one of the tags that were asked for, and all the metadata, among *labels*?"""
        tagged = not self.tag_slugs or any(tag.slug in self.tag_slugs for tag in labels.tags)
        return tagged and self.metadata <= set(labels.metadata)


def list_secrets(runtime: Runtime, project_id: UUID, environment: str, path: str, detail: Detail) -> Listing:
    """Return the secrets of a folder. Raises ``SourceUnreadable`` if a value cannot be shown."""
    with runtime.database.snapshot() as session:
        place = find_place(session, project_id, environment, path)
        reader = VaultReader(session, runtime.data_key(place.project.data_key), place.project)
        folders = vault.list_subtree(session, place.folder) if detail.recursive else [place.folder]
        shown = [view for folder in folders for view in _folder(reader, place, folder, detail)]
        return Listing(
            [view for view in labelled(session, shown) if detail.selects(view.labels)],
            _imports(reader, place, detail) if detail.imports else (),
        )


def get_secret(
    runtime: Runtime,
    project_id: UUID,
    environment: str,
    path: str,
    key: str,
    *,
    detail: Detail,
    version: int | None = None,
) -> SecretView:
    """Return one secret, or an earlier version of it. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        place = find_place(session, project_id, environment, path)
        reader = VaultReader(session, runtime.data_key(place.project.data_key), place.project)
        secret = vault.find_secret(session, place.folder.id, key)
        if secret is not None and version is not None and version != secret.version:
            secret = _as_of(reader, secret, version)
        if secret is not None:
            return labelled(session, [_view(reader, place, secret, detail)])[0]
        if detail.imports:
            for imported in _imports(reader, place, detail):
                for view in imported.secrets:
                    if view.key == key:
                        return view
    raise NotFound(f"The folder '{place.folder.path}' of '{environment}' has no secret '{key}'.")


def find_by_id(runtime: Runtime, secret_id: UUID, *, detail: Detail) -> SecretView:
    """Return a secret by its id. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        secret = session.get(Secret, secret_id)
        if secret is None:
            raise NotFound(f"There is no secret with the id {secret_id}.")
        folder = session.get_one(Folder, secret.folder_id)
        environment = session.get_one(Environment, folder.environment_id)
        place = find_place(session, environment.project_id, environment.slug, folder.path)
        reader = VaultReader(session, runtime.data_key(place.project.data_key), place.project)
        return labelled(session, [_view(reader, place, secret, detail)])[0]


def labelled(session: Session, views: Sequence[SecretView]) -> list[SecretView]:
    """Return *views* with the labels that their secrets carry."""
    found = labels_of(session, [view.id for view in views])
    return [replace(view, labels=found.get(view.id, NO_LABELS)) for view in views]


def _as_of(reader: VaultReader, secret: Secret, version: int) -> Secret | None:
    """Return *secret* as it was at *version*, as a row that is never written back."""
    kept = vault.find_version(reader.session, secret.id, version)
    if kept is None:
        return None
    return Secret(
        id=secret.id,
        folder_id=secret.folder_id,
        key=kept.key,
        version=kept.version,
        value=kept.value,
        comment=None,
        created_at=secret.created_at,
        updated_at=kept.created_at,
    )


def _folder(reader: VaultReader, place: Place, folder: Folder, detail: Detail) -> list[SecretView]:
    inside = Place(place.project, place.environment, folder)
    return [_view(reader, inside, row, detail) for row in vault.list_secrets(reader.session, folder.id)]


def _imports(reader: VaultReader, place: Place, detail: Detail) -> list[ImportedSecrets]:
    """Return what each import shows, the winning one first."""
    result = []
    for row in reversed(vault.list_imports(reader.session, place.folder.id)):
        environment = reader.session.get_one(Environment, row.environment_id)
        folder = vault.find_folder(reader.session, environment.id, row.path)
        if folder is None:
            continue
        inside = Place(place.project, environment, folder)
        shown = [
            _view(reader, inside, secret, detail) for secret in vault.list_secrets(reader.session, folder.id)
        ]
        found = [view for view in labelled(reader.session, shown) if detail.selects(view.labels)]
        result.append(ImportedSecrets(environment.slug, folder.path, folder.id, found))
    return result


def _view(reader: VaultReader, place: Place, secret: Secret, detail: Detail) -> SecretView:
    try:
        view = SecretView.of(secret, place, reader.data_key, hide_value=not detail.values)
        if view.value is not None and detail.expand:
            return replace(view, value=_expanded(reader, view, view.value))
    except CryptoError:
        raise SourceUnreadable({secret.key: "it cannot be decrypted"}) from None
    except Unresolvable as error:
        raise SourceUnreadable({secret.key: error.reason}) from None
    return view


def _expanded(reader: VaultReader, view: SecretView, value: SecretStr) -> SecretStr:
    # Not what lies at that address now: this may be an earlier version.
    return expand_value(value, Address(view.environment, view.path, view.key), reader).value
