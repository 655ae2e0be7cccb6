"""The login by a browser: what is asked, which redirect is taken, and how it ends, on real connections."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from syncauth.adapters.oauth_provider import OAuthProvider
from syncauth.errors import (
    CredentialsRefused,
    InvalidConfig,
    NotSupported,
    ServerBusy,
    SyncAuthError,
    UnexpectedAnswer,
    WaitTimedOut,
)
from syncauth.models import Login
from tests.support.odd_issuer import TOKEN, claims_of, describe, provider_of, signed, tokens
from tests.support.odd_server import OddServer, Request

LIMIT = 20.0


class Person:
    """Stands before the browser: keeps what was asked, and sends requests to the redirect address."""

    def __init__(self) -> None:
        self.asked: dict[str, str] = {}
        self.opened = asyncio.Event()
        self.answers: list[httpx.Response] = []

    async def open(self, url: str) -> None:
        """Take note of what the app asks."""
        found = parse_qs(urlsplit(url).query)
        self.asked = {name: values[0] for name, values in found.items()}
        self.opened.set()

    async def return_with(self, path: str = "", **parameters: str) -> httpx.Response:
        """Go to the redirect address with these parameters."""
        await self.opened.wait()
        where = urlsplit(self.asked["redirect_uri"])
        url = f"{where.scheme}://{where.netloc}{path or where.path}"
        async with httpx.AsyncClient(trust_env=False) as browser:
            return await browser.get(url, params=parameters)


@pytest.fixture
async def provider(odd: OddServer) -> AsyncIterator[OAuthProvider]:
    describe(odd)
    made = provider_of(odd)
    yield made
    await made.aclose()


def grant(odd: OddServer, person: Person, **changes: Any) -> None:
    """Answer the redemption with an ID token of this login."""

    async def give(_request: Request, writer: asyncio.StreamWriter) -> None:
        claims = claims_of(odd, **({"nonce": person.asked.get("nonce")} | changes))
        writer.write(tokens(id_token=signed(claims)))

    odd.reply(TOKEN, give)


async def log_in(provider: OAuthProvider, person: Person, **settings: Any) -> Login:
    settings = {"wait": LIMIT} | settings
    return await provider.log_in(provider.browser_login(person.open, **settings))


async def ended(coroutine: Any) -> Any:
    """Return what came, or what was raised."""
    try:
        return await coroutine
    except SyncAuthError as error:
        return error


async def outcome_of(
    provider: OAuthProvider, act: Callable[[Person], Any], **settings: Any
) -> tuple[Any, Person]:
    """Run a login, with a person who acts meanwhile."""
    person = Person()
    async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as group:
        login = group.create_task(ended(log_in(provider, person, **settings)))
        await act(person)
    return login.result(), person


async def test_the_code_is_redeemed_with_its_verifier(
    odd: OddServer, provider: OAuthProvider
) -> None:
    """PKCE by S256, a fresh state and nonce, a loopback address, and a page that says what now."""

    async def act(person: Person) -> None:
        grant(odd, person)
        await person.opened.wait()
        state = person.asked["state"]
        person.answers.append(await person.return_with(code="the-code", state=state))

    login, person = await outcome_of(provider, act, parameters={"login_hint": "ann"})

    assert login.user_id == f"{odd.url}|u1"
    form = {name: values[0] for name, values in parse_qs(odd.seen(TOKEN)[0].body.decode()).items()}
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    asked = person.asked
    assert asked["code_challenge"] == urlsafe_b64encode(digest).decode().rstrip("=")
    assert asked["code_challenge_method"] == "S256"
    assert len(form["code_verifier"]) == 43
    assert asked["prompt"] == "consent" and asked["login_hint"] == "ann"
    assert form["code"] == "the-code"
    assert form["redirect_uri"] == asked["redirect_uri"]
    assert urlsplit(asked["redirect_uri"]).hostname == "127.0.0.1"
    assert len({asked["state"], asked["nonce"], form["code_verifier"]}) == 3
    page = person.answers[0]
    assert page.status_code == 200 and "close this window" in page.text
    assert "the-code" not in page.text


async def test_requests_without_the_state_are_waited_past(
    odd: OddServer, provider: OAuthProvider
) -> None:
    """Another program of this machine, or a page in the browser, can neither end nor take the login."""

    async def act(person: Person) -> None:
        grant(odd, person)
        await person.opened.wait()
        state, port = person.asked["state"], urlsplit(person.asked["redirect_uri"]).port
        silent = socket.create_connection(("127.0.0.1", port or 0))
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01\r\n\r\n")
        for path, parameters in (
            ("/favicon.ico", {}),
            ("", {}),
            ("", {"code": "evil", "state": "guess"}),
            ("", {"code": "evil", "state": "é"}),
            ("/other", {"code": "evil", "state": state}),
        ):
            person.answers.append(await person.return_with(path, **parameters))
        url = f"{person.asked['redirect_uri']}?code=evil&state={state}"
        async with httpx.AsyncClient(trust_env=False) as browser:
            person.answers.append(await browser.post(url))
        await person.return_with(code="right", state=state)
        silent.close()
        writer.close()

    login, person = await outcome_of(provider, act)

    assert login.user_id == f"{odd.url}|u1"
    assert [page.status_code for page in person.answers] == [404] * 6
    assert b"code=right" in odd.seen(TOKEN)[0].body


async def test_a_browser_that_hangs_up_has_still_brought_the_code(
    odd: OddServer, provider: OAuthProvider
) -> None:
    """The page at the end is a courtesy; the login does not wait for its being read."""

    async def act(person: Person) -> None:
        grant(odd, person)
        await person.opened.wait()
        port = urlsplit(person.asked["redirect_uri"]).port or 0
        with socket.create_connection(("127.0.0.1", port)) as browser:
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            target = f"/callback?code=c&state={person.asked['state']}"
            browser.sendall(f"GET {target} HTTP/1.1\r\nHost: app\r\n\r\n".encode())

    login, _ = await outcome_of(provider, act)

    assert login.user_id == f"{odd.url}|u1"


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"error": "access_denied"}, CredentialsRefused),
        ({"error": "unauthorized_client"}, InvalidConfig),
        ({"error": "invalid_scope"}, InvalidConfig),
        ({"error": "temporarily_unavailable"}, ServerBusy),
        ({"code": "the-code", "iss": "https://evil.example"}, UnexpectedAnswer),
        ({}, UnexpectedAnswer),
        ({"code": ""}, UnexpectedAnswer),
    ],
)
async def test_a_redirect_that_brings_no_code_says_why(
    odd: OddServer, provider: OAuthProvider, parameters: dict[str, str], error: type[Exception]
) -> None:
    """Nothing is redeemed; a code of another issuer goes nowhere (RFC 9207)."""

    async def act(person: Person) -> None:
        await person.opened.wait()
        await person.return_with(state=person.asked["state"], **parameters)

    raised, _ = await outcome_of(provider, act)

    assert isinstance(raised, error)
    assert not odd.seen(TOKEN)


@pytest.mark.parametrize(("named", "taken"), [(True, True), (False, False)])
async def test_where_the_issuer_names_itself_it_must(
    odd: OddServer, named: bool, taken: bool
) -> None:
    """A redirect without the name is refused where the metadata promise it (RFC 9207)."""
    describe(odd, authorization_response_iss_parameter_supported=True)
    provider = provider_of(odd)

    async def act(person: Person) -> None:
        grant(odd, person)
        await person.opened.wait()
        more = {"iss": odd.url} if named else {}
        await person.return_with(code="c", state=person.asked["state"], **more)

    result, _ = await outcome_of(provider, act)
    await provider.aclose()

    assert isinstance(result, Login) is taken


@pytest.mark.parametrize("nonce", ["another", None, 5])
async def test_an_id_token_of_another_login_is_refused(
    odd: OddServer, provider: OAuthProvider, nonce: object
) -> None:
    """Its nonce tells which login it is for."""

    async def act(person: Person) -> None:
        grant(odd, person, nonce=nonce)
        await person.opened.wait()
        await person.return_with(code="c", state=person.asked["state"])

    raised, _ = await outcome_of(provider, act)

    assert isinstance(raised, UnexpectedAnswer) and "nonce" in str(raised)


async def test_nobody_is_waited_for_for_ever(provider: OAuthProvider) -> None:
    """The wait ends in time, and nothing listens any more."""

    async def act(person: Person) -> None:
        await person.opened.wait()

    raised, person = await outcome_of(provider, act, wait=0.3)

    assert isinstance(raised, WaitTimedOut)
    assert not listens(person)


async def test_a_login_can_be_cancelled(provider: OAuthProvider) -> None:
    """Closing an app ends the wait at once, and nothing listens any more."""
    person = Person()
    async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as group:
        login = group.create_task(log_in(provider, person))
        await person.opened.wait()
        assert listens(person)
        login.cancel()

    assert login.cancelled()
    assert not listens(person)


async def test_a_browser_that_does_not_open_is_told(provider: OAuthProvider) -> None:
    """False means that there is none; whatever else fails is told by its name alone."""

    def broken(_url: str) -> None:
        message = "with the address in it"
        raise RuntimeError(message)

    with pytest.raises(InvalidConfig, match="another device"):
        await provider.log_in(provider.browser_login(lambda _url: False))
    with pytest.raises(InvalidConfig, match="RuntimeError") as raised:
        await provider.log_in(provider.browser_login(broken))
    assert "with the address" not in str(raised.value)


async def test_a_port_that_is_taken_is_told(provider: OAuthProvider) -> None:
    """Some servers know one port alone; then it may be in use."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidConfig, match=str(port)):
            await log_in(provider, Person(), port=port)
    for wrong in ({"port": -1}, {"port": 70_000}, {"wait": 0}):
        with pytest.raises(InvalidConfig):
            provider.browser_login(print, **wrong)


async def test_an_issuer_without_browser_login_says_so(odd: OddServer) -> None:
    """The grant is refused before anything is opened."""
    describe(odd, authorization_endpoint="", device_authorization_endpoint="")
    provider = provider_of(odd)
    with pytest.raises(NotSupported):
        await provider.log_in(provider.browser_login(print))
    with pytest.raises(NotSupported):
        await provider.log_in(provider.device_login(print))
    await provider.aclose()


def listens(person: Person) -> bool:
    """Tell whether the redirect address still takes connections."""
    where = urlsplit(person.asked["redirect_uri"])
    try:
        socket.create_connection((where.hostname or "", where.port or 0), timeout=1).close()
    except OSError:
        return False
    return True
