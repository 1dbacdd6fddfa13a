"""Whole environments of secrets: push, pull, and a look at one."""

from typing import Annotated

from fastapi import Query
from pydantic import Field, SecretStr

from api.dependencies import RuntimeOf
from api.keyway.dependencies import GitHubOf, VisitorOf
from api.keyway.wire import Envelope, EnvironmentName, MetaOf, RepositoryName, WireModel, new_router
from shared.db.vault import ROOT
from shared.usecases import read_secrets
from shared.usecases.keyway import access, secrets
from shared.usecases.keyway.access import Permission
from shared.usecases.read_secrets import Detail

router = new_router(tag="secrets", prefix="/secrets")

#: What the wire means by an environment that is not named.
UNNAMED = "default"


class PushBody(WireModel):
    repo_full_name: RepositoryName
    environment: EnvironmentName = UNNAMED
    secrets: dict[Annotated[str, Field(max_length=256)], SecretStr] = Field(max_length=1000)
    allow_empty: bool = Field(
        False, description="Ours: with no secrets at all, do delete every one there is."
    )


class PullQuery(WireModel):
    repo: RepositoryName
    environment: EnvironmentName = UNNAMED
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None
    offset: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class ViewQuery(WireModel):
    repo: RepositoryName
    environment: EnvironmentName = UNNAMED
    key: str = Field(min_length=1, max_length=256)


class PushStats(WireModel):
    created: int
    updated: int
    deleted: int
    unchanged: int


class Pushed(WireModel):
    """What a push did. ``deletedKeys`` names what was in the vault and not in the push."""

    success: bool
    message: str
    stats: PushStats
    deleted_keys: list[str]


class Pulled(WireModel):
    content: str


class Shown(WireModel):
    key: str
    value: str
    environment: str


@router.post("/push", summary="Make an environment hold exactly these secrets")
def push(
    body: PushBody, runtime: RuntimeOf, github: GitHubOf, visitor: VisitorOf, meta: MetaOf
) -> Envelope[Pushed]:
    """Replace the secrets of an environment: those that are not in the body are deleted, and named."""
    member = access.find_member(runtime, github, visitor, body.repo_full_name)
    member.environment(body.environment)
    member.require(Permission.WRITE, body.environment)
    done = secrets.push(runtime, member, body.environment, body.secrets, allow_empty=body.allow_empty)
    pushed = Pushed(
        success=True,
        message="Secrets pushed successfully",
        stats=PushStats(
            created=len(done.created),
            updated=len(done.updated),
            deleted=len(done.deleted),
            unchanged=done.unchanged,
        ),
        deleted_keys=list(done.deleted),
    )
    return Envelope(data=pushed, meta=meta)


@router.get("/pull", summary="Get an environment as the text of a .env file")
def pull(
    query: Annotated[PullQuery, Query()],
    runtime: RuntimeOf,
    github: GitHubOf,
    visitor: VisitorOf,
    meta: MetaOf,
) -> Envelope[Pulled]:
    """Return the secrets of an environment, one line each. 404 if there are none."""
    member = access.find_member(runtime, github, visitor, query.repo)
    member.environment(query.environment)
    member.require(Permission.READ, query.environment)
    text = secrets.env_text(runtime, member, query.environment, limit=query.limit, offset=query.offset)
    return Envelope(data=Pulled(content=text), meta=meta)


@router.get("/view", summary="Get one secret")
def view(
    query: Annotated[ViewQuery, Query()],
    runtime: RuntimeOf,
    github: GitHubOf,
    visitor: VisitorOf,
    meta: MetaOf,
) -> Envelope[Shown]:
    """Return a secret with its value."""
    member = access.find_member(runtime, github, visitor, query.repo)
    member.environment(query.environment)
    member.require(Permission.READ, query.environment)
    found = read_secrets.get_secret(
        runtime, member.project.id, query.environment, ROOT, query.key, detail=Detail()
    )
    value = found.value.get_secret_value() if found.value else ""
    return Envelope(data=Shown(key=found.key, value=value, environment=query.environment), meta=meta)
