"""Is the server there? Asked by clients before anything else, and never counted."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from api.dependencies import RuntimeOf
from shared.usecases import health

router = APIRouter(tags=["Keyway: health"])


@router.api_route("/health", methods=["GET", "HEAD"], include_in_schema=False)
@router.head("/v1/health", include_in_schema=False)
@router.get("/v1/health", summary="Is the server healthy?")
def get_health(runtime: RuntimeOf) -> Response:
    """Answer 200 if work can be done, else 503 naming what is missing. Not wrapped in an envelope."""
    checks = health.check(runtime)
    healthy = all(checks.values())
    body = {"status": "healthy" if healthy else "unhealthy", "checks": checks}
    return JSONResponse(body, 200 if healthy else 503)
