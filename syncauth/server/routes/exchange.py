"""
HTTP in the manner of App Services: bounded bodies, bearer tokens, answers and errors.

Existing clients are strict about three things: JSON is exactly `application/json`, an empty body
carries no Content-Type, and every error is `{"error", "error_code", "link"}`. This module must
never know what a route means, and never put anything of a request into a log or an error.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.websockets import WebSocket, WebSocketState

from syncauth.models import Secret
from syncauth.sansio.messages import SUBPROTOCOL
from syncauth.sansio.sync_errors import Close
from syncauth.server.accounts.answers import Denied, bad_request
from syncauth.server.accounts.pace import network_of
from syncauth.server.operations.ids import note_refusal

T = TypeVar("T")

Endpoint = Callable[[Request], Awaitable[Response]]
Guard = Callable[[Endpoint], Endpoint]
"""Wraps an endpoint so that only some requests come through."""

NO_TOKEN = Denied(401, "InvalidSession", "invalid session: no bearer token")
METHOD_NOT_ALLOWED: Final = 405
TOO_BIG = Denied(413, "RequestTooLarge", "the request body is too large")


def answer_json(status: int, body: Any) -> Response:
    """Answer with JSON that no cache may keep (RFC 6749 section 5.1)."""
    return Response(
        msgspec.json.encode(body),
        status,
        headers={"Cache-Control": "no-store"},
        media_type="application/json",
    )


def answer_empty(status: int) -> Response:
    """Answer without a body and without a Content-Type."""
    return Response(None, status)


def answer_denied(denied: Denied) -> Response:
    """Answer with the error JSON of App Services; ours adds `reason` and Retry-After."""
    note_refusal(denied.code, denied.reason)
    body = {"error": denied.text, "error_code": denied.code, "link": ""}
    if denied.reason is not None:
        body["reason"] = denied.reason
    response = answer_json(denied.status, body)
    if denied.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(denied.retry_after)))
    return response


async def refuse_upgrade(websocket: WebSocket, denied: Denied) -> None:
    """Refuse a socket with the HTTP status of the denial.

    An ASGI server without the extension for that (such as daphne) can only say 403, which proves nothing: there what
    the device must know, that its token is not taken, that it is to wait or that the server ends, is said by the close
    code.
    """
    if "websocket.http.response" in (websocket.scope.get("extensions") or {}):
        response = answer_denied(denied)
        if denied.status == 426:  # noqa: PLR2004 - RFC 9110 section 15.5.22
            response.headers["Upgrade"] = "websocket"
        await websocket.send_denial_response(response)
        return
    codes = {401: Close.TOKEN, 429: Close.SLOW_DOWN, 503: Close.RESTARTING}
    code = codes.get(denied.status)
    if code is not None and SUBPROTOCOL in websocket.scope["subprotocols"]:
        await websocket.accept(SUBPROTOCOL)
    await websocket.close(code or Close.REFUSED)


def bearer(request: HTTPConnection) -> Secret | Denied:
    """Read the token of `Authorization: Bearer …` (RFC 6750 section 2.1)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return NO_TOKEN
    return Secret(token.strip())


async def read_json(
    request: Request, shape: type[T], *, limit: int, empty: T | None = None
) -> T | Denied:
    """Read a JSON body of at most `limit` bytes into `shape`, whatever its Content-Type says.

    An empty body gives `empty` if there is one. Too large is 413, unreadable 400. The reading ends
    as soon as the limit is passed: what Content-Length promises is not believed.
    """
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                return TOO_BIG
    except ClientDisconnect:
        return bad_request("the request body ended early")
    if not body and empty is not None:
        return empty
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        # The error names fields and types, never a value.
        return bad_request(f"the request body is not as expected: {error}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return bad_request("the request body is not JSON")


def address_of(request: Request) -> str:
    """Return the address that a request comes from, as limits count it."""
    return network_of(request.client.host) if request.client else "unknown"


def life(life_ms: int) -> dict[str, int]:
    """Tell the access token's life: in ms, and in seconds as OAuth does (RFC 6749 section 5.1)."""
    return {"life_ms": life_ms, "expires_in": life_ms // 1000}


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer what Starlette refuses by itself (404, 405, …) in the same JSON.

    A 405 tells in Allow what the path can do (RFC 9110 section 15.5.6), of all routes that have it.
    """
    status = error.status_code if isinstance(error, HTTPException) else 500
    codes = {404: ("NotFound", "page not found"), 405: ("MethodNotAllowed", "method not allowed")}
    code, text = codes.get(status, ("BadRequest", "the request cannot be served"))
    response = answer_denied(Denied(status, code, text))
    if status == METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(_methods(request))
    return response


def _methods(request: Request) -> list[str]:
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)


async def answer_closed(connection: HTTPConnection, error: Exception) -> Response:
    """Answer a request that the drain had no time to wait for, and that found the store closed."""
    denied = Denied(503, "ServerRestarting", "the server has ended and will be back", retry_after=1)
    if not isinstance(connection, WebSocket):
        return answer_denied(denied)
    if connection.application_state is not WebSocketState.CONNECTING:
        raise error  # it was told already
    await refuse_upgrade(connection, denied)
    return answer_empty(503)  # which a socket has no use for


async def answer_failure(_request: Request, _error: Exception) -> Response:
    """Answer a failure of the server itself; what failed stands in the log only."""
    return answer_denied(Denied(500, "InternalServerError", "internal server error"))
