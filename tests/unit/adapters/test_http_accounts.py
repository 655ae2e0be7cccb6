"""Account calls with a token against servers that answer oddly: what is sent, and what comes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncauth.adapters.http_accounts import HttpAccounts
from syncauth.adapters.http_calls import LONGEST_ANSWER_BYTES
from syncauth.adapters.http_provider import HttpProvider
from syncauth.errors import (
    CredentialsRefused,
    InvalidConfig,
    InvalidToken,
    ServerUnreachable,
    UnexpectedAnswer,
)
from syncauth.interfaces import AccessRejected
from syncauth.models import ApiKey, Credentials, Secret
from tests.support.account_calls import (
    ANN,
    BASE,
    EMAIL,
    KEY,
    KEYS,
    LINK,
    ODD,
    TOKEN,
    TOKENED,
    fails,
    grant,
)
from tests.support.account_replies import (
    ACCESS,
    GRANTED,
    OLD,
    PASSWORD,
    PROFILE,
    PROFILE_OF_ANN,
)
from tests.support.odd_server import (
    LOCATION,
    SESSION,
    OddServer,
    answer,
    denial,
    json_answer,
)


@pytest.mark.parametrize("name", TOKENED)
async def test_calls_with_a_token_send_it_in_the_header_alone(
    odd: OddServer, accounts: HttpAccounts, name: str
) -> None:
    """Each with the token that the API wants (I10)."""
    method, path, token, act = TOKENED[name]
    odd.reply(path, grant(name))
    await act(accounts)
    (request,) = odd.seen(path)
    assert (request.method, request.headers["authorization"]) == (method, f"Bearer {token}")
    assert token.encode() not in request.body
    assert ("content-type" in request.headers) is bool(request.body)


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("name", TOKENED)
async def test_calls_with_a_token_say_who_must_act(
    odd: OddServer, accounts: HttpAccounts, name: str, case: str
) -> None:
    """What only a proxy says rejects no token, and nothing is sent twice."""
    _, path, _, act = TOKENED[name]
    reply, kind = ODD[case]
    odd.reply(path, reply)
    assert type(await fails(act(accounts))) is kind
    assert len(odd.seen(path)) == 1


@pytest.mark.parametrize("name", TOKENED)
async def test_an_empty_200_does_nothing(odd: OddServer, accounts: HttpAccounts, name: str) -> None:
    """A captive portal deletes no user and no key."""
    _, path, _, act = TOKENED[name]
    odd.reply(path, answer(200))
    assert isinstance(await fails(act(accounts)), ServerUnreachable)


@pytest.mark.parametrize(
    "said",
    [
        denial(401, "InvalidSession", "invalid session: expired", reason="expired"),
        json_answer(401, {"error": "unauthorized"}),
        json_answer(401, {"error": "signature is invalid"}),
    ],
)
@pytest.mark.parametrize("name", TOKENED)
async def test_a_token_that_the_server_does_not_take_is_told_as_such(
    odd: OddServer, accounts: HttpAccounts, name: str, said: bytes
) -> None:
    """With and without a code: whoever called renews it and calls once more."""
    _, path, _, act = TOKENED[name]
    odd.reply(path, said)
    assert isinstance(await fails(act(accounts)), AccessRejected)
    assert len(odd.seen(path)) == 1


async def test_a_header_lost_on_the_way_rejects_no_token(
    odd: OddServer, accounts: HttpAccounts
) -> None:
    """What the server says to a request without a token is no proof about the token."""
    odd.reply(PROFILE, denial(401, "InvalidSession", "invalid session: no bearer token"))
    assert isinstance(await fails(accounts.profile(TOKEN)), ServerUnreachable)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (denial(401, "InvalidPassword", "invalid username/password"), "InvalidPassword"),
        (denial(401, "UserDisabled", "the account is disabled"), "UserDisabled"),
        (
            denial(401, "InvalidSession", "a user already exists with this provider"),
            "InvalidSession",
        ),
        (denial(400, "", "no linking here"), "AppUnknownError"),
        (denial(409, "IdentityInUse"), "IdentityInUse"),
    ],
)
async def test_a_linking_that_is_refused_keeps_the_code(
    odd: OddServer, accounts: HttpAccounts, said: bytes, code: str
) -> None:
    """It is about the credentials, whatever code the server takes for it: no token is renewed."""
    odd.reply(LINK, said)
    error = await fails(accounts.link(TOKEN, ANN))
    assert isinstance(error, CredentialsRefused)
    assert error.code == code


async def test_a_linking_asks_for_no_new_session(odd: OddServer, accounts: HttpAccounts) -> None:
    """The session that there is stays: no rotation is asked for, and no refresh token comes."""
    odd.reply(LINK, grant("link"))
    await accounts.link(TOKEN, ANN)
    body = json.loads(odd.seen(LINK)[0].body)
    assert (body["username"], body["password"]) == (EMAIL, PASSWORD)
    assert "rotate" not in body["options"]


async def test_a_payload_for_a_function_travels_with_its_types(
    odd: OddServer, accounts: HttpAccounts
) -> None:
    """As all arguments of functions do."""
    path = f"{BASE}/app/field-notes/auth/providers/custom-function/login?link=true"
    odd.reply(path, grant("link"))
    await accounts.link(TOKEN, Credentials.function({"badge": 7}))
    assert json.loads(odd.seen(path)[0].body)["badge"] == {"$numberInt": "7"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("link", {"user_id": "u2"}),
        ("link", {"access_token": ACCESS}),
        ("profile", {"user_id": "u2"}),
        ("profile", ["u1"]),
        ("create key", KEY),
        ("create key", KEY | {"key": ""}),
        ("keys", {"keys": []}),
        ("keys", [KEY | {"disabled": "no"}]),
        ("key", {"id": "k1"}),
        ("key", []),
    ],
)
async def test_an_answer_of_another_shape_or_user_is_no_answer(
    odd: OddServer, accounts: HttpAccounts, name: str, said: Any
) -> None:
    """One of the two sides has a bug; what came is neither taken nor shown."""
    _, path, _, act = TOKENED[name]
    odd.reply(path, json_answer(200, said))
    assert isinstance(await fails(act(accounts)), UnexpectedAnswer)


async def test_a_huge_answer_is_not_read(odd: OddServer, accounts: HttpAccounts) -> None:
    """Nothing fills the memory of the device."""
    odd.reply(KEYS, answer(200, b" " * (LONGEST_ANSWER_BYTES + 1), "application/json"))
    error = await fails(accounts.api_keys(OLD))
    assert isinstance(error, UnexpectedAnswer)
    assert "too long" in error.why


async def test_the_profile_is_that_of_the_token(odd: OddServer, accounts: HttpAccounts) -> None:
    """Identities and data, as after a login."""
    odd.reply(PROFILE, PROFILE_OF_ANN)
    profile = await accounts.profile(TOKEN)
    assert profile.data == {"email": EMAIL}
    assert [one.provider_type for one in profile.identities] == ["local-userpass"]


async def test_what_is_no_token_is_not_sent(odd: OddServer, accounts: HttpAccounts) -> None:
    """Without its claims nobody could tell whose answer came."""
    for act in (accounts.profile(Secret("abc")), accounts.link(Secret("a.b.c"), ANN)):
        assert isinstance(await fails(act), InvalidToken)
    assert not odd.requests


async def test_the_text_of_a_key_is_told_once_and_not_shown(
    odd: OddServer, accounts: HttpAccounts
) -> None:
    """As a secret, when it is made; never in a list, whatever the server sends (I10)."""
    odd.reply(KEYS, grant("create key"))
    made = await accounts.create_api_key(OLD, "kiosk")
    assert made == ApiKey("k1", "kiosk", disabled=False, key=Secret("key-text"))
    assert "key-text" not in repr(made)
    assert json.loads(odd.seen(KEYS)[0].body) == {"name": "kiosk"}
    odd.reply(KEYS, json_answer(200, [KEY | {"key": "key-text"}]))
    assert list(await accounts.api_keys(OLD)) == [ApiKey("k1", "kiosk")]
    odd.reply(f"{KEYS}/k1", json_answer(200, KEY | {"disabled": True}))
    assert await accounts.api_key(OLD, "k1") == ApiKey("k1", "kiosk", disabled=True)


@pytest.mark.parametrize("key_id", ["", "..", "k/1", "k?x", "k%2f", "k\n", "k" * 101, None])
async def test_what_is_no_id_of_a_key_becomes_no_path(
    odd: OddServer, accounts: HttpAccounts, key_id: Any
) -> None:
    """It cannot lead a call elsewhere."""
    for act in (
        accounts.api_key(OLD, key_id),
        accounts.delete_api_key(OLD, key_id),
        accounts.enable_api_key(OLD, key_id, enabled=True),
    ):
        assert isinstance(await fails(act), InvalidConfig)
    assert not odd.requests


async def test_tokens_and_accounts_share_one_location(
    odd: OddServer, provider: HttpProvider, accounts: HttpAccounts
) -> None:
    """It is looked up once for both."""
    odd.reply(PROFILE, PROFILE_OF_ANN)
    odd.reply(SESSION, GRANTED)
    await provider.refresh(OLD, "id")
    await accounts.profile(TOKEN)
    assert len(odd.seen(LOCATION)) == 1
