"""An emulator of the two calls to GitHub's API that tell who somebody is and what they may do.

By hand: ``python -m tests.fakes.github --port 9001``.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.fakes.service import FakeService, Places, Request, Response, main

#: GitHub's name for what each role may do, each with those before it.
ROLES = {"read": "pull", "triage": "triage", "write": "push", "maintain": "maintain", "admin": "admin"}


@dataclass(frozen=True, slots=True)
class User:
    """A person."""

    id: int
    login: str


class FakeGitHub(FakeService):
    """GitHub's ``GET /user`` and ``GET /repos/{owner}/{repo}``. It holds no variables."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__(now)
        self.tokens: dict[str, User] = {}
        #: What somebody may do in a repository, by login and full name.
        self.roles: dict[tuple[str, str], str] = {}

    @classmethod
    def with_demo(cls, now: Callable[[], float] = time.time) -> "FakeGitHub":
        """Return an emulator with one person, who administers one repository."""
        fake = cls(now)
        fake.let_in("octocat", "owner/repo", "admin")
        return fake

    def let_in(self, login: str, repository: str, role: str) -> str:
        """Give somebody a role in a repository, and return a token of theirs."""
        token = f"ghp_{login}0000000000"
        self.tokens[token] = User(1000 + len(self.tokens), login)
        self.roles[login, repository] = role
        return token

    def places(self) -> Places:
        return {}

    def seed(self, place: str, variables: Mapping[str, str]) -> None:
        raise KeyError(place)

    def demo(self) -> Mapping[str, str]:
        return {"token": next(iter(self.tokens)), "repository": "owner/repo"}

    def refusal(self, status: int, request: Request) -> Response:
        return Response(status, {"message": f"refused, you sent {dict(request.headers)}"})

    def answer(self, request: Request) -> Response:
        user = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if user is None:
            return Response(401, {"message": "Bad credentials"})
        if request.path == "/user":
            return Response(200, {"id": user.id, "login": user.login})
        name = request.path.removeprefix("/repos/")
        role = self.roles.get((user.login, name))
        if role is None:
            # A private repository and none at all look alike.
            return Response(404, {"message": "Not Found"})
        held = list(ROLES).index(role)
        granted = {title: place <= held for place, title in enumerate(ROLES.values())}
        return Response(200, {"id": 77, "full_name": name, "owner": {"id": 7}, "permissions": granted})


if __name__ == "__main__":
    main(FakeGitHub.with_demo(), setting="KEYTIDE_GITHUB_API_URL")
