"""Logging in, registering and revoking against servers that answer oddly."""

from __future__ import annotations

import json

import pytest

from syncauth.adapters.http_accounts import HttpAccounts
from syncauth.adapters.http_provider import HttpProvider
from syncauth.errors import (
    AccountNameInUse,
    CredentialsRefused,
    ServerBusy,
    ServerUnreachable,
    SyncAuthError,
    UnexpectedAnswer,
)
from syncauth.models import (
    Credentials,
    Secret,
    TokenPair,
)
from tests.support.account_replies import (
    ACCESS,
    ANN,
    ANONYMOUS_LOGIN,
    LOGGED_IN,
    LOGIN,
    OLD,
    PASSWORD,
    PROFILE,
    PROFILE_OF_ANN,
    REFRESH,
    REGISTER,
)
from tests.support.odd_server import (
    SESSION,
    OddServer,
    Reply,
    answer,
    denial,
    hang_up,
    json_answer,
    portal,
    reset,
    silence,
)


async def test_a_login_asks_for_rotation_and_reads_the_profile(
    odd: OddServer, provider: HttpProvider
) -> None:
    """What is sent, and what becomes of it."""
    odd.reply(LOGIN, LOGGED_IN)
    odd.reply(PROFILE, PROFILE_OF_ANN)
    login = await provider.log_in(ANN)
    assert (login.user_id, login.device_id) == ("u1", "d" * 24)
    assert login.tokens == TokenPair(Secret(ACCESS), Secret(REFRESH), 1800.0, 1800.0)
    assert login.profile.data == {"email": "ann@example.com"}
    assert [one.provider_type for one in login.profile.identities] == ["local-userpass"]
    (request,) = odd.seen(LOGIN)
    body = json.loads(request.body)
    assert (body["username"], body["password"]) == ("ann@example.com", PASSWORD)
    assert body["options"]["rotate"] is True
    assert body["options"]["device"]["sdk"] == "syncauth"
    assert "authorization" not in request.headers
    assert odd.seen(PROFILE)[0].headers["authorization"] == f"Bearer {ACCESS}"


async def test_an_anonymous_login_has_its_own_door(odd: OddServer, provider: HttpProvider) -> None:
    """The provider's name stands in the path, nothing but options in the body."""
    odd.reply(ANONYMOUS_LOGIN, LOGGED_IN)
    odd.reply(PROFILE, PROFILE_OF_ANN)
    assert (await provider.log_in(Credentials.anonymous())).user_id == "u1"
    assert set(json.loads(odd.seen(ANONYMOUS_LOGIN)[0].body)) == {"options"}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (denial(401, "InvalidPassword"), CredentialsRefused),
        (denial(401, "UserDisabled"), CredentialsRefused),
        (json_answer(401, {"error": "unauthorized"}), CredentialsRefused),
        (denial(404, "AuthProviderNotFound"), CredentialsRefused),
        (denial(404, "AppNotFound"), UnexpectedAnswer),
        (denial(429, "TooManyRequests"), ServerBusy),
        (answer(503), ServerBusy),
        (denial(500, "InternalServerError"), ServerBusy),
        (portal(502), ServerBusy),
        (portal(), ServerUnreachable),
        (answer(200), ServerUnreachable),
        (answer(401), ServerUnreachable),
        (portal(403), ServerUnreachable),
        (reset, ServerUnreachable),
        (json_answer(200, {"access_token": ACCESS}), UnexpectedAnswer),
        (json_answer(200, {"access_token": ACCESS, "user_id": "u1"}), UnexpectedAnswer),
        (
            json_answer(200, {"access_token": "x", "refresh_token": "y", "user_id": "u1"}),
            UnexpectedAnswer,
        ),
    ],
)
async def test_a_login_that_fails_says_who_must_act(
    odd: OddServer, provider: HttpProvider, reply: Reply, kind: type[SyncAuthError]
) -> None:
    """A person, the programmer, or time."""
    odd.reply(LOGIN, reply)
    with pytest.raises(SyncAuthError) as raised:
        await provider.log_in(ANN)
    assert type(raised.value) is kind


async def test_the_code_and_the_text_of_a_refusal_are_kept(
    odd: OddServer, provider: HttpProvider
) -> None:
    """They are the server's own; a text that repeats the password is not."""
    odd.reply(LOGIN, denial(401, "InvalidPassword", "wrong\x00 name"))
    with pytest.raises(CredentialsRefused, match="wrong name") as raised:
        await provider.log_in(ANN)
    assert raised.value.code == "InvalidPassword"
    odd.reply(LOGIN, denial(401, PASSWORD, f"{PASSWORD} is wrong"))
    with pytest.raises(CredentialsRefused) as raised:
        await provider.log_in(ANN)
    assert PASSWORD not in str(raised.value) + raised.value.code


