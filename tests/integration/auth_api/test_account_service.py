"""
Links, keys, functions, confirmation and reset: the client's account service against `syncauth serve`.

The server is a process of its own with a team's module beside its settings; mail goes into a file.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any

import pytest

from syncauth.adapters.clock import SystemClock
from syncauth.adapters.http_accounts import HttpAccounts
from syncauth.adapters.http_calls import HttpCalls
from syncauth.adapters.http_provider import HttpProvider
from syncauth.config import AppConfig
from syncauth.errors import CredentialsRefused, FunctionFailed, ServerUnreachable
from syncauth.interfaces import AccessRejected
from syncauth.models import Credentials, Login, Refused, Renewed, Secret
from tests.support.processes import EMAIL, PASSWORD, Server, configure

ANN = Credentials.email_password(EMAIL, PASSWORD)
LIMIT_SECONDS = 10
TEAM = """
import json, pathlib, time
from syncauth.errors import FunctionError

def echo(context, value): return value
def who(context): return context.user_id
def refuse(context, text): raise FunctionError("no stamps left for " + text)
def sleep(context): time.sleep(3)

def mail(message):
    with pathlib.Path(__file__).with_name("mail.jsonl").open("a") as box:
        box.write(json.dumps({"to": message.to, "text": message.text}) + "\\n")

def judge(request): return "success" if request.arguments[:1] == ("mother", ) else "fail"
def confirm(request): return "pending"
"""
FUNCTIONS = "\n".join(
    ["[functions]", *(f'{name} = "team:{name}"' for name in ("echo", "who", "refuse", "sleep"))]
)
BY_MAIL = """
[email]
confirmation = "mail"
reset = "mail"
confirm_url = "https://example.com/confirm"
reset_url = "https://example.com/reset"
[hooks]
mail = "team:mail"
"""
BY_FUNCTION = """
[email]
confirmation = "function"
reset = "function"
[hooks]
confirm = "team:confirm"
reset = "team:judge"
"""
Start = Callable[[str], Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server with these settings."""
    with ExitStack() as stack:

        def begin(settings: str = "") -> Server:
            (tmp_path / "team.py").write_text(TEAM)
            schema = "CREATE TABLE IF NOT EXISTS notes (_partition TEXT NOT NULL, id TEXT NOT NULL,"
            schema += " PRIMARY KEY (_partition, id))"
            configure(tmp_path, schema, f"[tables.notes]\n{FUNCTIONS}\n{settings}")
            return stack.enter_context(Server(tmp_path))

        yield begin


class Client:
    """Both adapters over the same calls."""

    def __init__(self, url: str, **settings: Any) -> None:
        config = AppConfig(url, "test", PurePath("unused"), **settings)
        self.calls = HttpCalls(config, clock=SystemClock())
        self.provider = HttpProvider(self.calls)
        self.accounts = HttpAccounts(self.calls)

    async def enter(self) -> Login:
        """Make the account and log in."""
        await self.accounts.register(EMAIL, PASSWORD)
        return await self.provider.log_in(ANN)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Client]]:
    """Make clients, closed at the end of the test."""
    made: list[Client] = []

    def make(server: Server, **settings: Any) -> Client:
        made.append(Client(server.url, **settings))
        return made[-1]

    yield make
    for client in made:
        await client.calls.aclose()


Connect = Callable[..., Client]


def mailed(directory: Path, number: int) -> tuple[str, str]:
    """Wait for the mail of this number and return its token and token id."""
    box, end = directory / "mail.jsonl", time.monotonic() + LIMIT_SECONDS
    while True:
        lines = box.read_text().splitlines() if box.exists() else []
        if len(lines) >= number:
            break
        assert time.monotonic() < end, "no mail came"
        time.sleep(0.01)
    text = json.loads(lines[number - 1])["text"].replace("&", " ").replace("?", " ")
    words = dict(word.split("=", 1) for word in text.split() if "=" in word)
    return words["token"], words["tokenId"]


