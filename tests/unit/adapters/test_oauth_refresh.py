"""What an answer to a refresh or a revocation is taken for, on real connections."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from syncauth.adapters.oauth_provider import OAuthProvider
from syncauth.errors import Closed
from syncauth.models import (
    Deferred,
    Misconfigured,
    Refused,
    ReloginReason,
    Renewed,
    Secret,
)
from tests.support.odd_issuer import (
    CLIENT,
    OLD,
    REVOKE,
    TOKEN,
    claims_of,
    denial,
    describe,
    provider_of,
    signed,
    tokens,
)
from tests.support.odd_server import (
    OddServer,
    Reply,
    answer,
    hang_up,
    json_answer,
    portal,
    reset,
    silence,
    then_close,
)


@pytest.fixture
async def provider(odd: OddServer) -> AsyncIterator[OAuthProvider]:
    describe(odd)
    made = provider_of(odd)
    yield made
    await made.aclose()


async def test_a_new_pair_comes_with_its_lives(odd: OddServer, provider: OAuthProvider) -> None:
    """Both lives are those that were told; the form holds what RFC 6749 section 6 asks for."""
    odd.reply(TOKEN, tokens(refresh_expires_in=86_400))
    renewed = await provider.refresh(OLD, "id")

    assert isinstance(renewed, Renewed)
    assert renewed.tokens.refresh == Secret("a-new-refresh-token")
    assert (renewed.tokens.life, renewed.tokens.refresh_life) == (600, 86_400)
    sent = odd.seen(TOKEN)[0]
    form = f"grant_type=refresh_token&refresh_token={OLD.reveal()}&client_id={CLIENT}"
    assert sent.body.decode() == form
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"


async def test_a_resource_is_named_where_tokens_are_asked_for(odd: OddServer) -> None:
    """The tokens are for that API (RFC 8707); a revocation has no need of it."""
    describe(odd)
    odd.reply(TOKEN, tokens())
    odd.reply(REVOKE, answer(200))
    made = provider_of(odd, resource="https://sync.example.com")
    assert isinstance(await made.refresh(OLD, "id"), Renewed)
    assert await made.revoke(OLD)
    await made.aclose()

    assert b"resource=https%3A%2F%2Fsync.example.com" in odd.seen(TOKEN)[0].body
    assert b"resource" not in odd.seen(REVOKE)[0].body


@pytest.mark.parametrize(
    ("more", "life", "refresh_life"),
    [
        ({"refresh_token": None}, 600, None),
        ({"expires_in": "900"}, 900, None),
        ({"expires_in": None}, 300, None),
        ({"refresh_expires_in": 0}, 600, None),
        ({"refresh_token_expires_in": 7}, 600, 7),
        ({"token_type": "bearer"}, 600, None),
        ({"expires_in": -5}, 0, None),
    ],
)
async def test_pairs_are_told_in_many_ways(
    odd: OddServer,
    provider: OAuthProvider,
    more: dict[str, object],
    life: float,
    refresh_life: float | None,
) -> None:
    """Lives as texts, lives untold, and a refresh token that stays the same are all taken."""
    odd.reply(TOKEN, tokens(**more))
    renewed = await provider.refresh(OLD, "id")

    assert isinstance(renewed, Renewed)
    assert (renewed.tokens.life, renewed.tokens.refresh_life) == (life, refresh_life)
    kept = "refresh_token" in more
    assert (renewed.tokens.refresh == OLD) is kept


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (denial(400, "invalid_grant"), ReloginReason.EXPIRED),
        (denial(401, "invalid_grant"), ReloginReason.EXPIRED),
        (denial(403, "invalid_grant", "Unknown or invalid refresh token."), ReloginReason.EXPIRED),
        (denial(400, "invalid_grant", "Token has been expired or revoked."), ReloginReason.EXPIRED),
        (denial(400, "invalid_grant", "User disabled"), ReloginReason.USER_DISABLED),
        (
            denial(400, "invalid_grant", "Maximum allowed refresh token reuse exceeded"),
            ReloginReason.REUSE_DETECTED,
        ),
        (denial(400, "invalid_grant", "AADSTS50173: gone"), ReloginReason.REVOKED),
        (json_answer(400, {"error": "invalid_grant"}), ReloginReason.EXPIRED),
    ],
)
async def test_invalid_grant_ends_the_session(
    odd: OddServer, provider: OAuthProvider, reply: bytes, reason: ReloginReason
) -> None:
    """It is the one proof; another reason than the end of its life must be proven as well."""
    odd.reply(TOKEN, reply)
    answered = await provider.refresh(OLD, "id")

    assert isinstance(answered, Refused)
    assert answered.reason is reason


@pytest.mark.parametrize(
    "code",
    [
        "invalid_client",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    ],
)
@pytest.mark.parametrize("status", [400, 401])
async def test_a_wrong_request_is_no_end(
    odd: OddServer, provider: OAuthProvider, code: str, status: int
) -> None:
    """No login cures what the program or the server's settings have wrong."""
    odd.reply(TOKEN, denial(status, code))
    assert isinstance(await provider.refresh(OLD, "id"), Misconfigured)


