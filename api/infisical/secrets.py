"""Secrets, under the present paths of the wire (v4) and those of older clients (v3/raw)."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request

from api.dependencies import CallerOf, RuntimeOf, require_own
from api.infisical.secret_schemas import (
    ChangedSecret,
    ChangedSecrets,
    ListQuery,
    Moved,
    MovedSecrets,
    NamedSecrets,
    NewSecret,
    NewSecrets,
    OneQuery,
    OneSecret,
    SecretPlace,
    Secrets,
    SecretsAndImports,
    ValueQuery,
    imported_out,
    secret_out,
)
from api.infisical.wire import new_router
from shared.runtime import Runtime
from shared.usecases import edit_secrets, read_secrets
from shared.usecases.edit_secrets import Draft
from shared.usecases.move_secrets import Spot
from shared.usecases.move_secrets import move_secrets as move_secrets_usecase
from shared.usecases.read_secrets import Detail, SecretView
from shared.usecases.tokens import Caller, Scope

router = new_router(tag="Secrets")

_V4 = "/v4/secrets"
_V3 = "/v3/secrets/raw"

# --- several at once: before the routes that take a name ------------------------------------------------


@router.get(_V4, summary="List the secrets of a folder")
@router.get(_V3, summary="List the secrets of a folder", deprecated=True, operation_id="listSecretsV3")
def list_secrets(
    query: Annotated[ListQuery, Query()], runtime: RuntimeOf, caller: CallerOf
) -> SecretsAndImports:
    """List a folder's secrets by name, and with `include_imports` what it imports, the winner first."""
    project_id = query.allowed(runtime, caller, Scope.READ)
    listing = read_secrets.list_secrets(
        runtime, project_id, query.environment, query.secret_path, query.detail()
    )
    return SecretsAndImports(
        secrets=[secret_out(view) for view in listing.secrets],
        imports=[imported_out(imported) for imported in listing.imports],
    )


@router.post(f"{_V4}/batch", summary="Create several secrets")
@router.post(
    "/v3/secrets/batch/raw",
    summary="Create several secrets",
    deprecated=True,
    operation_id="createSecretsV3",
)
def create_secrets(body: NewSecrets, runtime: RuntimeOf, caller: CallerOf) -> Secrets:
    """Create secrets in one folder, all or none."""
    return _several(_create(runtime, caller, body, [item.draft() for item in body.secrets]))


@router.patch(f"{_V4}/batch", summary="Change several secrets")
@router.patch(
    "/v3/secrets/batch/raw",
    summary="Change several secrets",
    deprecated=True,
    operation_id="updateSecretsV3",
)
def update_secrets(body: ChangedSecrets, runtime: RuntimeOf, caller: CallerOf) -> Secrets:
    """Change secrets of one environment, all or none. `upsert` creates what is missing, `ignore` skips it."""
    drafts = [item.draft() for item in body.secrets]
    create_missing, ignore_missing = body.mode == "upsert", body.mode == "ignore"
    return _several(
        _update(runtime, caller, body, drafts, create_missing=create_missing, ignore_missing=ignore_missing)
    )


@router.delete(f"{_V4}/batch", summary="Delete several secrets")
@router.delete(
    "/v3/secrets/batch/raw",
    summary="Delete several secrets",
    deprecated=True,
    operation_id="deleteSecretsV3",
)
def delete_secrets(body: NamedSecrets, runtime: RuntimeOf, caller: CallerOf) -> Secrets:
    """Delete secrets of one folder, all or none."""
    return _several(_delete(runtime, caller, body, [item.secret_key for item in body.secrets]))


@router.post(f"{_V4}/move", summary="Move secrets to another folder")
@router.post(
    "/v3/secrets/move",
    summary="Move secrets to another folder",
    deprecated=True,
    operation_id="moveSecretsV3",
)
def move_secrets(body: MovedSecrets, request: Request, runtime: RuntimeOf, caller: CallerOf) -> Moved:
    """Move secrets with their versions to another folder of the project, all or none.

    The syncs of both folders follow.
    """
    source = Spot(body.source_environment, body.source_secret_path)
    destination = Spot(body.destination_environment, body.destination_secret_path)
    # The answer says nothing of this.
    request.state.objects = {
        "secrets": [str(each) for each in body.secret_ids],
        "source": asdict(source),
        "destination": asdict(destination),
    }
    move_secrets_usecase(
        runtime,
        body.allowed(runtime, caller, Scope.WRITE),
        set(body.secret_ids),
        source=source,
        destination=destination,
        overwrite=body.should_overwrite,
        actor=caller.name,
    )
    return Moved()


# --- one -----------------------------------------------------------------------------------------------


