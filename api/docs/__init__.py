"""The page at ``/docs``: what ``/openapi.json`` says, for people.

It is our own because the usual ones load scripts from another host, which would run beside people's tokens
and not at all in a closed network.
"""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

router = APIRouter(prefix="/docs", include_in_schema=False)

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


@router.get("")
def page() -> Response:
    """Return the page."""
    return _file("page.html", "text/html")


@router.get("/page.js")
def script() -> Response:
    """Return the page's script."""
    return _file("page.js", "text/javascript")


@router.get("/page.css")
def style() -> Response:
    """Return the page's style."""
    return _file("page.css", "text/css")


def _file(name: str, media_type: str) -> Response:
    content = files(__name__).joinpath(name).read_bytes()
    return Response(content, media_type=f"{media_type}; charset=utf-8", headers=_HEADERS)
