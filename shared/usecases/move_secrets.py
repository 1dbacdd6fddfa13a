"""Moving secrets to another folder of their project, in one step: each is always in one of the two."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.broker import Task
from shared.crypto import CryptoError, value_place
from shared.db import vault
from shared.db.labels import NO_LABELS, labels_of
from shared.db.vault import Secret
from shared.errors import Conflict, InvalidInput, NotFound, SourceUnreadable
from shared.references import Address
from shared.runtime import Runtime
from shared.usecases.dispatch import FolderName, places_showing
from shared.usecases.edit_secrets import Desk, Draft, change, new_version, note_change, open_desk
from shared.usecases.source import VaultReader, open_comment, open_value


@dataclass(frozen=True, slots=True)
class Spot:
    """A folder by its names."""

    environment: str
    path: str


def move_secrets(
    runtime: Runtime,
    project_id: UUID,
    secret_ids: Collection[UUID],
    *,
    source: Spot,
    destination: Spot,
    overwrite: bool,
    actor: str,
) -> None:
    """Move the secrets, all or none, with their versions and labels. The syncs of both folders follow.

    Where the destination has one of that name, *overwrite* gives it the moved value as its next version;
    otherwise that raises ``Conflict``. So it does where a ``${KEY}`` would no longer find its secret, and
    become text at the destinations. What is not in the source raises ``NotFound``.
    """
    with runtime.database.transaction() as session:
        # First of all, as every edit does: two of them that meet in both folders could wait for each other.
        vault.lock_environments(session, project_id)
        here, there = (
            open_desk(runtime, session, project_id, spot.environment, spot.path, actor)
            for spot in (source, destination)
        )
        if here.place.folder.id == there.place.folder.id:
            raise InvalidInput("The secrets lie in that folder already.", field=("destinationSecretPath",))
        moves = _locked(here, there, secret_ids)
        taken = [secret.key for secret, rival in moves if rival is not None]
        if taken and not overwrite:
            folder = there.place.folder.path
            raise Conflict(f"The folder '{folder}' already has: {', '.join(taken)}.")
        keys = [secret.key for secret, _ in moves]
        before = _links(here, _places_around(here))
        for secret, rival in moves:
            _move(here, there, secret, rival)
        _refuse_broken_links(here, there, keys, before)
        note_change(here, keys)
        note_change(there, keys)
    runtime.broker.send(Task.DISPATCH)


def _locked(here: Desk, there: Desk, secret_ids: Collection[UUID]) -> Sequence[tuple[Secret, Secret | None]]:
    """Return each secret with the one of the same name in its way, by their names, all of them locked."""
    keys = sorted(vault.keys_by_id(here.session, here.place.folder.id, secret_ids))
    # In the order in which every edit locks secrets, over all folders.
    desks = sorted((here, there), key=lambda desk: desk.place.folder.id)
    found = {(desk.place.folder.id, key): desk.find(key) for desk in desks for key in keys}
    moves = []
    for key in keys:
        secret = found[here.place.folder.id, key]
        if secret is not None and secret.id in secret_ids:
            moves.append((secret, found[there.place.folder.id, key]))
    missing = set(secret_ids) - {secret.id for secret, _ in moves}
    if missing:
        ids = ", ".join(sorted(map(str, missing)))
        raise NotFound(f"The folder '{here.place.folder.path}' has no secret with the id {ids}.")
    return moves


def _move(here: Desk, there: Desk, secret: Secret, rival: Secret | None) -> None:
    try:
        value = open_value(secret, here.place, here.data_key)
    except CryptoError:
        raise SourceUnreadable({secret.key: "it cannot be decrypted"}) from None
    comment = open_comment(secret, here.place, here.data_key)
    if rival is None:
        _reseal_versions(here, there, secret)
        secret.folder_id = there.place.folder.id
        new_version(there, secret, value, comment)
        return
    labels = labels_of(here.session, [secret.id]).get(secret.id, NO_LABELS)
    tags, metadata = [tag.id for tag in labels.tags], dict(labels.metadata)
    change(there, Draft(secret.key, value, comment, tag_ids=tags, metadata=metadata))
    here.session.delete(secret)
    here.session.flush()


#: A secret, and a key of its own folder that its value refers to.
Link = tuple[Address, str]


def _places_around(desk: Desk) -> set[FolderName]:
    """Return the folder of *desk*, and all that show it."""
    place = desk.place
    return places_showing(desk.session, place.project.id, {(place.environment.slug, place.folder.path)})


def _links(desk: Desk, places: Collection[FolderName]) -> set[Link]:
    """Return the references of secrets in *places* to their own folder that lead to a secret now."""
    reader = VaultReader(desk.session, desk.data_key, desk.place.project)
    return {
        (holder, key)
        for place in places
        for holder, keys in reader.keys_referred_to(*place).items()
        for key in keys & reader.visible(*place).keys()
    }


def _refuse_broken_links(here: Desk, there: Desk, moved: Collection[str], before: Collection[Link]) -> None:
    source, destination = ((desk.place.environment.slug, desk.place.folder.path) for desk in (here, there))
    now = _links(here, {*_places_around(here), destination})
    broken = []
    for holder, key in before:
        is_moved = holder.key in moved and (holder.environment, holder.path) == source
        is_overwritten = holder.key in moved and (holder.environment, holder.path) == destination
        lies = Address(*destination, holder.key) if is_moved else holder
        if not is_overwritten and (lies, key) not in now:
            broken.append(f"{holder} refers to {key}")
    if broken:
        raise Conflict(
            f"Some secrets would no longer find what they refer to: {'; '.join(sorted(broken))}. "
            "Move them together, or let them name the environment and the folder."
        )


def _reseal_versions(here: Desk, there: Desk, secret: Secret) -> None:
    """Bind the secret's earlier values to the folder where it is going to lie."""
    for kept in vault.list_versions(here.session, secret.id):
        what = (kept.key, kept.version)
        try:
            value = here.data_key.open(kept.value, *value_place(*here.address(), *what))
        except CryptoError:
            # It could not be read before, and cannot be read there.
            continue
        kept.value = there.data_key.seal(value, *value_place(*there.address(), *what))
