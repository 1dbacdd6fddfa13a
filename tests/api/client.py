"""Calling the application without a socket: the same bytes, in this process."""

from functools import partial
from typing import Any

import anyio
import httpx
from fastapi import FastAPI

#: The id of nothing. The same in every process, so that tests can be spread over several.
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


class ApiClient:
    """Sends requests to an application, with a token unless told otherwise."""

    def __init__(self, app: FastAPI, token: str | None = None) -> None:
        self.app = app
        self.token = token

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request and return its answer, whatever its status."""
        headers = {**self._authorization(), **options.pop("headers", {})}
        return anyio.run(partial(self._send, method, path, headers=headers, **options))

    def get(self, path: str, /, **params: Any) -> httpx.Response:
        return self.request("GET", path, params=params or None)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.request("POST", path, json=body, **options)

    def patch(self, path: str, body: Any) -> httpx.Response:
        return self.request("PATCH", path, json=body)

    def delete(self, path: str, body: Any = None, /, **params: Any) -> httpx.Response:
        return self.request("DELETE", path, json=body, params=params or None)

    def _authorization(self) -> dict[str, Any]:
        return {"Authorization": f"Bearer {self.token}".encode()} if self.token else {}

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://keytide.test") as http:
            return await http.request(method, path, **options)
