"""The application on a real database, a client for each kind of caller, and a project."""

from uuid import UUID

import pytest
from fastapi import FastAPI

from api.app import create_app
from shared.runtime import Runtime
from shared.usecases.projects import create_project
from shared.usecases.tokens import Scope
from tests.api.client import ApiClient
from tests.support import create_token

#: Putting all routes together takes longer than a test: once is enough.
_built: list[FastAPI] = []


@pytest.fixture
def app(runtime: Runtime) -> FastAPI:
    if not _built:
        _built.append(create_app(runtime))
    _built[0].state.runtime = runtime
    return _built[0]


@pytest.fixture
def api(app: FastAPI, runtime: Runtime) -> ApiClient:
    """The administrator."""
    return ApiClient(app, create_token(runtime, "administrator", [Scope.ADMIN]).get_secret_value())


@pytest.fixture
def anonymous(app: FastAPI) -> ApiClient:
    return ApiClient(app)


@pytest.fixture
def project_id(runtime: Runtime) -> UUID:
    return create_project(runtime, "Shop", slug="shop").project.id


@pytest.fixture
def foreign_id(runtime: Runtime) -> UUID:
    """Another project."""
    return create_project(runtime, "Bank", slug="bank").project.id
