"""
The token calls of an App Services compatible server, and the one door to httpx on the client.

Every call is bounded as a whole by `AppConfig.token_deadline`, since the time-outs of httpx are per
phase. No redirect is followed, no proxy, cookie or `.netrc` of the environment is used, and nothing
is sent twice: whoever wants a repetition calls again. What an answer means is judged in
`http_judgement`. This module must never log, and never raise an exception that holds a request.
"""

from __future__ import annotations

import asyncio
import platform
import ssl
import sys
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, TypeVar

import httpx
import msgspec

from syncauth.adapters.http_answers import (
    JSON,
    Answer,
    Malformed,
    NoLocation,
    Outcome,
    Silence,
    read_login,
    read_profile,
    read_retry_after,
)
from syncauth.adapters.http_judgement import is_doubtful, judge_refresh, judge_revoke, refusal
from syncauth.adapters.http_location import API, Location, read_location
from syncauth.config import AppConfig
from syncauth.errors import (
    Closed,
    CredentialsRefused,
    InsecureServer,
    InvalidConfig,
    SyncAuthError,
    UnexpectedAnswer,
)
from syncauth.interfaces import Clock
from syncauth.models import Credentials, Login, Misconfigured, RefreshAnswer, Secret

LONGEST_ANSWER_BYTES: Final = 1_000_000
IDLE_SECONDS: Final = 2.0
"""How long an idle connection is kept: one that the server is about to close loses a request."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Call:
    """One request below the API's root; `token` travels in the Authorization header alone."""

    method: str
    path: str
    token: Secret | None = None
    body: bytes | None = None


