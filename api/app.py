"""Door 3: the HTTP API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel

from api import docs, errors, infisical, keyway, operations
from api.audit import AuditLog
from api.description import DescribedApi
from api.infisical.errors import envelope
from api.keyway.dependencies import RateLimitHeaders
from api.keyway.errors import problem
from api.middleware import RequestLog
from shared import log
from shared.runtime import Runtime
from shared.settings import Settings

#: Requests carried out at the same time: the size of the thread pool that the framework brings.
_THREADS = 40

_DESCRIPTION = """
Keytide keeps the secrets your services run with equal to the secrets in your vault.

Send a token as `Authorization: Bearer …`. The first start writes one to the file `admin-token` in the data
directory.

The paths below `/api` speak the wire of Infisical: success is always status 200, and an error reads
`{reqId, statusCode, message, error}`.
The paths below `/v1` speak the wire of Keyway: success is wrapped in `{data, meta}`, and an error is a
problem as RFC 7807 has it.
"""


def create_app(runtime: Runtime | None = None) -> FastAPI:
    """Return the application. Without a *runtime* it makes one of the settings, and closes it at the end."""
    app = DescribedApi(
        title="Keytide",
        version=version("keytide"),
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=_close_at_the_end if runtime is None else None,
        generate_unique_id_function=_operation_id,
        # Its records would hold bodies, and the text of errors.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    app.state.runtime = runtime or _open_runtime()
    app.add_middleware(AuditLog, name_of=_operation_id)
    app.add_middleware(RequestLog)
    app.add_middleware(RateLimitHeaders)
    errors.install(app, {"": envelope, "/v1/": problem})
    for router in (*infisical.ROUTERS, *keyway.ROUTERS, operations.router, docs.router):
        app.include_router(router)
    return app


def _open_runtime() -> Runtime:
    settings = Settings()
    log.configure(settings)
    return Runtime.from_settings(settings, threads=_THREADS)


@asynccontextmanager
async def _close_at_the_end(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.runtime.close()


def _operation_id(route: APIRoute) -> str:
    # The two wires have words in common.
    return to_camel(f"keyway_{route.name}" if route.path.startswith("/v1/") else route.name)
