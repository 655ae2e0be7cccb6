"""
The user's access token on the app's own requests, as an `auth` for clients of `httpx` and of `httpx2` (RFC 6750).

What holds for every request:

* The token goes only to the origins that the app listed (I10). A request to any other passes as it is, and so does one
  that has an `Authorization` header already, or a user or password in its URL.
* It is not carried to another origin by a redirect, also not to a listed one. Redirects are followed inside the client,
  between two steps of this flow: the client drops the header wherever scheme, host or port change. Its one exception is
  the change from http to https on the default ports, so that http on port 80 can only be listed together with that.
* An answer 401 to a request that bore the token means that this very token is dead, whoever said so, a proxy or the
  server. It is renewed, all requests joining the one refresh, and the refused request is repeated once, never twice:
  after redirects that is the last one of them, not the first. A second 401 is the app's.
* A body that is a stream (a generator, a file, a form with files) can be sent once. Its token is renewed beforehand if
  it has less than a minute left, or less than half of the longest life seen if that is shorter. After a 401 such a
  request raises `BodyNotReplayable`; the token has then been renewed.

When the request is done the header is taken off again, so that a request that is kept or sent once more holds no token.
This module must never print a token, and never decide whether one is good.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Generator, Iterable
from typing import Final

import httpx

from syncauth.adapters.bearer_origins import Origin, origin_of
from syncauth.adapters.bearer_tokens import TokenSource
from syncauth.errors import BodyNotReplayable, InvalidConfig
from syncauth.models import Secret

STREAM_LIFE_SECONDS: Final = 60.0
"""What a token should have left when a body is sent that can be sent once only."""

_HEADER: Final = "Authorization"
_UNAUTHORIZED: Final = 401


def make_auth(tokens: TokenSource, origins: frozenset[Origin]) -> httpx.Auth:
    """Return an `auth` for synchronous and asynchronous clients of every library that is installed here.

    Clients accept nothing but an instance of their own `Auth`, so that this is one of each of them.

    Raises:
        InvalidConfig: http on port 80 is listed without https on port 443 of the same host.
    """
    for origin in origins:
        partner = Origin("https", origin.host, 443)
        if (origin.scheme, origin.port) == ("http", 80) and partner not in origins:
            why = f"HTTP clients carry the header over a redirect from {origin} to {partner}"
            remedy = f"List {partner} too, or use another port"
            what = "this origin cannot be listed alone"
            raise InvalidConfig(what, setting="origins", why=why, remedy=remedy)
    kinds = dict.fromkeys((_BearerFlow, httpx.Auth, *_auth_of_successor()))
    made: httpx.Auth = type("BearerAuth", tuple(kinds), {})(tokens, origins)
    return made


def _auth_of_successor() -> tuple[type, ...]:
    """Return the `Auth` of httpx2, which syncauth does not need, if the app has installed it."""
    try:
        return (importlib.import_module("httpx2").Auth,)
    except ImportError:
        return ()


class _BearerFlow:
    """The two flows; `requires_request_body` and the like are inherited from the library's own class."""

    def __init__(self, tokens: TokenSource, origins: frozenset[Origin]) -> None:
        self._tokens = tokens
        self._origins = origins
        self._longest_life = 0.0

    def __repr__(self) -> str:
        """Name the origins."""
        return f"<BearerAuth for {', '.join(sorted(map(str, self._origins)))}>"

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with the token, and once more if that was refused; in the client's thread.

        Raises:
            TokenUnavailableError, ReloginRequiredError, NotLoggedInError, UserRemovedError: there is no token now.
            BodyNotReplayable: it was refused, and its body cannot be sent twice.
            Closed: the App is closed, or this is its loop, which must not wait.
        """
        if not self._is_meant(request):
            yield request
            return
        used = [request]
        try:
            token = self._tokens.usable_access_token()
            if token is None or self._needs_longer(request):
                token = self._tokens.valid_access_token_now(token)
                self._note_life()
            response = yield _sign(request, token)
            used += _requests_of(response)
            if _refuses(response, token):
                response.read()  # gives its connection back, before the wait
                token = self._tokens.valid_access_token_now(token)
                response = yield _sign(_repeatable(response.request, request), token)
                used += _requests_of(response)
        finally:
            _take_off(used)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same in the App's own loop; raises what `sync_auth_flow` does."""
        if not self._is_meant(request):
            yield request
            return
        used = [request]
        try:
            token = self._tokens.usable_access_token()
            if token is None or self._needs_longer(request):
                token = await self._tokens.valid_access_token(token)
                self._note_life()
            response = yield _sign(request, token)
            used += _requests_of(response)
            if _refuses(response, token):
                await response.aread()
                token = await self._tokens.valid_access_token(token)
                response = yield _sign(_repeatable(response.request, request), token)
                used += _requests_of(response)
        finally:
            _take_off(used)

    def _is_meant(self, request: httpx.Request) -> bool:
        return _HEADER not in request.headers and origin_of(request.url) in self._origins

    def _needs_longer(self, request: httpx.Request) -> bool:
        """Tell whether the present token may end before a body has arrived that is sent only once."""
        if _is_in_memory(request):
            return False
        half = self._longest_life / 2 or STREAM_LIFE_SECONDS
        return self._tokens.remaining_life() < min(STREAM_LIFE_SECONDS, half)

    def _note_life(self) -> None:
        self._longest_life = max(self._longest_life, self._tokens.remaining_life())


def _sign(request: httpx.Request, token: Secret) -> httpx.Request:
    request.headers[_HEADER] = f"Bearer {token.reveal()}"
    return request


def _refuses(response: httpx.Response, token: Secret) -> bool:
    """Tell whether this token was not taken; an answer after a redirect to elsewhere says nothing of it."""
    shown = response.request.headers.get(_HEADER)
    return response.status_code == _UNAUTHORIZED and shown == f"Bearer {token.reveal()}"


def _repeatable(refused: httpx.Request, first: httpx.Request) -> httpx.Request:
    """Return the refused request if its body is still there: its own, or the first one's that a redirect kept."""
    kept = refused.stream is first.stream and _is_in_memory(first)
    if kept or _is_in_memory(refused):
        return refused
    raise BodyNotReplayable(method=refused.method, origin=str(origin_of(refused.url)))


def _is_in_memory(request: httpx.Request) -> bool:
    """Tell whether the whole body has been read; the two libraries raise each its own `RequestNotRead`."""
    try:
        _ = request.content
    except RuntimeError:
        return False
    return True


def _requests_of(response: httpx.Response) -> list[httpx.Request]:
    """Return every request that may bear the token: those that led here, and the one that the app may follow."""
    asked = [each.request for each in (*response.history, response)]
    return asked if response.next_request is None else [*asked, response.next_request]


def _take_off(requests: Iterable[httpx.Request]) -> None:
    for request in requests:
        request.headers.pop(_HEADER, None)
