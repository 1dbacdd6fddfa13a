"""Who am I, and what clients ask about GitHub."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from api.keyway.dependencies import GitHubOf, VisitorOf
from api.keyway.wire import Envelope, MetaOf, Moment, RepositoryName, WireModel, new_router
from shared.usecases.keyway.access import Visitor

router = new_router(tag="account")


class RepositoryQuery(WireModel):
    repo: RepositoryName


class RepositoryParts(WireModel):
    repo_owner: str = Field(min_length=1, max_length=255)
    repo_name: str = Field(min_length=1, max_length=255)


class Account(WireModel):
    """Who calls: the name of a token, or a person's name at GitHub."""

    id: str
    username: str
    login: str
    forge_type: str
    forge_user_id: str
    github_id: int | None
    email: str | None
    avatar_url: str | None
    plan: str
    created_at: Moment | None


class Installation(WireModel):
    installed: bool
    installation_id: int | None
    install_url: str
    message: str


class RepositoryIds(WireModel):
    owner_id: int | None
    repo_id: int | None


def _account(visitor: Visitor) -> Account:
    github = visitor.github
    return Account(
        id=visitor.id,
        username=visitor.name,
        login=visitor.name,
        forge_type="github" if github else "keytide",
        forge_user_id=str(github.id) if github else visitor.id,
        github_id=github.id if github else None,
        email=None,
        avatar_url=None,
        plan="self-hosted",
        created_at=visitor.created_at,
    )


@router.post("/auth/token/validate", summary="Is this token valid, and whose is it?")
def validate_token(visitor: VisitorOf, meta: MetaOf) -> Envelope[Account]:
    """Return who calls."""
    return Envelope(data=_account(visitor), meta=meta)


@router.get("/users/me", summary="Who am I?")
def get_me(visitor: VisitorOf, meta: MetaOf) -> Envelope[Account]:
    """Return who calls."""
    return Envelope(data=_account(visitor), meta=meta)


@router.post("/github/check-installation", summary="Is the GitHub app installed?")
def check_installation(body: RepositoryParts, visitor: VisitorOf, meta: MetaOf) -> Envelope[Installation]:
    """Answer yes: Keytide needs no GitHub app, and clients go on only with that answer."""
    told = Installation(
        installed=True, installation_id=None, install_url="", message="Keytide needs no GitHub app."
    )
    return Envelope(data=told, meta=meta)


@router.get("/github/repo-ids", summary="GitHub's ids of a repository")
def get_repository_ids(
    query: Annotated[RepositoryQuery, Query()], github: GitHubOf, visitor: VisitorOf, meta: MetaOf
) -> Envelope[RepositoryIds]:
    """Return the ids, null unless the caller's token is one of GitHub's that can see the repository."""
    found = github.repository(visitor.github.token, query.repo) if visitor.github else None
    ids = RepositoryIds(owner_id=found.owner_id if found else None, repo_id=found.id if found else None)
    return Envelope(data=ids, meta=meta)
