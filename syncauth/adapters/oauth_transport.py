"""
The requests of the OAuth 2.0 provider, and its one door to httpx.

Every request is bounded as a whole, since the time-outs of httpx are per phase. No redirect is
followed, no proxy, cookie or `.netrc` of the environment is used, nothing is sent twice. This
module must never judge an answer, never log, and never raise an exception that holds a request.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import quote_plus, urlencode

import httpx

from syncauth.adapters.oauth_answers import Answer, Outcome, Silence
from syncauth.errors import Closed
from syncauth.models import Secret
from syncauth.sansio.patience import read_date, read_retry_after

LONGEST_ANSWER_BYTES: Final = 1_000_000
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


class Transport:
    """Sends forms and reads answers; its constructor does no I/O."""

    def __init__(self, *, deadline: float, tls: ssl.SSLContext | None) -> None:
        """Bound every request by `deadline` seconds; `tls` defaults to what the machine trusts."""
        self._deadline = deadline
        self._tls = tls
        self._client: httpx.AsyncClient | None = None
        self._closed = False

    async def get(self, url: str, *, bearer: Secret | None = None) -> Outcome:
        """Fetch a document, with an access token if one is given.

        Raises:
            Closed: the provider was closed.
        """
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer.reveal()}"}
        return await self._bounded("GET", url, headers, None)

    async def post(
        self, url: str, form: dict[str, str], *, basic: tuple[str, Secret] | None = None
    ) -> Outcome:
        """Send a form, with the client's name and secret in a header if they are given.

        Raises:
            Closed: the provider was closed.
        """
        headers = {"Content-Type": FORM}
        if basic is not None:
            # RFC 6749 section 2.3.1: both are encoded as in a form before they are joined.
            name, secret = quote_plus(basic[0]), quote_plus(basic[1].reveal())
            joined = b64encode(f"{name}:{secret}".encode()).decode()
            headers["Authorization"] = f"Basic {joined}"
        try:
            content = urlencode(form).encode()
        except UnicodeError:  # its text shows where in a password
            return Silence("a text holds half of a surrogate pair", online=True, sent=False)
        return await self._bounded("POST", url, headers, content)

    async def aclose(self) -> None:
        """Close the connections; idempotent. What is under way ends as unanswered."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _bounded(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None
    ) -> Outcome:
        client = self._open_client()
        try:
            async with asyncio.timeout(self._deadline):
                return await _send(client, method, url, headers, content)
        except TimeoutError:
            return Silence("the server did not answer in time")

    def _open_client(self) -> httpx.AsyncClient:
        """Return the one client, made at the first call."""
        if self._closed:
            raise Closed("the identity provider was closed", remedy="Make a new one")
        if self._client is None:
            # A connection that is not made in half of the time surely carried nothing.
            timeout = httpx.Timeout(self._deadline, connect=self._deadline / 2)
            self._client = httpx.AsyncClient(
                verify=self._tls or ssl.create_default_context(),
                trust_env=False,
                follow_redirects=False,
                http1=True,
                http2=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                headers={"Accept": JSON, "Accept-Encoding": "identity", "User-Agent": "syncauth"},
                timeout=timeout,
                # None is kept: one that the server is about to close would lose a request, and a
                # refresh that may have arrived can cost a login. Token calls are rare.
                limits=httpx.Limits(max_connections=4, max_keepalive_connections=0),
            )
        return self._client


async def _send(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    headers: dict[str, str],
    content: bytes | None,
) -> Outcome:
    """Send one request and read its answer; no exception of httpx gets out."""
    try:
        async with client.stream(method, url, headers=headers, content=content) as response:
            return await _read(response)
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, UnicodeError) as error:
        return _silence(error)


async def _read(response: httpx.Response) -> Outcome:
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > LONGEST_ANSWER_BYTES:
            return Silence("the answer is too long to be one of the server", online=True)
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    sent_at = read_date(response.headers.get("Date"))
    wait = read_retry_after(response.headers.get("Retry-After"), sent_at)
    return Answer(response.status_code, media_type, body, wait, sent_at)


def _silence(error: Exception) -> Silence:
    """Say what went wrong by the class alone: the texts of httpx may hold what was sent."""
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return Silence("no connection to the server could be made", sent=False)
    if isinstance(error, (UnicodeError, httpx.InvalidURL)):
        return Silence("the request could not be written", sent=False)
    if isinstance(error, httpx.TimeoutException):
        return Silence("the server did not answer in time")
    if isinstance(error, httpx.NetworkError):
        return Silence("the connection to the server broke")
    return Silence("what came is no whole HTTP answer", online=True)