@router.get(f"{_V4}/id/{{secret_id}}", summary="Get a secret by its id")
@router.get(
    f"{_V3}/id/{{secret_id}}",
    summary="Get a secret by its id",
    deprecated=True,
    operation_id="getSecretByIdV3",
)
def get_secret_by_id(
    secret_id: UUID, query: Annotated[ValueQuery, Query()], runtime: RuntimeOf, caller: CallerOf
) -> OneSecret:
    """Return a secret by its id."""
    found = read_secrets.find_by_id(runtime, secret_id, detail=Detail(values=False))
    require_own(caller, Scope.READ, found.project_id, what=f"secret with the id {secret_id}")
    detail = Detail(values=query.view_secret_value, expand=query.expand_secret_references)
    return _one(read_secrets.find_by_id(runtime, secret_id, detail=detail))


@router.get(f"{_V4}/{{secret_name}}", summary="Get a secret")
@router.get(f"{_V3}/{{secret_name}}", summary="Get a secret", deprecated=True, operation_id="getSecretV3")
def get_secret(
    secret_name: str, query: Annotated[OneQuery, Query()], runtime: RuntimeOf, caller: CallerOf
) -> OneSecret:
    """Return a secret, or an earlier version of it."""
    view = read_secrets.get_secret(
        runtime,
        query.allowed(runtime, caller, Scope.READ),
        query.environment,
        query.secret_path,
        secret_name,
        detail=query.detail(),
        version=query.version,
    )
    return _one(view)


@router.post(f"{_V4}/{{secret_name}}", summary="Create a secret")
@router.post(
    f"{_V3}/{{secret_name}}", summary="Create a secret", deprecated=True, operation_id="createSecretV3"
)
def create_secret(secret_name: str, body: NewSecret, runtime: RuntimeOf, caller: CallerOf) -> OneSecret:
    """Create a secret. Every sync that shows its folder follows."""
    [view] = _create(runtime, caller, body, [body.draft_of(secret_name)])
    return _one(view)


@router.patch(f"{_V4}/{{secret_name}}", summary="Change or rename a secret")
@router.patch(
    f"{_V3}/{{secret_name}}",
    summary="Change or rename a secret",
    deprecated=True,
    operation_id="updateSecretV3",
)
def update_secret(secret_name: str, body: ChangedSecret, runtime: RuntimeOf, caller: CallerOf) -> OneSecret:
    """Change a secret. What equals its present state makes no new version and triggers no sync."""
    [view] = _update(runtime, caller, body, [body.draft_of(secret_name)])
    return _one(view)


@router.delete(f"{_V4}/{{secret_name}}", summary="Delete a secret")
@router.delete(
    f"{_V3}/{{secret_name}}", summary="Delete a secret", deprecated=True, operation_id="deleteSecretV3"
)
def delete_secret(secret_name: str, body: SecretPlace, runtime: RuntimeOf, caller: CallerOf) -> OneSecret:
    """Delete a secret, and return what it was without its value."""
    [view] = _delete(runtime, caller, body, [secret_name])
    return _one(view)


# --- carried out ---------------------------------------------------------------------------------------


def _create(
    runtime: Runtime, caller: Caller, place: SecretPlace, drafts: Sequence[Draft]
) -> list[SecretView]:
    project_id = place.allowed(runtime, caller, Scope.WRITE)
    return edit_secrets.create_secrets(
        runtime, project_id, place.environment, place.secret_path, drafts, actor=caller.name
    )


def _update(
    runtime: Runtime,
    caller: Caller,
    place: SecretPlace,
    drafts: Sequence[Draft],
    *,
    create_missing: bool = False,
    ignore_missing: bool = False,
) -> list[SecretView]:
    project_id = place.allowed(runtime, caller, Scope.WRITE)
    views = edit_secrets.update_secrets(
        runtime,
        project_id,
        place.environment,
        place.secret_path,
        drafts,
        actor=caller.name,
        create_missing=create_missing,
        ignore_missing=ignore_missing,
    )
    # A token that may only write must not learn a value by renaming its secret.
    return views if caller.may(Scope.READ, project_id) else [replace(view, value=None) for view in views]


def _delete(runtime: Runtime, caller: Caller, place: SecretPlace, keys: Sequence[str]) -> list[SecretView]:
    project_id = place.allowed(runtime, caller, Scope.WRITE)
    return edit_secrets.delete_secrets(
        runtime, project_id, place.environment, place.secret_path, keys, actor=caller.name
    )


def _one(view: SecretView) -> OneSecret:
    return OneSecret(secret=secret_out(view))


def _several(views: Sequence[SecretView]) -> Secrets:
    return Secrets(secrets=[secret_out(view) for view in views])
