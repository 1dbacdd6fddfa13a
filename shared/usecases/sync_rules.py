"""What a sync must fulfil before it is created or changed."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.orm import Session

from shared.db import syncs
from shared.db.connections import Connection
from shared.db.syncs import Sync, destination_key
from shared.db.vault import Environment
from shared.errors import Conflict, InvalidInput, NotFound
from shared.providers.base import DestinationConfig
from shared.sync_options import InitialBehavior
from shared.usecases.connections import provider_named
from shared.usecases.places import Place, find_place
from shared.usecases.retarget import Left


def parse_config(destination: str, fields: Mapping[str, Any]) -> DestinationConfig:
    """Return the destination that *fields* describe. Raises ``InvalidInput`` naming the field."""
    try:
        return provider_named(destination).config_type.model_validate(dict(fields))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ("destinationConfig", *first["loc"])
        raise InvalidInput(f"{'.'.join(map(str, where))}: {first['msg']}.", field=where) from None


def find_source(session: Session, project_id: UUID, environment: str, path: str) -> Place:
    """Return the folder that a sync is to read, and keep it. Raises ``InvalidInput`` if there is none."""
    try:
        return find_place(session, project_id, environment, path, keep=True)
    except NotFound as error:
        # The wire answers 400 here, not 404: what does not exist is a part of the request.
        raise InvalidInput(error.message, field=("secretPath",)) from None


def usable_connection(session: Session, connection_id: UUID, project_id: UUID, app: str) -> Connection:
    """Return the connection. Raises ``InvalidInput`` if a sync of that project to *app* cannot use it."""
    row = session.get(Connection, connection_id)
    usable = row is not None and row.project_id in (None, project_id)
    if row is None or not usable or row.app != app:
        raise InvalidInput(
            f"There is no {app} connection with the id {connection_id} for this project.",
            field=("connectionId",),
        )
    return row


def check_options(sync: Sync) -> None:
    """Raise ``InvalidInput`` if the provider cannot do what the options of *sync* ask for."""
    behavior = sync.options.initial_sync_behavior
    kind = provider_named(sync.destination)
    if behavior is not InitialBehavior.OVERWRITE and not kind.can_import:
        raise InvalidInput(
            f"{kind.title} does not show values, so nothing can be imported from it: "
            f"use '{InitialBehavior.OVERWRITE}'.",
            field=("syncOptions", "initialSyncBehavior"),
        )


def refuse_taken_name(session: Session, project_id: UUID, name: str) -> None:
    """Raise ``Conflict`` if the project has a sync of that name."""
    if syncs.find_by_name(session, project_id, name) is not None:
        raise Conflict(f"The project already has a sync named '{name}'.")


def refuse_overlap(session: Session, sync: Sync, environment: str) -> None:
    """Raise ``Conflict`` if another sync could write one of the keys that *sync* writes."""
    config = parse_config(sync.destination, sync.destination_config)
    # Two that are created at once do not see each other: the second one waits here.
    syncs.reserve(session, sync.destination if config.may_overlap else sync.destination_key)
    schema = sync.options.parsed_key_schema
    for other in colliding(session, sync.destination, config):
        if other.id == sync.id:
            continue
        others = other.options.parsed_key_schema
        place = session.get(Environment, other.environment_id) if other.environment_id else None
        if schema.overlaps(environment, others, place.slug if place else ""):
            raise Conflict(
                f"{named(other, sync.project_id)} already writes there, and some keys would belong to both. "
                "Give them key schemas that cannot produce the same key, or choose another destination."
            )


def colliding(session: Session, destination: str, config: DestinationConfig) -> Sequence[Sync]:
    """Return the syncs to that provider whose places share variables with the place *config*."""
    if not config.may_overlap:
        return syncs.syncs_at(session, destination_key(destination, config.identity()))
    return [
        other
        for other in syncs.syncs_to(session, destination)
        if config.collides(parse_config(destination, other.destination_config))
    ]


def refuse_removal_from_a_part(sync: Sync, left: Left) -> None:
    """Raise ``InvalidInput`` if removing from the place that *sync* leaves would take from its new one."""
    before, now = (parse_config(sync.destination, each) for each in (left.config, sync.destination_config))
    if left.key != sync.destination_key and now.collides(before):
        raise InvalidInput(
            "The old and the new destination overlap: removing secrets from the old one would take them away "
            "from the new one as well. Change the destination without removing anything.",
            field=("removeSecrets",),
        )


def named(other: Sync, project_id: UUID) -> str:
    """Return what a person of that project may know of another sync, as a sentence begins."""
    return f"The sync '{other.name}'" if other.project_id == project_id else "A sync of another project"
