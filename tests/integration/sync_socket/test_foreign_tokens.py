"""Access tokens of another issuer on the sync socket of a real server: who comes in, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from syncauth.sansio.messages import Changes, Error, PushResult, Renew, Renewed
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.subjects import CUSTOM_TOKEN, subject_name
from tests.support.foreign_issuer import Key, KeyPlace, key_place, new_key, sign, sign_with_text
from tests.support.processes import Server
from tests.support.socket_device import SECONDS, Account, device, open_socket, rows_of

Start = Callable[..., Server]
CUT_WITHIN = 2.0
KEY = new_key("ES256")


@pytest.fixture
def place() -> Iterator[KeyPlace]:
    """The issuer, which publishes one key."""
    with key_place() as made:
        made.publish(KEY)
        yield made


@pytest.fixture
def url(start: Start, place: KeyPlace) -> str:
    """A server that accepts the issuer's access tokens."""
    return serve(start, place)


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[SqliteAccounts]:
    """The server's accounts, opened as another process does."""
    connection = sqlite3.connect(tmp_path / "data" / "server.db", isolation_level=None)
    yield SqliteAccounts(connection)
    connection.close()


def serve(start: Start, place: KeyPlace, settings: str = "sync = true") -> str:
    """Start a server that knows the issuer by its name alone."""
    section = f'audience = ["field-notes"]\ndiscovery = true\n{settings}'
    issuer = f'\n[issuers.id]\nissuer = "{place.issuer}"\n{section}\n'
    url: str = start(limits=issuer).url
    return url


def token(place: KeyPlace, *, key: Key = KEY, kid: str = "k1", **changes: Any) -> str:
    """Let the issuer sign a token."""
    return sign(key, "ES256", place.claims(**changes), kid=kid, typ="at+jwt")


def account(url: str, access: str) -> Account:
    """Return whoever bears a token."""
    return Account(url, "", access, "")


async def status_of(url: str, access: str) -> int:
    """Return the status with which an upgrade is answered."""
    try:
        async with open_socket(url, access):
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


async def wait_refused(url: str, access: str) -> None:
    """Wait until a token has ended."""
    async with asyncio.timeout(SECONDS):
        while await status_of(url, access) == 101:
            pass


# --- who comes in --------------------------------------------------------------------------------


async def test_subject_is_one_user_on_all_devices(url: str, place: KeyPlace) -> None:
    """At first sight (iss, sub) becomes a user; its devices share rows, and nobody else's (I15)."""
    async with (
        device(account(url, token(place))) as phone,
        device(account(url, token(place, jti="2")), "b") as tablet,
        device(account(url, token(place, sub="bob", email="ann@example.com")), "c") as other,
    ):
        welcome = await phone.greet()
        again = await tablet.greet()
        bob = await other.greet()
        await tablet.catch_up()
        await phone.judged(phone.insert(("1", "from the phone")))
        page = await tablet.hear_a(Changes)

    assert welcome.partitions == again.partitions != bob.partitions
    assert list(welcome.partitions.values()) == ["write"]
    assert b"from the phone" in bytes(page.sections)


async def test_custom_token_login_is_the_same_user(url: str, place: KeyPlace) -> None:
    """Whoever logs in with a token of the issuer is whoever syncs with one."""
    async with device(account(url, token(place))) as phone:
        welcome = await phone.greet()
    login = Account.log_in_with_token(url, token(place))

    assert login.partition in welcome.partitions


async def test_login_of_google_is_the_same_user(
    start: Start, place: KeyPlace, tmp_path: Path
) -> None:
    """So it is if the issuer's tokens log in as those of Google; a denial ends both (I3)."""
    url = serve(start, place, 'sync = true\nprovider = "oauth2-google"')
    login = Account.log_in_with_token(url, token(place), provider="oauth2-google", name="id_token")
    async with device(account(url, token(place))) as phone:
        welcome = await phone.greet()
        file = sqlite3.connect(tmp_path / "data" / "server.db", isolation_level=None)
        with contextlib.closing(file):
            SqliteAccounts(file).deny_subject(place.issuer, "ann", time.time())
        ended = await phone.hear_end()

    assert login.partition in welcome.partitions
    assert ended[1] == 4401
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        login.renew()


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda place: token(place, iss="https://evil.example"), id="issuer"),
        pytest.param(lambda place: token(place, aud="evil"), id="audience"),
        pytest.param(lambda place: token(place, exp=int(time.time())), id="expired"),
        pytest.param(lambda place: token(place, exp=None), id="no end"),
        pytest.param(lambda place: token(place, sub=None), id="no subject"),
        pytest.param(lambda place: token(place, key=new_key("ES256")), id="key"),
        pytest.param(lambda place: sign(new_key("RS256"), "RS256", place.claims()), id="algorithm"),
        pytest.param(
            lambda place: sign_with_text(KEY.as_pem(private=False), place.claims()),
            id="public key as a secret",
        ),
        pytest.param(lambda place: f"eyJhbGciOiJub25lIn0.{token(place).split('.')[1]}.", id="none"),
        pytest.param(lambda place: token(place)[:-4] + "AAAA", id="signature"),
    ],
)
async def test_other_tokens_open_no_socket(
    url: str, place: KeyPlace, forge: Callable[[KeyPlace], str]
) -> None:
    """What the settings do not fix as good is refused before anything is opened (RFC 8725)."""
    assert await status_of(url, token(place)) == 101
    assert await status_of(url, forge(place)) == 401


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ("", 401),
        ('sync = true\nrequired = { scope = "notes" }', 401),
        ('sync = true\ntoken = "id"', 401),
        ('sync = true\ntoken = "access"', 101),
    ],
)
async def test_settings_decide_which_tokens_sync(
    start: Start, place: KeyPlace, settings: str, status: int
) -> None:
    """An issuer for logins alone is none for the socket; kinds and claims are as required."""
    assert await status_of(serve(start, place, settings), token(place)) == status


