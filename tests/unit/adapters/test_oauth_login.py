"""Whose login it is: ID tokens right and wrong, userinfo, and what the app is told, on real connections."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from syncauth.adapters.oauth_provider import OAuthProvider
from syncauth.errors import (
    CredentialsRefused,
    InvalidConfig,
    NotSupported,
    ServerBusy,
    ServerUnreachable,
    SyncAuthError,
    UnexpectedAnswer,
)
from syncauth.models import Credentials, Login
from tests.support.odd_issuer import (
    CLIENT,
    JWKS,
    NOW,
    OTHER,
    PASSWORD,
    REVOKE,
    SHARED,
    TOKEN,
    USERINFO,
    claims_of,
    denial,
    describe,
    provider_of,
    signed,
    tokens,
    unsigned,
)
from tests.support.odd_server import OddServer, answer, json_answer, portal, reset, silence

Write = Callable[[OddServer], Any]


async def log_in(provider: OAuthProvider) -> Login:
    try:
        return await provider.log_in(provider.password_login("ann", PASSWORD))
    finally:
        await provider.aclose()


async def test_a_verified_id_token_names_the_user(odd: OddServer) -> None:
    """The id is issuer and subject, never the email; the rest is the profile."""
    describe(odd)
    claims = claims_of(odd, email="ann@example.com", name="Ann", groups=["a"])
    odd.reply(TOKEN, tokens(id_token=signed(claims)))
    login = await log_in(provider_of(odd))

    assert login.user_id == f"{odd.url}|u1"
    assert login.profile.data == {"email": "ann@example.com", "name": "Ann", "groups": ["a"]}
    assert [one.id for one in login.profile.identities] == ["u1"]


@pytest.mark.parametrize(
    "write",
    [
        lambda odd: unsigned(claims_of(odd)),
        lambda odd: unsigned(claims_of(odd)) + "c2ln",
        lambda odd: signed(claims_of(odd), key=SHARED, alg="HS256"),
        lambda odd: signed(claims_of(odd), key=OTHER),
        lambda odd: signed(claims_of(odd), kid="k2"),
        lambda odd: signed(claims_of(odd))[:-8],
        lambda odd: signed(claims_of(odd, iss="https://other.example")),
        lambda odd: signed(claims_of(odd, iss=f"{odd.url}/")),
        lambda odd: signed(claims_of(odd, aud="another-client")),
        lambda odd: signed(claims_of(odd, aud=None)),
        lambda odd: signed(claims_of(odd, aud=[])),
        lambda odd: signed(claims_of(odd, aud=[CLIENT, "other"])),
        lambda odd: signed(claims_of(odd, azp="other")),
        lambda odd: signed(claims_of(odd, exp=None)),
        lambda odd: signed(claims_of(odd, exp="tomorrow")),
        lambda odd: signed(claims_of(odd, exp=True)),
        lambda odd: signed(claims_of(odd, exp=NOW - 3600)),
        lambda odd: signed(claims_of(odd, iat=None)),
        lambda odd: signed(claims_of(odd, sub=None)),
        lambda odd: signed(claims_of(odd, sub="")),
        lambda odd: signed(claims_of(odd, sub="u" * 256)),
        lambda odd: signed(claims_of(odd, sub="a\nb")),
        lambda odd: signed(claims_of(odd, sub=["u1"])),
        lambda odd: signed(claims_of(odd, junk="x" * 200_000)),
        lambda _odd: signed(["no", "claims"]),
        lambda _odd: "no.token.atall",
        lambda _odd: "",
        lambda _odd: "é.é.é",
        lambda _odd: "." * 50_000,
    ],
)
async def test_a_wrong_id_token_names_nobody(odd: OddServer, write: Write) -> None:
    """The login fails, the session that it opened is ended again, no text shows the token (I10)."""
    describe(odd)
    token = write(odd)
    odd.reply(TOKEN, tokens(id_token=token))
    with pytest.raises(UnexpectedAnswer) as raised:
        await log_in(provider_of(odd))

    assert b"token=a-new-refresh-token" in odd.seen(REVOKE)[0].body
    shown = "".join(traceback.format_exception(raised.value))
    assert not token or len(token) > 10_000 or token not in shown


@pytest.mark.parametrize("audience", [[CLIENT], CLIENT])
async def test_the_issuer_s_clock_counts_and_not_the_device_s(
    odd: OddServer, audience: object
) -> None:
    """The issuer lives years away; its token is good as long as it says so itself."""
    describe(odd)
    claims = claims_of(odd, aud=audience, exp=NOW + 1)
    odd.reply(TOKEN, tokens(id_token=signed(claims, jku="https://elsewhere.example")))

    assert (await log_in(provider_of(odd))).user_id == f"{odd.url}|u1"


async def test_several_audiences_need_an_authorized_party(odd: OddServer) -> None:
    """A token for many is taken if it names this client as the one it was issued to."""
    describe(odd)
    claims = claims_of(odd, aud=[CLIENT, "other"], azp=CLIENT)
    odd.reply(TOKEN, tokens(id_token=signed(claims)))

    assert (await log_in(provider_of(odd))).user_id == f"{odd.url}|u1"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_answer(200, {"keys": []}), UnexpectedAnswer),
        (json_answer(200, {"keys": ["no key"]}), UnexpectedAnswer),
        (json_answer(200, {"keys": 5}), UnexpectedAnswer),
        (json_answer(200, {}), UnexpectedAnswer),
        (portal(), UnexpectedAnswer),
        (answer(404), ServerUnreachable),
        (answer(503, Retry_After="3"), ServerBusy),
        (reset, ServerUnreachable),
    ],
)
async def test_without_keys_nobody_is_logged_in(
    odd: OddServer, reply: Any, error: type[SyncAuthError]
) -> None:
    """A token that cannot be verified is not believed."""
    describe(odd)
    odd.reply(TOKEN, tokens(id_token=signed(claims_of(odd))))
    odd.reply(JWKS, reply)
    with pytest.raises(error):
        await log_in(provider_of(odd))


async def test_userinfo_adds_to_the_profile(odd: OddServer) -> None:
    """The ID token has the last word; of another user nothing is taken; silence fails no login."""
    describe(odd, userinfo_endpoint=odd.url + USERINFO)
    odd.reply(TOKEN, tokens(id_token=signed(claims_of(odd, name="Ann"))))
    odd.reply(USERINFO, json_answer(200, {"sub": "u1", "name": "Old", "locale": "de"}))
    login = await log_in(provider_of(odd))
    assert login.profile.data == {"name": "Ann", "locale": "de"}
    assert odd.seen(USERINFO)[0].headers["authorization"] == "Bearer an-access-token"

    odd.reply(USERINFO, portal(503))
    assert (await log_in(provider_of(odd))).profile.data == {"name": "Ann"}

    odd.reply(USERINFO, json_answer(200, {"sub": "u2"}))
    with pytest.raises(UnexpectedAnswer, match="different users"):
        await log_in(provider_of(odd))


async def test_userinfo_may_name_the_user(odd: OddServer) -> None:
    """A server without ID tokens is asked who it is; its number is an id too."""
    describe(odd, userinfo_endpoint=odd.url + USERINFO)
    odd.reply(TOKEN, tokens())
    odd.reply(USERINFO, json_answer(200, {"id": 4711, "login": "ann"}))
    login = await log_in(provider_of(odd, user_id_from="userinfo", user_claim="id"))
    assert login.user_id == f"{odd.url}|4711"

    odd.reply(USERINFO, answer(200, b"signed", "application/jwt"))
    with pytest.raises(UnexpectedAnswer):
        await log_in(provider_of(odd, user_id_from="userinfo", user_claim="id"))


async def test_an_access_token_may_name_the_user_if_it_is_verified(odd: OddServer) -> None:
    """It is held to the issuer's keys as an ID token is."""
    describe(odd)
    odd.reply(TOKEN, tokens(access_token=signed(claims_of(odd)), expires_in=None))
    login = await log_in(provider_of(odd, user_id_from="access_token"))
    assert login.user_id == f"{odd.url}|u1"
    assert login.tokens.life == 601

    for wrong in ("opaque", signed(claims_of(odd), key=OTHER)):
        odd.reply(TOKEN, tokens(access_token=wrong))
        with pytest.raises(UnexpectedAnswer):
            await log_in(provider_of(odd, user_id_from="access_token"))