async def test_an_anonymous_user_gets_a_name_and_stays_the_same(
    start: Start, connect: Connect
) -> None:
    """Linked, the password leads to the same user; the session that was there goes on."""
    client = connect(start(""))
    login = await client.provider.log_in(Credentials.anonymous())
    await client.accounts.register(EMAIL, PASSWORD)
    wrong = Credentials.email_password(EMAIL, "a wrong one")
    with pytest.raises(CredentialsRefused) as raised:
        await client.accounts.link(login.tokens.access, wrong)
    assert raised.value.code == "InvalidPassword"
    await client.accounts.link(login.tokens.access, ANN)
    await client.accounts.link(login.tokens.access, ANN)  # as after a lost answer
    profile = await client.accounts.profile(login.tokens.access)
    assert {one.provider_type for one in profile.identities} == {"anon-user", "local-userpass"}
    assert (await client.provider.log_in(ANN)).user_id == login.user_id
    assert isinstance(await client.provider.refresh(login.tokens.refresh, "id-1"), Renewed)


async def test_an_identity_of_another_user_is_not_linked(start: Start, connect: Connect) -> None:
    """It is refused as taken, and no token is blamed; one that is none is."""
    client = connect(start(""))
    await client.enter()
    other = await client.provider.log_in(Credentials.anonymous())
    with pytest.raises(CredentialsRefused) as raised:
        await client.accounts.link(other.tokens.access, ANN)
    assert raised.value.code == "AccountNameInUse"
    assert await client.provider.revoke(other.tokens.refresh)
    with pytest.raises(AccessRejected):
        await client.accounts.link(other.tokens.access, ANN)


async def test_keys_are_made_used_disabled_and_deleted(start: Start, connect: Connect) -> None:
    """The whole life of a key; a session that has ended manages none."""
    client = connect(start(""))
    login = await client.enter()
    accounts, refresh = client.accounts, login.tokens.refresh
    made = await accounts.create_api_key(refresh, "kiosk")
    assert made.key is not None
    by_key = Credentials.api_key(made.key.reveal())
    assert (await client.provider.log_in(by_key)).user_id == login.user_id
    (listed,) = await accounts.api_keys(refresh)
    assert (listed.id, listed.name, listed.disabled, listed.key) == (made.id, "kiosk", False, None)
    await accounts.enable_api_key(refresh, made.id, enabled=False)
    assert (await accounts.api_key(refresh, made.id)).disabled
    with pytest.raises(CredentialsRefused):
        await client.provider.log_in(by_key)
    await accounts.enable_api_key(refresh, made.id, enabled=True)
    await client.provider.log_in(by_key)
    with pytest.raises(CredentialsRefused) as taken:
        await accounts.create_api_key(refresh, "kiosk")
    assert taken.value.code == "APIKeyAlreadyExists"
    await accounts.delete_api_key(refresh, made.id)
    with pytest.raises(CredentialsRefused) as gone:
        await accounts.api_key(refresh, made.id)
    assert gone.value.code == "APIKeyNotFound"
    await client.provider.revoke(refresh)
    with pytest.raises(AccessRejected):
        await accounts.api_keys(refresh)


async def test_functions_take_and_give_values_with_their_types(
    start: Start, connect: Connect
) -> None:
    """Whatever Extended JSON has comes back as it went."""
    client = connect(start(""))
    login = await client.provider.log_in(Credentials.anonymous())
    access = login.tokens.access
    assert await client.accounts.call_function(access, "who", (), None) == login.user_id
    value = {
        "whole": 2**40,
        "part": 0.5,
        "exact": Decimal("1.10"),
        "day": datetime(2020, 1, 1, tzinfo=UTC),
        "bytes": b"\x00\xff",
        "id": uuid.UUID(int=7),
        "list": [None, True, "ö"],
    }
    assert await client.accounts.call_function(access, "echo", (value,), None) == value


