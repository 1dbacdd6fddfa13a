"""Folders of an environment."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Body, Path, Query
from pydantic import Field, StringConstraints

from api.dependencies import CallerOf, RuntimeOf, require_own
from api.infisical.wire import (
    Dated,
    Description,
    EnvironmentSlug,
    FolderPath,
    ProjectReference,
    QueryBool,
    WireModel,
    new_router,
)
from shared.errors import InvalidInput
from shared.runtime import Runtime
from shared.usecases import folders
from shared.usecases.folders import FolderView
from shared.usecases.places import normal_path
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


class FolderQuery(FolderPlace):
    recursive: QueryBool = Field(False, description="Also the folders below those.")


FolderName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]


class NewFolder(FolderPlace):
    name: FolderName = Field(examples=["backend"])
    description: Description | None = None


class ChangedFolder(WireModel):
    """What is not sent stays as it is."""

    name: FolderName | None = Field(None, examples=["backend"])
    description: Description | None = None


class DeletedFolder(ProjectReference):
    """Where a folder lies that is named by its name."""

    environment: EnvironmentSlug | None = None
    path: FolderPath = "/"
    directory: FolderPath | None = Field(None, description="The old name of `path`.")


#: Clients of the wire may delete a folder by its name.
IdOrName = Annotated[str, Path(max_length=255, description="Its id, or its name below `path`.")]


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
    relative_path: str | None = Field(None, description="Below the path that a recursive list is about.")


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
def list_folders(place: Annotated[FolderQuery, Query()], runtime: RuntimeOf, caller: CallerOf) -> Folders:
    """List the folders directly below a path, by name; with `recursive` all that are below it."""
    found = folders.list_folders(
        runtime,
        place.allowed(runtime, caller, Scope.READ),
        environment=place.environment,
        path=place.parent_path,
        recursive=place.recursive,
    )
    listed = [folder_out(view) for view in found]
    if place.recursive:
        above = normal_path(place.parent_path).rstrip("/")
        listed = [each.model_copy(update={"relative_path": each.path.removeprefix(above)}) for each in listed]
    return Folders(folders=listed)


@router.get("/v2/folders/{folder_id}", summary="Get a folder")
@router.get("/v1/folders/{folder_id}", summary="Get a folder", deprecated=True, operation_id="getFolderV1")
def get_folder(folder_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneFolder:
    """Return a folder by its id."""
    return OneFolder(folder=folder_out(_own_folder(runtime, caller, Scope.READ, folder_id)))


@router.get(
    "/v1/folders/{project_id}/{environment}/{path:path}", summary="Get a folder by its path", deprecated=True
)
def get_folder_by_path(
    project_id: UUID, environment: str, path: str, runtime: RuntimeOf, caller: CallerOf
) -> OneFolder:
    """Return the folder at that path."""
    caller.require(Scope.READ, project_id)
    view = folders.find_folder(runtime, project_id, environment=environment, path=path)
    return OneFolder(folder=folder_out(view))


@router.patch("/v2/folders/{folder_id}", summary="Rename or describe a folder")
@router.patch(
    "/v1/folders/{folder_id}",
    summary="Rename or describe a folder",
    deprecated=True,
    operation_id="updateFolderV1",
)
def update_folder(folder_id: UUID, body: ChangedFolder, runtime: RuntimeOf, caller: CallerOf) -> OneFolder:
    """Rename a folder, or describe it anew. Imports and syncs of it go on; references to it do not."""
    _own_folder(runtime, caller, Scope.WRITE, folder_id)
    view = folders.update_folder(runtime, folder_id, name=body.name, description=body.text_of("description"))
    return OneFolder(folder=folder_out(view))


@router.delete("/v2/folders/{folder_id}", summary="Delete a folder")
@router.delete(
    "/v1/folders/{folder_id}", summary="Delete a folder", deprecated=True, operation_id="deleteFolderV1"
)
def delete_folder(
    folder_id: IdOrName,
    runtime: RuntimeOf,
    caller: CallerOf,
    body: Annotated[DeletedFolder | None, Body()] = None,
) -> OneFolder:
    """Delete a folder with everything below it: by its id, or by its name where the body says where it lies.

    A sync whose source lies there fails from then on; it never empties its destination.
    """
    known_id = _id_of(folder_id) or _id_by_name(runtime, caller, folder_id, body)
    _own_folder(runtime, caller, Scope.WRITE, known_id)
    return OneFolder(folder=folder_out(folders.delete_folder(runtime, known_id)))


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _id_by_name(runtime: Runtime, caller: Caller, name: str, place: DeletedFolder | None) -> UUID:
    if place is None or place.environment is None:
        raise InvalidInput(
            "This is not the id of a folder. To name it, send projectId, environment and path in the body.",
            field=("folderId",),
        )
    project_id = place.allowed(runtime, caller, Scope.WRITE)
    path = f"{place.directory or place.path}/{name}"
    return folders.find_folder(runtime, project_id, environment=place.environment, path=path).folder.id


def _own_folder(runtime: Runtime, caller: Caller, scope: Scope, folder_id: UUID) -> FolderView:
    view = folders.get_folder(runtime, folder_id)
    require_own(caller, scope, view.environment.project_id, what=f"folder with the id {folder_id}")
    return view
