"""For those who run Keytide: is it alive, is it ready, how much work waits."""

import ipaddress
from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from api.dependencies import Credentials, RuntimeOf, get_caller
from api.infisical.errors import RESPONSES
from shared.usecases import health
from shared.usecases.health import Load
from shared.usecases.tokens import Scope

router = APIRouter(tags=["Operations"])

_VERSION = "text/plain; version=0.0.4; charset=utf-8"


class Liveness(BaseModel):
    """That the process answers."""

    status: str = "ok"


class Readiness(BaseModel):
    """What works. ``status`` is ``ok`` if everything does."""

    status: str
    checks: dict[str, bool]


@router.get("/livez", operation_id="getLiveness", summary="Does the process answer?")
async def livez() -> Liveness:
    """Answer 200 as long as the process runs. Looks at nothing else."""
    return Liveness()


@router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="Are database, broker and master key there?",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Something is missing; `checks` says what."}},
)
def readyz(runtime: RuntimeOf) -> Response:
    """Answer 200 if work can be done, else 503 naming what is missing."""
    checks = health.check(runtime)
    ready = all(checks.values())
    body = Readiness(status="ok" if ready else "unavailable", checks=checks)
    return JSONResponse(body.model_dump(), 200 if ready else 503)


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="How much work waits, for Prometheus",
    response_class=PlainTextResponse,
    responses={status: RESPONSES[status] for status in (401, 403)},
)
def metrics(request: Request, runtime: RuntimeOf, sent: Credentials) -> Response:
    """Answer the counts as Prometheus reads them.

    Needs a token with the scope `read` for all projects, unless Keytide listens on the loopback only.
    """
    if not _is_loopback(runtime.settings.host):
        get_caller(request, runtime, sent).require(Scope.READ, None)
    text = "".join(f"{line}\n" for line in _lines(health.measure(runtime)))
    return Response(text, media_type=_VERSION)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _lines(load: Load) -> Iterator[str]:
    yield from _heading("keytide_jobs", "Jobs by status, as far back as the history is kept.")
    for status, count in load.jobs.items():
        yield f'keytide_jobs{{status="{status}"}} {count}'
    yield from _gauge("keytide_jobs_due", "Queued jobs whose time has come.", load.due_jobs)
    yield from _gauge("keytide_change_events_open", "Edits not yet passed on to syncs.", load.open_events)
    yield from _gauge(
        "keytide_change_event_oldest_seconds", "Age of the oldest such edit.", load.oldest_event_seconds
    )


def _gauge(name: str, text: str, value: float) -> Iterator[str]:
    yield from _heading(name, text)
    yield f"{name} {value:g}"


def _heading(name: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
