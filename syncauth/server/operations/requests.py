"""
Every request and socket of a server on its way in and out: its ids, its line in the log, its counts, its span.

This is the outermost layer of the application. While the server drains it answers what is new with 503. Paths are
logged without their query, because App Services clients put tokens there; headers and bodies are never logged. This
module must never change what passes through, but for the header `X-Request-Id` of the answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from syncauth.interfaces import Clock, Randomness
from syncauth.server.accounts.answers import Denied
from syncauth.server.operations.gate import OPEN_ALWAYS, Gate
from syncauth.server.operations.ids import (
    CURRENT,
    ID_BYTES,
    Ids,
    Refusal,
    request_id_of,
)
from syncauth.server.operations.logs import fields
from syncauth.server.operations.metrics import UNKNOWN_ROUTE, Metrics
from syncauth.server.operations.tracing import Span, Tracing
from syncauth.server.routes.exchange import answer_denied

LOGGER: Final = logging.getLogger("syncauth.server.access")
LONGEST_PATH: Final = 200
REQUEST_ID: Final = "X-Request-Id"
SERVER_FAILURE: Final = 500

Templates = Mapping[Callable[..., Any], str]


def templates(routes: Iterable[BaseRoute]) -> Templates:
    """Return the template of each route by its endpoint."""
    return {each.endpoint: each.path for each in routes if isinstance(each, Route | WebSocketRoute)}


@dataclass(slots=True)
class _Answer:
    """What has been seen of an answer; `started` is monotonic seconds."""

    started: float
    status: int = 0
    close: int | None = None  # of a socket: the code that the server closed it with


class Requests:
    """Wraps an ASGI application."""

    def __init__(
        self,
        app: ASGIApp,
        routes: Templates,
        *,
        clock: Clock,
        randomness: Randomness,
        metrics: Metrics,
        tracing: Tracing,
        gate: Gate,
    ) -> None:
        """Watch what passes to `app`, whose routes are known by their endpoints."""
        self._app = app
        self._routes = routes
        self._clock = clock
        self._randomness = randomness
        self._metrics = metrics
        self._tracing = tracing
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; a failure leaves its ids behind, for whoever logs it outside."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # A socket lives here as long as it is open: what is not needed until then is not held.
        before = CURRENT.set(self._ids(scope))
        answer = _Answer(self._clock.now())
        counted = scope["type"] == "http"  # sockets are counted by the hub
        if counted:
            self._gate.enter()
        try:
            with self._span(scope) as span:
                try:
                    app = self._send_away if self._is_shut(scope) else self._app
                    await app(scope, receive, _noting(send, CURRENT.get().request_id, answer))
                finally:
                    self._tell(scope, span, answer)
        finally:  # whatever failed: a drain would wait for it
            if counted:
                self._gate.leave()
        CURRENT.reset(before)

    def _ids(self, scope: Scope) -> Ids:
        headers = Headers(scope=scope)
        made = self._randomness.token(2 * ID_BYTES).hex()
        return Ids(
            request_id=request_id_of(headers.get(REQUEST_ID), made[: 2 * ID_BYTES]),
            connection_id=made[2 * ID_BYTES :] if scope["type"] == "websocket" else "",
            trace=self._tracing.parent(headers),
        )

    def _span(self, scope: Scope) -> AbstractContextManager[Span]:
        ids, method = CURRENT.get(), _method(scope)
        attributes = {"http.request.method": method, "syncauth.request_id": ids.request_id}
        return self._tracing.span(method, ids.trace, attributes, served=True)

    def _is_shut(self, scope: Scope) -> bool:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return self._gate.draining and path not in OPEN_ALWAYS

    async def _send_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = "the server is about to end and will be back"
        wait = self._gate.retry_after
        response = answer_denied(Denied(503, "ServerRestarting", text, retry_after=wait))
        # So that a proxy does not send the next request here.
        response.headers["Connection"] = "close"
        if scope["type"] == "http":
            await response(scope, receive, send)
        else:
            await WebSocket(scope, receive, send).send_denial_response(response)

    def _tell(self, scope: Scope, span: Span, answer: _Answer) -> None:
        """Write the line, count, and end the span with what is known now."""
        seconds = self._clock.now() - answer.started
        method = _method(scope)
        route = self._route(scope)
        status = answer.status or SERVER_FAILURE
        ids = CURRENT.get()
        self._metrics.answered(method, route, status, seconds, ids.refusal)
        span.rename(f"{method} {route}")
        span.note({"http.route": route, "http.response.status_code": status, **_whose(ids)})
        if status >= SERVER_FAILURE:
            span.fail(str(status))
        if LOGGER.isEnabledFor(logging.INFO):
            self._write(scope, answer, status, seconds, ids.refusal)

    def _route(self, scope: Scope) -> str:
        return self._routes.get(scope.get("endpoint", _tell_nothing), UNKNOWN_ROUTE)

    def _write(
        self, scope: Scope, answer: _Answer, status: int, seconds: float, refusal: Refusal | None
    ) -> None:
        method = _method(scope)
        # ascii() keeps line breaks and terminal escapes out of the log
        path = ascii(scope["path"][:LONGEST_PATH])
        milliseconds = round(seconds * 1000)
        more = fields(
            method=method,
            path=scope["path"][:LONGEST_PATH],
            route=self._route(scope),
            status=status,
            ms=milliseconds,
            error_code=refusal and refusal.code,
            reason=refusal and refusal.reason,
            close=answer.close,
        )
        LOGGER.info("%s %s %d %d ms", method, path, status, milliseconds, extra=more)


def _method(scope: Scope) -> str:
    return str(scope.get("method", "WEBSOCKET"))


def _whose(ids: Ids) -> Mapping[str, str]:
    told = ids.told()
    return {f"syncauth.{name}": told[name] for name in told if name != "request_id"}


def _tell_nothing() -> None:
    """Stand for the endpoint of a request that no route took."""


def _noting(send: Send, request_id: str, answer: _Answer) -> Send:
    """Pass on what is sent, note its status, and add the request's id to its headers."""

    async def pass_on(message: Message) -> None:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start", "websocket.accept"):
            answer.status = 101 if kind == "websocket.accept" else message["status"]
            message.setdefault("headers", [])
            MutableHeaders(scope=message)[REQUEST_ID] = request_id
        elif kind == "websocket.close":
            if answer.status:
                answer.close = message.get("code", 1000)
            else:  # before it was accepted: the server refuses with 403
                answer.status = 403
        await send(message)

    return pass_on