@pytest.mark.parametrize(
    ("more", "hint"),
    [({"refresh_token": None}, "offline_access"), ({"id_token": None}, "openid")],
)
async def test_what_is_missing_is_told_with_its_remedy(
    odd: OddServer, more: dict[str, Any], hint: str
) -> None:
    """A session that could not be renewed, or that names nobody, is not begun."""
    describe(odd)
    odd.reply(TOKEN, tokens(**({"id_token": signed(claims_of(odd))} | more)))
    with pytest.raises(UnexpectedAnswer, match=hint):
        await log_in(provider_of(odd))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (denial(400, "invalid_grant", "wrong"), CredentialsRefused),
        (denial(401, "invalid_client"), InvalidConfig),
        (denial(400, "unsupported_grant_type"), InvalidConfig),
        (denial(400, "invalid_scope"), InvalidConfig),
        (answer(503, Retry_After="3"), ServerBusy),
        (answer(429), ServerBusy),
        (answer(500), ServerBusy),
        (denial(400, "temporarily_unavailable"), ServerBusy),
        (portal(), ServerUnreachable),
        (answer(302, Location="https://portal.example"), ServerUnreachable),
        (answer(401), ServerUnreachable),
        (json_answer(404, {"message": "no such page"}), UnexpectedAnswer),
        (json_answer(200, {"error": "bad_verification_code"}), CredentialsRefused),
        (json_answer(200, {"access_token": 7}), UnexpectedAnswer),
        (reset, ServerUnreachable),
    ],
)
async def test_a_login_that_is_not_granted_says_why(
    odd: OddServer, reply: Any, error: type[SyncAuthError]
) -> None:
    """Each refusal tells who must act: the person, the programmer, or time."""
    describe(odd)
    odd.reply(TOKEN, reply)
    with pytest.raises(error):
        await log_in(provider_of(odd))


