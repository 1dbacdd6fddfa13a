"""What all schemas and routes of the Infisical wire have in common."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from fastapi.exceptions import RequestValidationError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from api.bodies import JsonRoute
from api.dependencies import require_own
from api.infisical.errors import RESPONSES
from shared.errors import InvalidInput
from shared.providers import PROVIDERS
from shared.runtime import Runtime
from shared.usecases import projects
from shared.usecases.projects import ProjectView
from shared.usecases.tokens import Caller, Scope


def new_router(*, tag: str) -> APIRouter:
    """Return a router for the routes of one topic."""
    return APIRouter(prefix="/api", tags=[tag], route_class=JsonRoute, responses=RESPONSES)


class WireModel(BaseModel):
    """A part of the wire: names are camelCase, and no error text repeats what was sent."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True)

    def text_of(self, name: str) -> str | None:
        """Return the optional text *name* of a change: empty if null was sent, None if it was left out."""
        text: str | None = getattr(self, name)
        return "" if text is None and name in self.model_fields_set else text


def checked(model: type[BaseModel], fields: Mapping[str, Any], *, at: str) -> dict[str, Any]:
    """Return *fields* if they have the form of *model*; the error lists all that is wrong below *at*."""
    try:
        model.model_validate(dict(fields))
    except ValidationError as error:
        # Without the input: these fields may be credentials.
        issues = error.errors(include_input=False, include_url=False, include_context=False)
        raise RequestValidationError(
            [{**issue, "loc": ("body", at, *issue["loc"])} for issue in issues]
        ) from None
    return dict(fields)


# --- fields --------------------------------------------------------------------------------------------


def _slug_form(text: str) -> str:
    parts = text.split("-")
    if not all(part.isascii() and part.isalnum() and part == part.lower() for part in parts):
        raise ValueError("Use lower-case letters, digits and single hyphens between them.")
    return text


def _true_or_false(text: Any) -> Any:
    match text:
        case "true" | True:
            return True
        case "false" | False:
            return False
    raise ValueError("Write true or false.")


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


def _none_if_empty(text: Any) -> Any:
    return None if text == "" else text


Trimmed = StringConstraints(strip_whitespace=True)
Slug = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_slug_form)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=256)]
EnvironmentSlug = Annotated[str, Field(min_length=1, max_length=64, examples=["production"])]
FolderPath = Annotated[str, Field(min_length=1, max_length=2048, examples=["/"])]
#: Queries have booleans as texts.
ExactBool = Annotated[bool, BeforeValidator(_true_or_false)]
#: Where nothing is changed: Python's clients write True and False.
QueryBool = Annotated[ExactBool, BeforeValidator(_lower)]
#: Some clients send a field that they leave out as an empty text.
NoneIfEmpty = BeforeValidator(_none_if_empty)

#: Which provider a path is about. Others than those listed are answered with 404.
ProviderName = Annotated[str, Path(json_schema_extra={"enum": sorted(PROVIDERS)})]

Limit = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Page(WireModel):
    """A part of a longer list."""

    limit: Limit = 100
    offset: Offset = 0


class ProjectReference(WireModel):
    """A project, by its id or its slug, in the new words of the wire or the old ones."""

    project_id: Annotated[UUID | None, NoneIfEmpty] = Field(
        None, examples=["3c90c3cc-0d44-4b50-8888-8dd25736052a"]
    )
    workspace_id: Annotated[UUID | None, NoneIfEmpty] = Field(
        None, description="The old name of `projectId`."
    )
    project_slug: Annotated[str | None, NoneIfEmpty] = Field(None, max_length=255)
    workspace_slug: Annotated[str | None, NoneIfEmpty] = Field(
        None, max_length=255, description="The old name of `projectSlug`."
    )

    def allowed(self, runtime: Runtime, caller: Caller, scope: Scope) -> UUID:
        """Return the project's id. Raises ``Forbidden`` unless *caller* may do that there."""
        project_id = self.project_id or self.workspace_id
        slug = self.project_slug or self.workspace_slug
        if project_id is None and slug is not None:
            return find_own_project(runtime, caller, scope, slug).project.id
        if project_id is None:
            raise InvalidInput("Send projectId: the id of the project.", field=("projectId",))
        caller.require(scope, project_id)
        return project_id


def find_own_project(runtime: Runtime, caller: Caller, scope: Scope, slug: str) -> ProjectView:
    """Return the project with that slug. Raises ``NotFound`` if it does not exist for *caller*."""
    found = projects.find_by_slug(runtime, slug)
    require_own(caller, scope, found.project.id, what=f"project with the slug '{slug}'")
    return found


class Dated(WireModel):
    """When something was made and last changed."""

    created_at: datetime
    updated_at: datetime
