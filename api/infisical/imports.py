"""Secret imports: a folder that shows another folder's secrets."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field

from api.dependencies import CallerOf, RuntimeOf, require_own
from api.infisical.projects import EnvironmentOut, environment_out
from api.infisical.wire import (
    Dated,
    EnvironmentSlug,
    FolderPath,
    ProjectReference,
    WireModel,
    new_router,
)
from shared.usecases import imports
from shared.usecases.imports import ImportView
from shared.usecases.tokens import Scope

router = new_router(tag="Secret imports")


class ImportPlace(ProjectReference):
    """The folder that imports."""

    environment: EnvironmentSlug
    path: FolderPath = "/"


class Imported(WireModel):
    """The folder that is imported."""

    environment: EnvironmentSlug
    path: FolderPath = Field(examples=["/shared"])


class NewImport(ImportPlace):
    imported: Imported = Field(alias="import")
    is_replication: Literal[False] = False


class NewlyImported(WireModel):
    """Which folder to show, or where among the others. What is not sent stays as it is."""

    environment: EnvironmentSlug | None = None
    path: FolderPath | None = None
    position: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="Counted from 1; the last import wins.", examples=[1]
    )


class ChangedImport(ImportPlace):
    imported: NewlyImported = Field(alias="import")
    is_replication: Literal[False] = False


class ImportOut(Dated):
    id: UUID
    project_id: UUID
    folder_id: UUID
    environment: EnvironmentOut = Field(description="What it is imported into.")
    secret_path: str
    import_path: str
    import_env: EnvironmentOut
    position: int
    version: int = 1
    is_replication: bool = False
    is_replication_success: bool | None = None
    replication_status: str | None = None
    last_replicated: str | None = None
    is_reserved: bool = False


class OneImport(WireModel):
    message: str
    secret_import: ImportOut


class Imports(WireModel):
    message: str
    secret_imports: list[ImportOut]


def import_out(view: ImportView) -> ImportOut:
    """Return the wire form of an import."""
    row, importer = view.row, view.importer
    return ImportOut(
        id=row.id,
        project_id=importer.environment.project_id,
        folder_id=row.folder_id,
        environment=environment_out(importer.environment),
        secret_path=importer.folder.path,
        import_path=row.path,
        import_env=environment_out(view.environment),
        position=row.position,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


@router.post("/v2/secret-imports", summary="Import another folder")
@router.post(
    "/v1/secret-imports", summary="Import another folder", deprecated=True, operation_id="createImportV1"
)
def create_import(body: NewImport, runtime: RuntimeOf, caller: CallerOf) -> OneImport:
    """Make a folder show the secrets of another one. The folder's own secrets win, then the last import."""
    view = imports.create_import(
        runtime,
        body.allowed(runtime, caller, Scope.WRITE),
        environment=body.environment,
        path=body.path,
        imported_environment=body.imported.environment,
        imported_path=body.imported.path,
    )
    return OneImport(message="Successfully created secret import", secret_import=import_out(view))


@router.get("/v2/secret-imports", summary="List the imports of a folder")
@router.get(
    "/v1/secret-imports",
    summary="List the imports of a folder",
    deprecated=True,
    operation_id="listImportsV1",
)
def list_imports(place: Annotated[ImportPlace, Query()], runtime: RuntimeOf, caller: CallerOf) -> Imports:
    """List the imports of a folder in their order: the last one wins."""
    project_id = place.allowed(runtime, caller, Scope.READ)
    found = imports.list_imports(runtime, project_id, environment=place.environment, path=place.path)
    return Imports(
        message="Successfully fetched secret imports", secret_imports=[import_out(view) for view in found]
    )


@router.get("/v2/secret-imports/{import_id}", summary="Get an import")
@router.get(
    "/v1/secret-imports/{import_id}", summary="Get an import", deprecated=True, operation_id="getImportV1"
)
def get_import(import_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneImport:
    """Return an import by its id."""
    view = imports.get_import(runtime, import_id)
    project_id = view.importer.environment.project_id
    require_own(caller, Scope.READ, project_id, what=f"import with the id {import_id}")
    return OneImport(message="Successfully fetched secret import", secret_import=import_out(view))


@router.patch("/v2/secret-imports/{import_id}", summary="Change an import")
@router.patch(
    "/v1/secret-imports/{import_id}",
    summary="Change an import",
    deprecated=True,
    operation_id="updateImportV1",
)
def update_import(import_id: UUID, body: ChangedImport, runtime: RuntimeOf, caller: CallerOf) -> OneImport:
    """Let an import show another folder, or give it another position; the others close up."""
    view = imports.update_import(
        runtime,
        body.allowed(runtime, caller, Scope.WRITE),
        import_id,
        environment=body.environment,
        path=body.path,
        imported_environment=body.imported.environment,
        imported_path=body.imported.path,
        position=body.imported.position,
    )
    return OneImport(message="Successfully updated secret import", secret_import=import_out(view))


@router.delete("/v2/secret-imports/{import_id}", summary="Remove an import")
@router.delete(
    "/v1/secret-imports/{import_id}",
    summary="Remove an import",
    deprecated=True,
    operation_id="deleteImportV1",
)
def delete_import(import_id: UUID, body: ImportPlace, runtime: RuntimeOf, caller: CallerOf) -> OneImport:
    """Stop showing the other folder's secrets."""
    view = imports.delete_import(
        runtime,
        body.allowed(runtime, caller, Scope.WRITE),
        import_id,
        environment=body.environment,
        path=body.path,
    )
    return OneImport(message="Successfully deleted secret import", secret_import=import_out(view))