async def test_functions_that_fail_are_told_with_their_code(start: Start, connect: Connect) -> None:
    """What the team says is told, unless it repeats an argument (I10)."""
    client = connect(start(""))
    access = (await client.provider.log_in(Credentials.anonymous())).tokens.access
    cases: list[tuple[str, tuple[Any, ...], str, str]] = [
        ("refuse", ("Ann",), "FunctionExecutionError", "no stamps left for Ann"),
        ("refuse", ("hunter2",), "FunctionExecutionError", ""),
        ("missing", (), "FunctionNotFound", "missing"),
        ("echo", (), "InvalidParameter", "does not take"),
    ]
    for name, arguments, code, why in cases:
        with pytest.raises(FunctionFailed) as raised:
            await client.accounts.call_function(access, name, arguments, None)
        assert raised.value.code == code
        assert why in raised.value.why
        assert "hunter2" not in str(raised.value)
    with pytest.raises(AccessRejected):
        await client.accounts.call_function(Secret(f"{access.reveal()}x"), "who", (), None)


async def test_a_slow_function_ends_by_its_own_deadline(start: Start, connect: Connect) -> None:
    """And the session goes on meanwhile and afterwards."""
    client = connect(start(""), function_deadline=0.3)
    login = await client.provider.log_in(Credentials.anonymous())
    with pytest.raises(ServerUnreachable, match="may have run"):
        await client.accounts.call_function(login.tokens.access, "sleep", (), None)
    assert isinstance(await client.provider.refresh(login.tokens.refresh, "id-1"), Renewed)


async def test_addresses_are_confirmed_and_passwords_reset_by_mail(
    start: Start, connect: Connect, tmp_path: Path
) -> None:
    """Before the confirmation no login works; after the reset only the new password does."""
    client = connect(start(BY_MAIL))
    accounts = client.accounts
    await accounts.register(EMAIL, PASSWORD)
    with pytest.raises(CredentialsRefused):
        await client.provider.log_in(ANN)
    mailed(tmp_path, 1)
    await accounts.resend_confirmation(EMAIL)
    token, token_id = mailed(tmp_path, 2)
    with pytest.raises(CredentialsRefused) as raised:
        await accounts.confirm("another token", token_id)
    assert raised.value.code == "UserpassTokenInvalid"
    await accounts.confirm(token, token_id)
    login = await client.provider.log_in(ANN)
    await accounts.send_reset(EMAIL)
    token, token_id = mailed(tmp_path, 3)
    await accounts.reset_password(token, token_id, "the new password")
    assert isinstance(await client.provider.refresh(login.tokens.refresh, "id-1"), Refused)
    with pytest.raises(CredentialsRefused):
        await client.provider.log_in(ANN)
    await client.provider.log_in(Credentials.email_password(EMAIL, "the new password"))
    with pytest.raises(CredentialsRefused):
        await accounts.reset_password(token, token_id, "once more")


async def test_passwords_are_reset_by_function(start: Start, connect: Connect) -> None:
    """The team's function judges by the arguments that the app gives."""
    client = connect(start(BY_FUNCTION.replace('confirmation = "function"', "")))
    await client.enter()
    with pytest.raises(CredentialsRefused) as raised:
        await client.accounts.call_reset_function(EMAIL, "the new password", ("father",))
    assert "new password" not in str(raised.value)
    await client.accounts.call_reset_function(EMAIL, "the new password", ("mother", 7))
    await client.provider.log_in(Credentials.email_password(EMAIL, "the new password"))


async def test_a_confirmation_by_function_can_be_asked_for_again(
    start: Start, connect: Connect
) -> None:
    """It is pending until the team's own way has ended; the account does not log in before."""
    client = connect(start(BY_FUNCTION))
    await client.accounts.register(EMAIL, PASSWORD)
    await client.accounts.retry_confirmation(EMAIL)
    with pytest.raises(CredentialsRefused):
        await client.provider.log_in(ANN)