async def test_issuer_rotates_its_keys_while_the_server_runs(url: str, place: KeyPlace) -> None:
    """The first token of a new key causes one fetch; invented keys cause few, and hold up nobody."""
    assert await status_of(url, token(place)) == 101
    second = new_key("ES256", "k2")
    place.publish(second)

    assert await status_of(url, token(place, key=second, kid="k2")) == 101
    assert place.asked == 2
    assert await status_of(url, token(place)) == 401
    for number in range(20):
        assert await status_of(url, token(place, key=second, kid=f"x{number}")) == 401
    assert place.asked <= 4
    place.status = 500
    assert await status_of(url, token(place, key=second, kid="k2")) == 101


async def test_issuer_that_is_away_is_no_refusal(start: Start, place: KeyPlace) -> None:
    """While its keys have never been had an upgrade is answered with 503: the device comes back."""
    place.status = 500
    url = serve(start, place)

    assert await status_of(url, token(place)) == 503


# --- its life ------------------------------------------------------------------------------------


async def test_socket_outlives_its_token_by_renewal(url: str, place: KeyPlace) -> None:
    """With a newer token of the same subject pushes are taken after the old one's end (I3)."""
    old = token(place, exp=int(time.time()) + 4)
    async with device(account(url, old)) as phone:
        await phone.greet()
        asked = await phone.hear_a(Error)
        await phone.say(Renew(token(place)))
        renewed = await phone.hear_a(Renewed)
        await wait_refused(url, old)
        result = await phone.judged(phone.insert(("1", "a")))

    assert asked.code == "token_expiring"
    assert 500_000 < renewed.life <= 600_000
    assert result.refused == []


async def test_end_of_the_token_is_enforced(url: str, place: KeyPlace, tmp_path: Path) -> None:
    """After the token's end nothing moves; a short grace later the socket is closed (I3)."""
    old = token(place, exp=int(time.time()) + 3)
    async with device(account(url, old)) as phone:
        await phone.greet()
        await wait_refused(url, old)
        await phone.push(phone.insert(("1", "too late")))
        codes, close = await phone.hear_end()

    assert codes == ["token_expiring", "token_expired", "token_expired"]
    assert close == 4401
    assert rows_of(tmp_path) == []


@pytest.mark.parametrize("whose", ["another subject", "our own session"])
async def test_renewal_with_another_subject_ends_the_socket(
    url: str, place: KeyPlace, whose: str
) -> None:
    """A socket cannot change hands, not even to the same user's session here (I15)."""
    newer = (
        token(place, sub="bob")
        if whose == "another subject"
        else Account.log_in_with_token(url, token(place)).access
    )
    async with device(account(url, token(place))) as phone:
        await phone.greet()
        await phone.say(Renew(newer))
        assert await phone.hear_end() == (["wrong_session"], 4403)


async def test_renewal_that_is_no_good_leaves_the_old_token(url: str, place: KeyPlace) -> None:
    """A forged newer token is told; until the old one's end the socket lives on."""
    async with device(account(url, token(place))) as phone:
        await phone.greet()
        await phone.say(Renew(token(place, key=new_key("ES256"))))
        error = await phone.hear_a(Error)
        result = await phone.judged(phone.insert(("1", "a")))

    assert error.code == "token_invalid"
    assert result.refused == []


# --- denial --------------------------------------------------------------------------------------


async def test_denial_cuts_open_sockets(url: str, place: KeyPlace, store: SqliteAccounts) -> None:
    """Denied by another process, a subject's sockets are closed in time and new ones too; others stay."""
    async with (
        device(account(url, token(place))) as phone,
        device(account(url, token(place, sub="bob")), "b") as other,
    ):
        await phone.greet()
        await other.greet()
        store.deny_subject(place.issuer, "ann", time.time())
        since = asyncio.get_running_loop().time()
        ended = await phone.hear_end()
        took = asyncio.get_running_loop().time() - since
        result = await other.judged(other.insert(("1", "a")))
        async with device(account(url, token(place, jti="2")), "c") as again:
            refused = await again.greet_refused(connection=1)
        store.allow_subject(place.issuer, "ann")
        async with device(account(url, token(place, jti="3")), "c") as allowed:
            await allowed.greet()

    assert ended == refused == (["user_disabled"], 4401)
    assert took < CUT_WITHIN
    assert result.refused == []