@pytest.mark.parametrize(
    ("reply", "doubtful", "retry_after"),
    [
        (portal(), True, None),
        (portal(401), True, None),
        (answer(200), True, None),
        (answer(204), True, None),
        (answer(401), True, None),
        (answer(403), True, None),
        (answer(400), True, None),
        (answer(404), True, None),
        (answer(302, Location="https://portal.example/"), True, None),
        (answer(511), True, None),
        (answer(400, b'{"error": "invalid_grant"}', "text/html"), True, None),
        (answer(400, b'{"error": "invalid_grant', "application/json"), True, None),
        (json_answer(400, ["invalid_grant"]), True, None),
        (json_answer(400, {"error": 7}), True, None),
        (json_answer(200, {"access_token": "x y", "token_type": "Bearer"}), False, None),
        (json_answer(200, {"token_type": "Bearer"}), False, None),
        (json_answer(200, {"access_token": 5}), False, None),
        (json_answer(200, []), False, None),
        (tokens(token_type="mac"), False, None),
        (tokens(expires_in=1e300), False, None),
        (tokens(refresh_token=""), False, None),
        (answer(200, b"\xff\xfe", "application/json"), False, None),
        (answer(200, b"[" * 100_000, "application/json"), False, None),
        (answer(500), False, None),
        (denial(500, "invalid_grant"), False, None),
        (denial(503, "invalid_grant", Retry_After="7"), False, 7.0),
        (answer(429, Retry_After="30"), False, 30.0),
        (answer(503, Retry_After="999999999999"), False, 3600.0),
        (answer(503, Retry_After="soon"), False, None),
        (denial(400, "temporarily_unavailable"), False, None),
        (denial(400, "something_else"), False, None),
    ],
)
async def test_anything_else_judges_nothing(
    odd: OddServer,
    provider: OAuthProvider,
    reply: bytes,
    doubtful: bool,
    retry_after: float | None,
) -> None:
    """What a proxy, a portal or a failing server says ends no session."""
    odd.reply(TOKEN, reply)
    answered = await provider.refresh(OLD, "id")

    assert isinstance(answered, Deferred)
    assert answered.online and answered.sent
    assert (answered.doubtful, answered.retry_after) == (doubtful, retry_after)


async def test_patience_until_a_date_counts_by_the_server_s_clock(
    odd: OddServer, provider: OAuthProvider
) -> None:
    """The wrong clock of a device makes no wait longer."""
    date = "Tue, 14 Nov 2023 22:13:20 GMT"
    odd.reply(TOKEN, answer(503, Date=date, Retry_After="Tue, 14 Nov 2023 22:14:00 GMT"))
    answered = await provider.refresh(OLD, "id")

    assert isinstance(answered, Deferred)
    assert answered.retry_after == 40


