"""
`functions/call` over HTTP: POST with a JSON answer, GET with a stream of server-sent events.

The GET form carries its request, and for browsers its token, in the URL, as App Services has it; the access log
shows no queries. A stream ends when the session or the access token does. This module must never know a function.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from syncauth.interfaces import Clock
from syncauth.models import Secret
from syncauth.server.accounts.answers import ACCESS_EXPIRED, Denied, bad_request, session_ended
from syncauth.server.accounts.issuer import Claims
from syncauth.server.accounts.sessions import Sessions
from syncauth.server.routes.exchange import Guard, answer_denied, bearer, read_json
from syncauth.server.team.extensions import FunctionContext
from syncauth.server.team.functions import Functions

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the session while a stream says nothing."""


class _Call(msgspec.Struct, frozen=True):
    name: str
    arguments: list[Any] = []
    service: str | None = None


class FunctionRoutes:
    """The routes of functions."""

    def __init__(self, sessions: Sessions, functions: Functions, clock: Clock, limit: int) -> None:
        """Take who checks tokens, who calls, and how many bytes a request may have."""
        self._sessions = sessions
        self._functions = functions
        self._clock = clock
        self._limit = limit

    def routes(self, app: str, of_app: Guard) -> list[BaseRoute]:
        """Return the routes under `app`, each behind `of_app`."""
        place = f"{app}/functions/call"
        return [
            Route(place, of_app(self._call), methods=["POST"]),
            Route(place, of_app(self._stream), methods=["GET"]),
        ]

    async def _call(self, request: Request) -> Response:
        token = bearer(request)
        claims = token if isinstance(token, Denied) else await self._sessions.check_access(token)
        if isinstance(claims, Denied):
            return answer_denied(claims)
        body = await read_json(request, _Call, limit=self._limit)
        call = body if isinstance(body, Denied) else _of_ours(body)
        if isinstance(call, Denied):
            return answer_denied(call)
        result = await self._functions.call(call.name, call.arguments, _context(claims))
        if isinstance(result, Denied):
            return answer_denied(result)
        headers = {"Cache-Control": "no-store"}
        return Response(result, 200, headers=headers, media_type="application/json")

    async def _stream(self, request: Request) -> Response:
        in_url = request.query_params.get("baas_at")
        token = bearer(request) if in_url is None else Secret(in_url)
        claims = token if isinstance(token, Denied) else await self._sessions.check_access(token)
        if isinstance(claims, Denied):
            return answer_denied(claims)
        call = _read_query(request.query_params.get("baas_request", ""))
        if isinstance(call, Denied):
            return answer_denied(call)
        results = await self._functions.stream(call.name, call.arguments, _context(claims))
        if isinstance(results, Denied):
            return answer_denied(results)
        return StreamingResponse(
            self._events(results, claims),
            headers={"Cache-Control": "no-store", "Content-Type": "text/event-stream"},
        )

    async def _events(
        self, results: AsyncIterator[bytes | Denied], claims: Claims
    ) -> AsyncIterator[bytes]:
        """Write what comes as events, and look at the session before each and while nothing comes."""
        coming: asyncio.Future[bytes | Denied] | None = None
        ending = self._sessions.ending_of(claims.session_id)
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(results))
                either: set[asyncio.Future[Any]] = {coming, ending}
                await asyncio.wait(either, timeout=LOOK_EVERY, return_when=asyncio.FIRST_COMPLETED)
                if self._clock.wall() >= claims.expires_at:
                    yield _error_event(ACCESS_EXPIRED)
                    return
                if ending.done() or not await self._sessions.is_active(claims.session_id):
                    yield _error_event(session_ended("revoked"))
                    return
                if not coming.done():
                    continue
                try:
                    result = coming.result()
                except StopAsyncIteration:
                    return
                coming = None
                if isinstance(result, Denied):
                    yield _error_event(result)
                    return
                yield b"data: " + result.replace(b"%", b"%25") + b"\n\n"
        finally:
            ending.cancel()
            if coming is not None and not coming.done():
                coming.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                    await coming
            aclose = getattr(results, "aclose", None)
            if aclose is not None:
                await aclose()


def _of_ours(call: _Call) -> _Call | Denied:
    """Refuse a call of a service, such as the database of App Services: there is none here."""
    if call.service is None:
        return call
    return Denied(404, "ServiceNotFound", "service not found")


def _read_query(text: str) -> _Call | Denied:
    try:
        # Both alphabets are in use; a "+" that was not escaped arrives as a space.
        plain = text.replace(" ", "+").replace("-", "+").replace("_", "/")
        content = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        return _of_ours(msgspec.json.decode(content, type=_Call))
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        return bad_request("baas_request is not the base64 of a call")


def _context(claims: Claims) -> FunctionContext:
    return FunctionContext(claims.user_id, claims.session_id, claims.custom_data or {})


def _error_event(denied: Denied) -> bytes:
    content = msgspec.json.encode({"error": denied.text, "error_code": denied.code})
    return b"event: error\ndata: " + content.replace(b"%", b"%25") + b"\n\n"