async def test_batch_after_the_denial_is_not_committed(
    url: str, place: KeyPlace, store: SqliteAccounts, tmp_path: Path
) -> None:
    """The denial is looked at in the transaction that would apply the batch (I3)."""
    async with device(account(url, token(place))) as phone:
        await phone.greet()
        store.deny_subject(place.issuer, "ann", time.time())
        await phone.push(phone.insert(("1", "too late")))
        codes, _ = await phone.hear_end()

    assert codes == ["user_disabled"]
    assert not any(isinstance(each, PushResult) for each in phone.heard)
    assert rows_of(tmp_path) == []


async def test_renewal_after_the_denial_is_not_granted(
    url: str, place: KeyPlace, store: SqliteAccounts
) -> None:
    """A denied subject's newer token is good at its issuer alone."""
    async with device(account(url, token(place))) as phone:
        await phone.greet()
        store.deny_subject(place.issuer, "ann", time.time())
        await phone.say(Renew(token(place, jti="2")))
        codes, _ = await phone.hear_end()

    assert codes == ["user_disabled"]
    assert not any(isinstance(each, Renewed) for each in phone.heard)


@pytest.mark.parametrize(
    ("verb", "code"), [("disable", "user_disabled"), ("remove", "user_removed")]
)
async def test_user_that_is_out_stays_out(
    url: str, place: KeyPlace, store: SqliteAccounts, verb: str, code: str
) -> None:
    """Disabling or removing the user cuts it like a denial; no token makes it anew."""
    async with device(account(url, token(place))) as phone:
        await phone.greet()
        known = store.find_login(CUSTOM_TOKEN, subject_name(place.issuer, "ann"))
        assert known is not None
        change = store.disable_user if verb == "disable" else store.remove_user
        change(known.user_id, time.time())
        ended = await phone.hear_end()
    async with device(account(url, token(place, jti="2"))) as again:
        refused = await again.greet_refused(connection=2)

    assert ended == refused == ([code], 4401)


async def test_logout_cuts_open_sockets(
    url: str, place: KeyPlace, store: SqliteAccounts, tmp_path: Path
) -> None:
    """Logged out by another process the user's sockets end, also by a batch or a renewal (I3).

    The token stays good at its issuer, so the device may come back with it.
    """
    async with (
        device(account(url, token(place))) as idle,
        device(account(url, token(place)), "b") as busy,
        device(account(url, token(place)), "c") as renewing,
        device(account(url, token(place, sub="bob")), "d") as other,
    ):
        for each in (idle, busy, renewing, other):
            await each.greet()
        known = store.find_login(CUSTOM_TOKEN, subject_name(place.issuer, "ann"))
        assert known is not None
        store.revoke_user(known.user_id, time.time())
        since = asyncio.get_running_loop().time()
        await busy.push(busy.insert(("1", "too late")))
        await renewing.say(Renew(token(place, jti="2")))
        ended = [await each.hear_end() for each in (idle, busy, renewing)]
        took = asyncio.get_running_loop().time() - since
        assert rows_of(tmp_path) == []
        result = await other.judged(other.insert(("1", "a")))
        async with device(account(url, token(place))) as again:
            await again.greet(connection=2)

    assert ended == [(["session_revoked"], 4401)] * 3
    assert took < CUT_WITHIN
    assert result.refused == []


async def test_denied_subject_cannot_log_in(
    url: str, place: KeyPlace, store: SqliteAccounts
) -> None:
    """The custom-token login is closed to it as well, and the sessions it opened are ended."""
    login = Account.log_in_with_token(url, token(place))
    async with device(login) as phone:
        await phone.greet()
        store.deny_subject(place.issuer, "ann", time.time())
        ended = await phone.hear_end()
    with pytest.raises(AssertionError, match="UserDisabled"):
        Account.log_in_with_token(url, token(place))

    assert ended == (["session_revoked"], 4401)


async def test_flood_of_renewals_is_checked_one_at_a_time(url: str, place: KeyPlace) -> None:
    """However many tokens come, one is checked and the newest waits; a batch behind them is served."""
    async with device(account(url, token(place))) as phone:
        await phone.greet()
        for number in range(200):
            await phone.say(Renew(token(place, jti=f"{number}")))
        async with asyncio.timeout(SECONDS):
            result = await phone.judged(phone.insert(("1", "a")))
        assert isinstance(phone.heard[-1], PushResult)

    assert result.refused == []
    assert sum(isinstance(each, Renewed) for each in phone.heard) < 200
