"""The few pages that people see on this wire: no script, no foreign content, everything escaped."""

import base64
import hashlib
from html import escape

from starlette.responses import HTMLResponse

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}"
    "label,input,button{display:block;width:100%;box-sizing:border-box;font:inherit;margin:.25rem 0}"
    "input,button{padding:.5rem}button{margin-top:1rem}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
}

_FORM = """
<p>A program asks for a token that can do what yours can, for seven days.
Go on only if you started it yourself and it shows you this very code.</p>
<form method="post" action="/v1/auth/device/verify" autocomplete="off">
<label for="user_code">Code</label>
<input id="user_code" name="user_code" value="{code}" required maxlength="20" autocapitalize="characters">
<label for="token">Your Keytide token</label>
<input id="token" name="token" type="password" required maxlength="200">
<button name="decision" value="approve">Let it in</button>
<button name="decision" value="deny">Refuse it</button>
</form>
"""


def message_page(title: str, text: str, *, status: int = 200) -> HTMLResponse:
    """Return a page that says *text*."""
    return _page(title, f"<p>{escape(text)}</p>", status)


def device_page(user_code: str, problem: str | None = None, *, status: int = 200) -> HTMLResponse:
    """Return the page on which a person confirms a login, with what was wrong the last time."""
    told = f"<p><strong>{escape(problem)}</strong></p>" if problem else ""
    return _page("Confirm a login", told + _FORM.format(code=escape(user_code, quote=True)), status)


def _page(title: str, body: str, status: int) -> HTMLResponse:
    shown = escape(title)
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{shown}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{shown}</h1>{body}</body></html>"
    )
    return HTMLResponse(html, status, headers=_HEADERS)