async def test_the_patience_of_a_busy_login_is_told(odd: OddServer, provider: HttpProvider) -> None:
    """The app may show when to try again."""
    odd.reply(LOGIN, answer(429, Retry_After="12"))
    with pytest.raises(ServerBusy) as raised:
        await provider.log_in(ANN)
    assert raised.value.retry_after == 12


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (denial(401, "InvalidSession"), CredentialsRefused),
        (denial(500, "InternalServerError"), ServerBusy),
        (portal(), ServerUnreachable),
        (json_answer(200, {"user_id": "someone else"}), UnexpectedAnswer),
    ],
)
async def test_a_login_without_its_profile_leaves_no_session_behind(
    odd: OddServer, provider: HttpProvider, reply: Reply, kind: type[SyncAuthError]
) -> None:
    """The session that was just opened is ended again."""
    odd.reply(LOGIN, LOGGED_IN)
    odd.reply(PROFILE, reply)
    odd.reply(SESSION, answer(204))
    with pytest.raises(kind):
        await provider.log_in(ANN)
    (request,) = odd.seen(SESSION)
    assert (request.method, request.headers["authorization"]) == ("DELETE", f"Bearer {REFRESH}")


async def test_a_login_is_bounded_as_a_whole(odd: OddServer, hasty: HttpProvider) -> None:
    """Location, login and profile share one deadline."""
    odd.reply(LOGIN, LOGGED_IN)
    odd.reply(PROFILE, silence)
    with pytest.raises(ServerUnreachable, match="in time"):
        await hasty.log_in(ANN)


@pytest.mark.parametrize("granted", [answer(201), answer(200), json_answer(200, {})])
async def test_an_account_is_made(odd: OddServer, accounts: HttpAccounts, granted: bytes) -> None:
    """Servers answer with any 2xx, with or without JSON."""
    odd.reply(REGISTER, granted)
    await accounts.register("ann@example.com", PASSWORD)
    sent = json.loads(odd.seen(REGISTER)[0].body)
    assert sent == {"email": "ann@example.com", "password": PASSWORD}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (denial(409, "AccountNameInUse"), AccountNameInUse),
        (denial(400, "BadRequest"), CredentialsRefused),
        (denial(429, "TooManyRequests"), ServerBusy),
        (portal(), ServerUnreachable),
        (hang_up, ServerUnreachable),
    ],
)
async def test_an_account_that_is_not_made_says_why(
    odd: OddServer, accounts: HttpAccounts, reply: Reply, kind: type[SyncAuthError]
) -> None:
    """A sign-in page is not taken for success."""
    odd.reply(REGISTER, reply)
    with pytest.raises(SyncAuthError) as raised:
        await accounts.register("ann@example.com", PASSWORD)
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("reply", "done"),
    [
        (answer(204), True),
        (json_answer(200, {}), True),
        (denial(401, "InvalidSession", "failed to find refresh token"), True),
        (denial(401, "InvalidSession", "invalid session: no bearer token"), False),
        (answer(200), False),
        (portal(), False),
        (answer(401), False),
        (answer(302), False),
        (denial(403, "InvalidSession"), False),
        (denial(500, "InternalServerError"), False),
        (reset, False),
    ],
)
async def test_a_revocation_is_done_only_when_the_server_said_so(
    odd: OddServer, provider: HttpProvider, reply: Reply, done: bool
) -> None:
    """A portal's page does not count as a logout."""
    odd.reply(SESSION, reply)
    assert await provider.revoke(OLD) is done
    (request,) = odd.seen(SESSION)
    assert (request.method, request.headers["authorization"]) == ("DELETE", f"Bearer {REFRESH}")


async def test_a_password_that_is_no_unicode_is_refused_without_being_shown(
    odd: OddServer, provider: HttpProvider, accounts: HttpAccounts
) -> None:
    """Half of a surrogate pair cannot travel; the person is told, and nothing is sent."""
    odd.reply(LOGIN, LOGGED_IN)
    with pytest.raises(CredentialsRefused) as raised:
        await provider.log_in(Credentials.email_password("ann@example.com", "se\ud800cret"))
    assert "cret" not in str(raised.value)
    with pytest.raises(CredentialsRefused):
        await accounts.register("ann@example.com", "se\ud800cret")
    assert not odd.seen(LOGIN)