async def test_a_slow_login_is_bounded(odd: OddServer) -> None:
    """Silence ends with the deadline."""
    describe(odd)
    odd.reply(TOKEN, silence)
    with pytest.raises(ServerUnreachable):
        await log_in(provider_of(odd, deadline=0.3))


async def test_other_credentials_are_not_sent(odd: OddServer) -> None:
    """What is meant for another provider stays here."""
    describe(odd)
    provider = provider_of(odd)
    with pytest.raises(NotSupported):
        await provider.log_in(Credentials.email_password("ann", PASSWORD))
    await provider.aclose()
    assert not odd.opened


async def test_no_log_and_no_error_holds_a_secret(
    odd: OddServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the libraries write at DEBUG, and whatever is raised or shown (I10)."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    describe(odd)
    secret = "a secret of the client"
    given = OAuthProvider.password_login("ann", PASSWORD)
    shown = [repr(given), repr(given.payload)]
    causes: list[BaseException | None] = []
    for reply in (
        tokens(id_token=signed(claims_of(odd))),
        denial(400, "invalid_grant", f"{PASSWORD} is wrong"),
        tokens(id_token=unsigned(claims_of(odd))),
        reset,
    ):
        odd.reply(TOKEN, reply)
        provider = provider_of(odd, client_secret=secret)
        try:
            shown.append(repr(await provider.log_in(given)))
        except SyncAuthError as error:
            shown.append("".join(traceback.format_exception(error)))
            causes.append(error.__cause__)
        shown.append(repr(vars(provider)))
        await provider.aclose()
    text = "\n".join([*shown, caplog.text])

    assert causes == [None] * 3
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    for held in (PASSWORD, secret, "an-access-token", "a-new-refresh-token"):
        assert held not in text
