"""
Calls to an App Services compatible server, and the one door to httpx of the client's adapters.

Token calls and account calls share one client, one location and one way to be bounded: a call ends
as a whole by its deadline, since the time-outs of httpx are per phase. No redirect is followed, no
proxy, cookie or `.netrc` of the environment is used, and nothing is sent twice: whoever wants a
repetition calls again. This module must never judge what an answer means (`http_judgement` does),
never log, and never raise an exception that holds a request.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx

from syncauth.adapters.http_answers import (
    JSON,
    Answer,
    Malformed,
    NoLocation,
    Outcome,
    Silence,
)
from syncauth.adapters.http_judgement import is_doubtful
from syncauth.adapters.http_location import API, Location, read_location
from syncauth.config import AppConfig
from syncauth.errors import Closed
from syncauth.interfaces import Clock
from syncauth.models import Secret
from syncauth.sansio.patience import read_retry_after

LONGEST_ANSWER_BYTES: Final = 1_000_000
CONNECTIONS: Final = 12
"""More than the functions that may be under way, so that none of them keeps a token waiting."""
IDLE_SECONDS: Final = 2.0
"""How long an idle connection is kept: one that the server is about to close loses a request."""
_BEGINS_TO_SEND: Final = "send_request_headers.started"


@dataclass(frozen=True, slots=True)
class Call:
    """One request below the API's root; `token` travels in the Authorization header alone.

    `longest` is how many bytes the answer may have.
    """

    method: str
    path: str
    token: Secret | None = None
    body: bytes | None = None
    longest: int = LONGEST_ANSWER_BYTES


class _Progress:
    """Whether any byte of a request was sent, as httpcore's trace tells."""

    def __init__(self) -> None:
        self.sent = False

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """Take one event; its details hold the request and are not looked at."""
        self.sent = self.sent or event.endswith(_BEGINS_TO_SEND)


class HttpCalls:
    """Makes calls over HTTP/1.1 where the server lives; its constructor does no I/O."""

    def __init__(
        self, config: AppConfig, *, clock: Clock, tls: ssl.SSLContext | None = None
    ) -> None:
        """Take the settings; `tls` defaults to the certificates that the machine trusts."""
        self.config = config
        self._clock = clock
        self._tls = tls
        self._client: httpx.AsyncClient | None = None
        self._closed = False
        self._location: Location | None = None

    @property
    def app(self) -> str:
        """The path of the app below the API's root."""
        return f"/app/{self.config.app_id}"

    def deadline(self, seconds: float | None = None) -> float:
        """Return the loop's time when so many seconds are over; `token_deadline` if None."""
        wanted = self.config.token_deadline if seconds is None else seconds
        return asyncio.get_running_loop().time() + wanted

    async def ask(self, call: Call, until: float | None = None) -> Outcome:
        """Make one call where the server lives; after trouble on the way, look that up again.

        `until` is a `deadline` that calls may share; this call has its own if it is None. A call
        whose time is over is cancelled, and its connection closed.

        Raises:
            InsecureServer: the server names a place where tokens must not go; nothing was sent.
            Closed: `aclose` was called.
        """
        progress = _Progress()
        try:
            async with asyncio.timeout_at(self.deadline() if until is None else until):
                location = await self._locate()
                if not isinstance(location, Location):
                    return location
                url = f"{location.http}{API}{call.path}"
                answer = await self._send(call, url, progress)
        except TimeoutError:
            answer = Silence("the server did not answer in time", sent=progress.sent)
        if isinstance(answer, Silence) or (answer.media_type != JSON and is_doubtful(answer)):
            self._location = None
        return answer

    async def sync_url(self, *, again: bool) -> str:
        """Return the address of the sync socket; `again` after it could not be reached.

        Where the server cannot be asked now, it is the one last known, or else the configured one.

        Raises:
            InsecureServer: the server names a place where tokens must not go.
            Closed: `aclose` was called.
        """
        known = self._location
        if again:
            self._location = None
        try:
            async with asyncio.timeout_at(self.deadline()):
                found = await self._locate()
        except TimeoutError:
            found = None
        if isinstance(found, Location):
            return found.socket
        return known.socket if known else self.config.sync_url

    async def aclose(self) -> None:
        """Close the connections; idempotent. What is under way ends as unanswered."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _locate(self) -> Location | Silence | NoLocation:
        """Return where the server lives, and look it up if that is not known."""
        if self._location is not None:
            return self._location
        lookup = Call("GET", f"{self.app}/location")
        url = f"{self.config.base_url}{API}{lookup.path}"
        answer = await self._send(lookup, url, _Progress())
        if isinstance(answer, Silence):
            return Silence(answer.why, online=answer.online, sent=False)
        if not answer.granted or answer.media_type != JSON:
            return NoLocation(answer)
        try:
            self._location = read_location(answer, self.config)
        except Malformed:
            return NoLocation(answer)
        return self._location

    async def _send(self, call: Call, url: str, progress: _Progress) -> Answer | Silence:
        """Send one request and read its answer; no exception of httpx gets out."""
        headers = httpx.Headers(encoding="utf-8")
        try:
            if call.token is not None:
                headers["Authorization"] = f"Bearer {call.token.reveal()}"
            if call.body is not None:
                headers["Content-Type"] = JSON
            client = self._open_client()
            async with client.stream(
                call.method,
                url,
                headers=headers,
                content=call.body,
                extensions={"trace": progress.trace},
            ) as response:
                return await self._read(response, call.longest)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, UnicodeError) as error:
            return _silence(error, sent=progress.sent)

    async def _read(self, response: httpx.Response, longest: int) -> Answer:
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        wait = read_retry_after(response.headers.get("Retry-After"), self._clock.wall())
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > longest:
                return Answer(response.status_code, media_type, b"", wait, too_long=True)
        return Answer(response.status_code, media_type, bytes(body), wait)

    def _open_client(self) -> httpx.AsyncClient:
        """Return the one client, made at the first call."""
        if self._closed:
            raise Closed("the App was closed", remedy="Make a new App")
        if self._client is None:
            connect = min(self.config.connect_timeout, self.config.token_deadline)
            self._client = httpx.AsyncClient(
                verify=self._tls or ssl.create_default_context(),
                trust_env=False,
                follow_redirects=False,
                http1=True,
                http2=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                headers={"Accept": JSON, "Accept-Encoding": "identity", "User-Agent": "syncauth"},
                timeout=httpx.Timeout(None, connect=connect),
                limits=httpx.Limits(
                    max_connections=CONNECTIONS,
                    max_keepalive_connections=2,
                    keepalive_expiry=IDLE_SECONDS,
                ),
            )
        return self._client


def _silence(error: Exception, *, sent: bool) -> Silence:
    """Say what went wrong by the class alone: the texts of httpx may hold what was sent."""
    if isinstance(error, httpx.TimeoutException):
        return Silence("the server did not answer in time", sent=sent)
    if isinstance(error, (httpx.ConnectError, UnicodeError)):
        return Silence("no connection to the server could be made", sent=sent)
    if isinstance(error, httpx.NetworkError):
        return Silence("the connection to the server broke", sent=sent)
    return Silence("what came is no whole HTTP answer", online=True, sent=sent)
