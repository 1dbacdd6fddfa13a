"""Ours: tokens that are made by hand, and what tokens and machine identities may do."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, Field, StringConstraints

from api.dependencies import CallerOf, RuntimeOf
from api.infisical.wire import Page, WireModel, new_router
from shared.usecases import tokens
from shared.usecases.tokens import Caller, Grants, Scope, TokenView, require_over

router = new_router(tag="Tokens and identities")

PrincipalName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]


class Grant(WireModel):
    """What somebody may do in one project, or without a project in all of them."""

    project_id: UUID | None = None
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope), examples=[["read", "sync"]])

    @classmethod
    def of(cls, grants: Grants, caller: Caller) -> list[Self]:
        """Return the wire form of *grants*, as far as they are of the caller's business."""
        ordered = sorted(grants.items(), key=lambda entry: str(entry[0] or ""))
        return [
            cls(project_id=project_id, scopes=[Scope(scope) for scope in sorted(scopes)])
            for project_id, scopes in ordered
            if caller.may(Scope.ADMIN, project_id)
        ]


GrantList = Annotated[list[Grant], Field(min_length=1, max_length=100)]


class NewToken(WireModel):
    name: PrincipalName = Field(examples=["ci"])
    grants: GrantList
    expires_at: AwareDatetime | None = None


class TokenFilter(Page):
    project_id: UUID | None = Field(None, description="Only tokens that are valid in this project.")


class TokenOut(WireModel):
    id: UUID
    name: str
    grants: list[Grant]
    expires_at: datetime | None
    created_at: datetime


class CreatedToken(WireModel):
    token: str = Field(description="Shown this once.", examples=["kt_…"])
    token_data: TokenOut


class OneToken(WireModel):
    token_data: TokenOut


class Tokens(WireModel):
    tokens: list[TokenOut]


@router.post("/v1/tokens", summary="Create a token")
def create_token(body: NewToken, runtime: RuntimeOf, caller: CallerOf) -> CreatedToken:
    """Create a token. Needs the scope `admin` in every project that it shall be valid for."""
    grants = as_grants(body.grants)
    require_over(caller, grants)
    view, token = tokens.issue_token(runtime, body.name, grants, expires_at=body.expires_at)
    return CreatedToken(token=token.get_secret_value(), token_data=_out(view, caller))


@router.get("/v1/tokens", summary="List the tokens")
def list_tokens(query: Annotated[TokenFilter, Query()], runtime: RuntimeOf, caller: CallerOf) -> Tokens:
    """List the tokens, newest first, without those of logins. Needs the scope `admin`."""
    caller.require(Scope.ADMIN, query.project_id)
    found = tokens.list_tokens(runtime, query.project_id, limit=query.limit, offset=query.offset)
    return Tokens(tokens=[_out(view, caller) for view in found])


@router.delete("/v1/tokens/{token_id}", summary="Revoke a token")
def revoke_token(token_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneToken:
    """End a token at once. Needs the scope `admin` in every project that it is valid for."""
    return OneToken(token_data=_out(tokens.revoke_token(runtime, caller, token_id), caller))


def as_grants(sent: Iterable[Grant]) -> Grants:
    """Return grants by project; what was sent twice adds up."""
    grants: dict[UUID | None, frozenset[str]] = {}
    for each in sent:
        known = grants.get(each.project_id, frozenset())
        grants[each.project_id] = known | {scope.value for scope in each.scopes}
    return grants


def _out(view: TokenView, caller: Caller) -> TokenOut:
    return TokenOut(
        id=view.id,
        name=view.name,
        grants=Grant.of(view.grants, caller),
        expires_at=view.expires_at,
        created_at=view.created_at,
    )
