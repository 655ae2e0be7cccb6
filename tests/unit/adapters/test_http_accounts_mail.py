"""Account calls without a token against servers that answer oddly."""

from __future__ import annotations

import json

import pytest

from syncauth.adapters.http_accounts import HttpAccounts
from syncauth.adapters.http_calls import HttpCalls
from syncauth.errors import (
    AccountNameInUse,
    CredentialsRefused,
    ServerUnreachable,
)
from tests.support.account_calls import (
    ANN,
    EMAIL,
    LINK,
    MAIL,
    ODD,
    TOKEN,
    TOKENED,
    USERPASS,
    fails,
)
from tests.support.account_replies import (
    PASSWORD,
)
from tests.support.odd_server import (
    OddServer,
    answer,
    denial,
    json_answer,
    silence,
)


@pytest.mark.parametrize("name", MAIL)
async def test_calls_without_a_token_send_what_was_given(
    odd: OddServer, accounts: HttpAccounts, name: str
) -> None:
    """The body as the API has it, no Authorization, and every empty or JSON 2xx is success."""
    verb, act, body = MAIL[name]
    for granted in (answer(204), answer(201), answer(200), json_answer(200, {})):
        odd.reply(f"{USERPASS}/{verb}", granted)
        assert await act(accounts) is None
    request = odd.seen(f"{USERPASS}/{verb}")[0]
    assert request.method == "POST"
    assert json.loads(request.body) == body
    assert "authorization" not in request.headers


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("name", MAIL)
async def test_calls_without_a_token_say_who_must_act(
    odd: OddServer, accounts: HttpAccounts, name: str, case: str
) -> None:
    """Neither a sign-in page nor a failing server counts as done."""
    verb, act, _ = MAIL[name]
    reply, kind = ODD[case]
    odd.reply(f"{USERPASS}/{verb}", reply)
    assert type(await fails(act(accounts))) is kind
    assert len(odd.seen(f"{USERPASS}/{verb}")) == 1


async def test_a_name_in_use_is_told_as_such(odd: OddServer, accounts: HttpAccounts) -> None:
    """At a registration alone: a linking that meets one was refused."""
    odd.reply(f"{USERPASS}/register", denial(409, "AccountNameInUse", "name already in use"))
    error = await fails(accounts.register(EMAIL, PASSWORD))
    assert isinstance(error, AccountNameInUse)
    assert error.why == "name already in use"
    odd.reply(LINK, denial(409, "AccountNameInUse"))
    refused = await fails(accounts.link(TOKEN, ANN))
    assert isinstance(refused, CredentialsRefused)
    assert refused.code == "AccountNameInUse"


@pytest.mark.parametrize("name", MAIL)
async def test_what_the_server_repeats_of_a_secret_is_not_told(
    odd: OddServer, accounts: HttpAccounts, name: str
) -> None:
    """A text that holds the password or a mailed token is dropped, its code stays (I10)."""
    verb, act, body = MAIL[name]
    said = " ".join(str(each) for each in body.values())
    odd.reply(f"{USERPASS}/{verb}", denial(400, "BadRequest", f"{said} is bad"))
    error = await fails(act(accounts))
    assert isinstance(error, CredentialsRefused)
    assert error.code == "BadRequest"


@pytest.mark.parametrize("name", [*MAIL, *TOKENED])
async def test_every_call_is_bounded(odd: OddServer, hasty_calls: HttpCalls, name: str) -> None:
    """A server that says nothing holds nobody."""
    if name in MAIL:
        verb, act, _ = MAIL[name]
        path = f"{USERPASS}/{verb}"
    else:
        _, path, _, act = TOKENED[name]
    odd.reply(path, silence)
    error = await fails(act(HttpAccounts(hasty_calls)))
    assert isinstance(error, ServerUnreachable)
    assert "in time" in error.why
