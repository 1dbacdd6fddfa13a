"""Folders of an environment."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import Field, StringConstraints

from api.dependencies import CallerOf, RuntimeOf, require_own
from api.infisical.wire import (
    Dated,
    Description,
    EnvironmentSlug,
    FolderPath,
    ProjectReference,
    WireModel,
    new_router,
)
from shared.runtime import Runtime
from shared.usecases import folders
from shared.usecases.folders import FolderView
from shared.usecases.tokens import Caller, Scope

router = new_router(tag="Folders")


class FolderPlace(ProjectReference):
    """Below which folder."""

    environment: EnvironmentSlug
    path: FolderPath = "/"
    directory: FolderPath | None = Field(None, description="The old name of `path`.")

    @property
    def parent_path(self) -> str:
        return self.directory or self.path


class NewFolder(FolderPlace):
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)] = Field(
        examples=["backend"]
    )
    description: Description | None = None


class FolderEnvironment(WireModel):
    env_id: UUID
    env_name: str
    env_slug: str


class FolderOut(Dated):
    id: UUID
    name: str
    path: str
    env_id: UUID
    parent_id: UUID | None
    project_id: UUID
    environment: FolderEnvironment
    description: str | None
    version: int = 1
    is_reserved: bool = False
    last_secret_modified: datetime | None = None


class OneFolder(WireModel):
    folder: FolderOut


class Folders(WireModel):
    folders: list[FolderOut]


def folder_out(view: FolderView) -> FolderOut:
    """Return the wire form of a folder."""
    row, environment = view.folder, view.environment
    return FolderOut(
        id=row.id,
        name=row.name,
        path=row.path,
        env_id=environment.id,
        parent_id=row.parent_id,
        project_id=environment.project_id,
        environment=FolderEnvironment(
            env_id=environment.id, env_name=environment.name, env_slug=environment.slug
        ),
        description=row.description,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


@router.post("/v2/folders", summary="Create a folder")
@router.post("/v1/folders", summary="Create a folder", deprecated=True, operation_id="createFolderV1")
def create_folder(body: NewFolder, runtime: RuntimeOf, caller: CallerOf) -> OneFolder:
    """Create a folder, and the folders above it where they are missing."""
    view = folders.create_folder(
        runtime,
        body.allowed(runtime, caller, Scope.WRITE),
        environment=body.environment,
        parent_path=body.parent_path,
        name=body.name,
        description=body.description,
    )
    return OneFolder(folder=folder_out(view))


@router.get("/v2/folders", summary="List the folders below a path")
@router.get(
    "/v1/folders", summary="List the folders below a path", deprecated=True, operation_id="listFoldersV1"
)
def list_folders(place: Annotated[FolderPlace, Query()], runtime: RuntimeOf, caller: CallerOf) -> Folders:
    """List the folders directly below a path, by name."""
    project_id = place.allowed(runtime, caller, Scope.READ)
    found = folders.list_folders(runtime, project_id, environment=place.environment, path=place.parent_path)
    return Folders(folders=[folder_out(view) for view in found])


@router.get("/v2/folders/{folder_id}", summary="Get a folder")
@router.get("/v1/folders/{folder_id}", summary="Get a folder", deprecated=True, operation_id="getFolderV1")
def get_folder(folder_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneFolder:
    """Return a folder by its id."""
    return OneFolder(folder=folder_out(_own_folder(runtime, caller, Scope.READ, folder_id)))


@router.delete("/v2/folders/{folder_id}", summary="Delete a folder")
@router.delete(
    "/v1/folders/{folder_id}", summary="Delete a folder", deprecated=True, operation_id="deleteFolderV1"
)
def delete_folder(folder_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneFolder:
    """Delete a folder with everything below it.

    A sync whose source lies there fails from then on; it never empties its destination.
    """
    _own_folder(runtime, caller, Scope.WRITE, folder_id)
    return OneFolder(folder=folder_out(folders.delete_folder(runtime, folder_id)))


def _own_folder(runtime: Runtime, caller: Caller, scope: Scope, folder_id: UUID) -> FolderView:
    view = folders.get_folder(runtime, folder_id)
    require_own(caller, scope, view.environment.project_id, what=f"folder with the id {folder_id}")
    return view
