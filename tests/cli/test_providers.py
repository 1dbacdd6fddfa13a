"""What the connections to a provider show."""

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from cli.client import Client
from cli.providers import Project, list_projects
from cli.render import Screen
from cli.server import Server
from shared.errors import KeytideError

SERVER = Server("http://127.0.0.1:1", SecretStr("kt_token"), "test")
PROJECT = {"id": "prj-1", "name": "shop"}


def listed(**found: Any) -> list[Project]:
    """Return what ``list_projects`` makes of this answer about Railway."""
    answers = {
        "/api/v1/app-connections/options": {"appConnectionOptions": [{"app": "railway", "name": "Railway"}]},
        "/v1/integrations": {"data": {"providers": [{"name": "railway"}]}},
        "/v1/integrations/providers/railway/all-projects": {"data": {"connections": ["one"], **found}},
    }
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=answers[request.url.path]))
    with httpx.Client(base_url=SERVER.url, transport=transport) as http:
        return list_projects(Client(SERVER, http), Screen(), "railway")


def test_a_provider_that_does_not_answer_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(KeytideError, match="Railway answered 503"):
        listed(projects=[], failed=[{"error": "Railway answered 503."}])


def test_what_the_other_connections_show_is_shown_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    found = listed(projects=[PROJECT], failed=[{"error": "Railway answered 503."}])

    assert found == [PROJECT]
    assert "Railway answered 503." in capsys.readouterr().err