@pytest.mark.parametrize(
    ("reply", "online"),
    [
        (reset, False),
        (hang_up, True),
        (then_close(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"), True),
        (then_close(b"\x16\x03\x01junk"), True),
        (answer(200, b"x" * 1_100_000, "application/json"), True),
    ],
)
async def test_half_an_answer_judges_nothing(
    odd: OddServer, provider: OAuthProvider, reply: Reply, online: bool
) -> None:
    """The token was sent, and nobody knows what became of it."""
    odd.reply(TOKEN, reply)
    answered = await provider.refresh(OLD, "id")

    assert isinstance(answered, Deferred)
    assert answered.sent
    assert (answered.online, answered.doubtful) == (online, False)


async def test_a_slow_answer_is_bounded_as_a_whole(odd: OddServer) -> None:
    """Silence ends with the deadline, as a refresh that was sent."""
    describe(odd)
    hasty = provider_of(odd, deadline=0.4)
    odd.reply(TOKEN, silence)
    answered = await hasty.refresh(OLD, "id")
    await hasty.aclose()

    assert isinstance(answered, Deferred)
    assert answered.sent and not answered.online


async def test_without_a_server_nothing_was_sent(odd: OddServer) -> None:
    """A refused connection carried no token, so that the next attempt is no repeat."""
    describe(odd)
    provider = provider_of(odd)
    odd.reply(TOKEN, tokens())
    await provider.refresh(OLD, "id")
    await odd.stop()
    answered = await provider.refresh(OLD, "id")
    await provider.aclose()

    assert isinstance(answered, Deferred)
    assert not answered.sent and not answered.online


async def test_each_call_has_a_connection_of_its_own(
    odd: OddServer, provider: OAuthProvider
) -> None:
    """No refresh is lost with an idle connection that the server closes just then."""
    odd.reply(TOKEN, tokens())
    for _ in range(2):
        assert isinstance(await provider.refresh(OLD, "id"), Renewed)

    assert len({request.connection for request in odd.requests}) == len(odd.requests) == 3


async def test_listed_answers_are_refusals_too(odd: OddServer) -> None:
    """A server's own way to refuse counts where the app listed it, by status and code."""
    describe(odd)
    listed = [(400, ""), (200, "bad_refresh_token")]
    provider = provider_of(odd, also_refused=listed)
    wanted: list[tuple[bytes, type]] = [
        (answer(400), Refused),
        (json_answer(200, {"error": "bad_refresh_token"}), Refused),
        (portal(400), Deferred),
        (answer(403), Deferred),
        (answer(200), Deferred),
    ]
    for reply, kind in wanted:
        odd.reply(TOKEN, reply)
        assert isinstance(await provider.refresh(OLD, "id"), kind), reply
    await provider.aclose()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(
    odd: OddServer, other: OddServer, provider: OAuthProvider, status: int
) -> None:
    """A redirect is no reason to show a token to anybody else (I10)."""
    odd.reply(TOKEN, answer(status, Location=other.url + TOKEN))
    odd.reply(REVOKE, answer(status, Location=other.url + REVOKE))

    assert isinstance(await provider.refresh(OLD, "id"), Deferred)
    assert not await provider.revoke(OLD)
    assert not other.opened


@pytest.mark.parametrize(
    ("auth", "header", "in_form"),
    [("basic", "Basic ZmllbGQtbm90ZXM6YSUzQSti", False), ("post", None, True)],
)
async def test_a_secret_travels_as_registered(
    odd: OddServer, auth: str, header: str | None, in_form: bool
) -> None:
    """In the header it is encoded first (RFC 6749 section 2.3.1), and never in both places."""
    describe(odd)
    provider = provider_of(odd, client_secret="a: b", client_auth=auth)
    odd.reply(TOKEN, tokens())
    await provider.refresh(OLD, "id")
    await provider.aclose()
    sent = odd.seen(TOKEN)[0]

    assert sent.headers.get("authorization") == header
    assert (b"client_secret=a%3A+b" in sent.body) is in_form


@pytest.mark.parametrize(
    ("reply", "done"),
    [
        (answer(200), True),
        (json_answer(200, {}), True),
        (denial(400, "invalid_grant"), True),
        (portal(), False),
        (answer(401), False),
        (answer(503), False),
        (denial(400, "unsupported_token_type"), False),
        (reset, False),
    ],
)
async def test_a_revocation_is_done_when_the_server_says_so(
    odd: OddServer, provider: OAuthProvider, reply: Reply, done: bool
) -> None:
    """A page of a portal confirms nothing; an unknown token is as good as revoked (RFC 7009)."""
    odd.reply(REVOKE, reply)
    assert await provider.revoke(OLD) is done


async def test_where_there_is_no_revocation_none_waits(odd: OddServer) -> None:
    """An issuer that offers none is not asked for ever."""
    describe(odd, revocation_endpoint="")
    provider = provider_of(odd)
    assert await provider.revoke(OLD)
    await provider.aclose()


async def test_a_closed_provider_says_so(provider: OAuthProvider) -> None:
    """Closing is idempotent, and a call after it is a fault of the program."""
    await provider.aclose()
    await provider.aclose()
    with pytest.raises(Closed):
        await provider.refresh(OLD, "id")


async def test_an_id_token_tells_whose_the_new_pair_is(
    odd: OddServer, provider: OAuthProvider
) -> None:
    """It names issuer and subject as the login did; one of another issuer, or none, tells nothing."""
    told = []
    for token in (
        signed(claims_of(odd)),
        signed(claims_of(odd, iss="https://other.example")),
        signed(claims_of(odd, sub=None)),
        "no-token",
        None,
    ):
        odd.reply(TOKEN, tokens(id_token=token))
        renewed = await provider.refresh(OLD, "id")
        assert isinstance(renewed, Renewed)
        told.append(renewed.user_id)

    assert told == [f"{odd.url}|u1", None, None, None, None]