class HttpProvider:
    """`IdentityProvider` over HTTP/1.1; its constructor does no I/O."""

    def __init__(
        self, config: AppConfig, *, clock: Clock, tls: ssl.SSLContext | None = None
    ) -> None:
        """Take the settings; `tls` defaults to the certificates that the machine trusts."""
        self._config = config
        self._clock = clock
        self._tls = tls
        self._client: httpx.AsyncClient | None = None
        self._closed = False
        self._location: Location | None = None
        self._app = f"/app/{config.app_id}"

    @property
    def name(self) -> str:
        """Name the issuer: the server and the app."""
        return f"{self._config.base_url} {self._config.app_id}"

    @property
    def repeat_safe(self) -> bool:
        """A bundled server repeats its answer for the same refresh id; App Services never rotates."""
        return True

    # --- the calls of `IdentityProvider` ---------------------------------------------------------

    async def register(self, email: str, password: str) -> None:
        """Make an account.

        Raises:
            AccountNameInUse: the name is taken.
            CredentialsRefused: the server does not take this name or password.
            ServerUnreachable, ServerBusy: time will tell.
            UnexpectedAnswer, InsecureServer: the server is not what it should be.
        """
        path = f"{self._app}/auth/providers/local-userpass/register"
        call = _Call("POST", path, body=_encode({"email": email, "password": password}))
        outcome = await self._bounded(self._ask(call))
        empty_or_json = isinstance(outcome, Answer) and outcome.media_type in ("", JSON)
        if not (isinstance(outcome, Answer) and outcome.granted and empty_or_json):
            raise refusal(outcome, secrets=(Secret(password),))

    async def log_in(self, credentials: Credentials) -> Login:
        """Open a rotating session, and read the profile.

        Raises:
            CredentialsRefused: a person must type them again.
            ServerUnreachable, ServerBusy: time will tell.
            UnexpectedAnswer, InsecureServer: the server is not what it should be.
        """
        outcome = await self._bounded(self._log_in(credentials))
        if isinstance(outcome, Login):
            return outcome
        raise outcome if isinstance(outcome, SyncAuthError) else refusal(outcome)

    async def refresh(self, refresh_token: Secret, refresh_id: str) -> RefreshAnswer:
        """Renew the pair; the same `refresh_id` may be sent again at any time.

        Raises:
            Closed: the provider was closed.
        """
        call = _Call("POST", "/auth/session", refresh_token, _encode({"refresh_id": refresh_id}))
        try:
            outcome = await self._bounded(self._ask(call))
        except InsecureServer as error:
            return Misconfigured(str(error))
        return judge_refresh(outcome, refresh_token)

    async def revoke(self, refresh_token: Secret) -> bool:
        """End the session; True when the server confirmed it or does not know it.

        Raises:
            Closed: the provider was closed.
        """
        call = _Call("DELETE", "/auth/session", refresh_token)
        try:
            return judge_revoke(await self._bounded(self._ask(call)))
        except InsecureServer:
            return False

    async def aclose(self) -> None:
        """Close the connections; idempotent. What is under way ends as unanswered."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    # --- the location ----------------------------------------------------------------------------

    async def sync_url(self, *, again: bool) -> str:
        """Return the address of the sync socket; `again` after it could not be reached.

        Where the server cannot be asked now, it is the one last known, or else the configured one.

        Raises:
            InsecureServer: the server names a place where tokens must not go.
            Closed: the provider was closed.
        """
        known = self._location
        if again:
            self._location = None
        found = await self._bounded(self._locate())
        if isinstance(found, Location):
            return found.socket
        return known.socket if known else self._config.sync_url

    async def _locate(self) -> Location | Silence | NoLocation:
        """Return where the server lives, and look it up if that is not known."""
        if self._location is not None:
            return self._location
        path = f"{self._config.base_url}{API}{self._app}/location"
        answer = await self._send("GET", path)
        if isinstance(answer, Silence):
            return answer
        if not answer.granted or answer.media_type != JSON:
            return NoLocation(answer)
        try:
            self._location = read_location(answer, self._config)
        except Malformed:
            return NoLocation(answer)
        return self._location

    # --- requests --------------------------------------------------------------------------------

    async def _log_in(self, credentials: Credentials) -> Login | Outcome | SyncAuthError:
        """Log in and read the profile; a session whose profile is refused is ended again."""
        path = f"{self._app}/auth/providers/{credentials.provider}/login"
        body = credentials.payload | {"options": {"device": _device(), "rotate": True}}
        answer = await self._ask(_Call("POST", path, body=_encode(body)))
        if not isinstance(answer, Answer) or not answer.granted or answer.media_type != JSON:
            return refusal(answer, secrets=_secrets_of(credentials))
        try:
            login = read_login(answer)
        except Malformed as error:
            return _unusable(answer, error)
        tokens = login.tokens
        profile = await self._ask(_Call("GET", "/auth/profile", tokens.access))
        if not isinstance(profile, Answer) or not profile.granted or profile.media_type != JSON:
            failure = refusal(profile, secrets=(tokens.access,))
        else:
            try:
                return replace(login, profile=read_profile(profile, login.user_id))
            except Malformed as error:
                failure = _unusable(profile, error)
        await self._ask(_Call("DELETE", "/auth/session", tokens.refresh))
        return failure

    async def _ask(self, call: _Call) -> Outcome:
        """Make one call where the server lives; after trouble on the way, look that up again."""
        location = await self._locate()
        if not isinstance(location, Location):
            return location
        answer = await self._send(call.method, f"{location.http}{API}{call.path}", call)
        if isinstance(answer, Silence) or (answer.media_type != JSON and is_doubtful(answer)):
            self._location = None
        return answer

    async def _send(self, method: str, url: str, call: _Call | None = None) -> Answer | Silence:
        """Send one request and read its answer; no exception of httpx gets out."""
        headers, content = httpx.Headers(encoding="utf-8"), None
        try:
            if call is not None and call.token is not None:
                headers["Authorization"] = f"Bearer {call.token.reveal()}"
            if call is not None and call.body is not None:
                headers["Content-Type"] = JSON
                content = call.body
            client = self._open_client()
            async with client.stream(method, url, headers=headers, content=content) as response:
                return await self._read(response)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, UnicodeError) as error:
            return _silence(error)

    async def _read(self, response: httpx.Response) -> Answer | Silence:
        body = b""
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > LONGEST_ANSWER_BYTES:
                return Silence("the answer is too long to be one of the server", online=True)
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        wait = read_retry_after(response.headers.get("Retry-After"), self._clock.wall())
        return Answer(response.status_code, media_type, body, wait)

    async def _bounded(self, call: Coroutine[Any, Any, _T]) -> _T | Silence:
        """Give a call `token_deadline` seconds as a whole; when they are over it is cancelled."""
        try:
            async with asyncio.timeout(self._config.token_deadline):
                return await call
        except TimeoutError:
            self._location = None
            return Silence("the server did not answer in time")

    def _open_client(self) -> httpx.AsyncClient:
        """Return the one client, made at the first call."""
        if self._closed:
            raise Closed("the App was closed", remedy="Make a new App")
        if self._client is None:
            phase = self._config.token_deadline
            self._client = httpx.AsyncClient(
                verify=self._tls or ssl.create_default_context(),
                trust_env=False,
                follow_redirects=False,
                http1=True,
                http2=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                headers={"Accept": JSON, "Accept-Encoding": "identity", "User-Agent": "syncauth"},
                timeout=httpx.Timeout(phase, connect=min(self._config.connect_timeout, phase)),
                limits=httpx.Limits(
                    max_connections=4, max_keepalive_connections=2, keepalive_expiry=IDLE_SECONDS
                ),
            )
        return self._client


def _silence(error: Exception) -> Silence:
    """Say what went wrong by the class alone: the texts of httpx may hold what was sent."""
    if isinstance(error, httpx.TimeoutException):
        return Silence("the server did not answer in time")
    if isinstance(error, (httpx.ConnectError, UnicodeError)):
        return Silence("no connection to the server could be made")
    if isinstance(error, httpx.NetworkError):
        return Silence("the connection to the server broke")
    return Silence("what came is no whole HTTP answer", online=True)


def _unusable(answer: Answer, error: Malformed) -> UnexpectedAnswer:
    what = "the server's answer to the login cannot be used"
    remedy = "Check that the URL is that of a syncauth or App Services server"
    return UnexpectedAnswer(what, status=answer.status, why=error.why, remedy=remedy)


def _encode(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeError:  # its text shows where in a password
        why = "a text in them is no Unicode: it holds half of a surrogate pair"
        raise CredentialsRefused(code="InvalidText", why=why) from None
    except TypeError as error:
        what, remedy = "these credentials cannot be sent", "Give texts and numbers"
        raise InvalidConfig(what, setting="credentials", why=str(error), remedy=remedy) from None


def _secrets_of(credentials: Credentials) -> tuple[Secret, ...]:
    texts = (text for name, text in credentials.payload.items() if name != "username")
    return tuple(Secret(text) for text in texts if isinstance(text, str))


def _device() -> dict[str, str]:
    """Say what the login comes from: the kind of program, nothing about the person."""
    return {"sdk": "syncauth", "platform": sys.platform, "platformVersion": platform.release()}
