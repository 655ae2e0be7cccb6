"""The sync socket of real server processes, spoken to with nothing but messages."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from syncauth.sansio.messages import (
    BatchMark,
    Changes,
    Checkpoint,
    Error,
    Goodbye,
    PushResult,
    Received,
    Renew,
    Renewed,
    Subscribe,
    decode_sections,
    digest_of,
    encode_sections,
)
from tests.support.processes import Server, configure
from tests.support.socket_device import NOTES, SECONDS, Account, device, open_socket

SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL, id TEXT NOT NULL, text TEXT, PRIMARY KEY (_partition, id)
);
"""
REVOKED_WITHIN = 2.0
Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers on the same data; what still runs at the end of the test is killed."""
    servers: list[Server] = []

    def start_server(access_seconds: int = 1800, limits: str = "") -> Server:
        lifetimes = f"[lifetimes]\naccess_seconds = {access_seconds}\n[limits]\n{limits}"
        configure(tmp_path, SCHEMA, "[tables.notes]", lifetimes)
        servers.append(Server(tmp_path))
        return servers[-1]

    yield start_server
    for server in servers:
        server.stop(signal.SIGKILL)


@pytest.fixture
def ann(start: Start) -> Account:
    """A user of one server with the usual lifetimes."""
    return Account.log_in(start().url, "ann")


def rows_of(directory: Path) -> list[tuple[str, str, str]]:
    """Read the served table as another program does."""
    connection = sqlite3.connect(directory / "data" / "server.db")
    try:
        return connection.execute("SELECT _partition, id, text FROM notes ORDER BY 1, 2").fetchall()
    finally:
        connection.close()


# --- what flows ----------------------------------------------------------------------------------


async def test_changes_travel_between_two_devices(ann: Account) -> None:
    """What one device pushes is judged for it and comes to the other, and the other way."""
    async with device(ann, "a") as phone, device(ann, "b") as tablet:
        await phone.greet()
        await tablet.greet()
        assert await phone.catch_up() == await tablet.catch_up() == []

        result = await phone.judged(phone.insert(("1", "from the phone")))
        (section,) = decode_sections((await tablet.hear_a(Changes)).sections)
        life = section.rows[0][1]
        await tablet.judged(tablet.update("1", "from the tablet", life=life, hlc=2))
        while True:
            page = await phone.hear_a(Changes)
            answer = decode_sections(page.sections)
            if answer:
                break

    assert (result.batch, result.refused) == (1, [])
    assert (section.kind, section.partition) == ("row", ann.partition)
    assert section.rows[0][0] == "1"
    assert section.rows[0][-1] == "from the phone"
    assert answer[0].rows[0][-1] == "from the tablet"
    assert page.complete


async def test_every_subscribe_has_its_checkpoint(ann: Account) -> None:
    """Hello and each subscribe are answered by one checkpoint, which covers what was pushed."""
    async with device(ann) as phone:
        await phone.greet()
        await phone.push(phone.insert(("1", "a")))
        await phone.say(Subscribe([NOTES]))
        await phone.say(Subscribe([NOTES]))
        checkpoints = [await phone.hear_a(Checkpoint) for _ in range(3)]

    versions = [each.checkpoints[ann.partition] for each in checkpoints]
    assert versions == sorted(versions)
    assert versions[-1] > 0


async def test_slow_reader_gets_two_pages_and_the_rest_when_it_confirms(ann: Account) -> None:
    """A first download goes on only as pages are confirmed, and ends complete and exact."""
    count = 10_000
    async with device(ann, "a") as writer:
        await writer.greet()
        rows = [(f"{number:05}", "x" * 20) for number in range(count)]
        await writer.judged(writer.insert(*rows))
    async with device(ann, "b") as reader:
        await reader.greet()
        first, second = await reader.hear(), await reader.hear()
        assert isinstance(first, Changes)
        assert isinstance(second, Changes)
        assert not second.complete
        # The third page waits: the answer to this renewal overtakes it.
        await reader.say(Renew(ann.access))
        assert isinstance(await reader.hear(), Renewed)
        await reader.say(Received(second.cursors, 0))
        sections = await reader.catch_up()
        for page in (first, second):
            sections += decode_sections(page.sections)

    keys = [row[0] for section in sections for row in section.rows]
    assert len(keys) == count
    assert set(keys) == {key for key, _ in rows}


async def test_lost_answer_is_given_again(ann: Account) -> None:
    """A device that lost the answer learns it in welcome, and again for the same batch."""
    async with device(ann) as phone:
        await phone.greet()
        section = phone.insert(("1", "a"))
        first = await phone.judged(section)
    digest = digest_of(encode_sections([section]))

    async with device(ann) as phone:
        welcome = await phone.greet(connection=2, highest=BatchMark(1, digest))
        await phone.push(section, batch=1)
        again = await phone.hear_a(PushResult)

    assert welcome.last == 1
    assert welcome.results == [first] == [again.result]


async def test_gap_in_the_numbers_applies_nothing(ann: Account, tmp_path: Path) -> None:
    """A batch that is not the next one is out of order; the next one is then applied."""
    async with device(ann) as phone:
        await phone.greet()
        await phone.push(phone.insert(("2", "b")), batch=2)
        error = await phone.hear_a(Error)
        await phone.judged(phone.insert(("1", "a")))

    assert (error.code, error.last) == ("out_of_order", 0)
    assert rows_of(tmp_path) == [(ann.partition, "1", "a")]


# --- tokens and sessions -------------------------------------------------------------------------


async def wait_refused(account: Account, token: str) -> None:
    """Wait until a token has ended: an upgrade with it is refused."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                async with open_socket(account.url, token):
                    pass
            except InvalidStatus as refusal:
                status = refusal.response.status_code
                break
    assert status == 401


async def test_socket_outlives_its_token_by_renewal(start: Start) -> None:
    """With a newer token in band pushes are still taken after the old one's end (I3)."""
    ann = Account.log_in(start(access_seconds=3).url, "ann")
    async with device(ann) as phone:
        await phone.greet()
        asked = await phone.hear_a(Error)
        old = ann.access
        await phone.say(Renew(ann.renew().access))
        renewed = await phone.hear_a(Renewed)
        await wait_refused(ann, old)
        result = await phone.judged(phone.insert(("1", "a")))

    assert (asked.code, asked.action) == ("token_expiring", "renew_token")
    assert renewed.partitions == {ann.partition: "write"}
    assert 0 < renewed.life <= 4000
    assert (result.batch, result.refused) == (1, [])


async def test_end_of_the_token_is_enforced_on_the_open_socket(
    start: Start, tmp_path: Path
) -> None:
    """After the token's end nothing moves; a short grace later the socket is closed (I3)."""
    ann = Account.log_in(start(access_seconds=2).url, "ann")
    writer = Account.log_in(ann.url, "ann")
    async with device(ann) as phone:
        await phone.greet()
        await phone.catch_up()
        await wait_refused(ann, ann.access)
        await phone.push(phone.insert(("1", "too late")))
        async with device(writer.renew(), "b") as tablet:
            await tablet.greet()
            await tablet.judged(tablet.insert(("2", "meanwhile")))
        codes, close = await phone.hear_end()

    assert codes == ["token_expiring", "token_expired", "token_expired"]
    assert close == 4401
    assert not any(isinstance(each, Changes | PushResult) for each in phone.heard)
    assert rows_of(tmp_path) == [(ann.partition, "2", "meanwhile")]


async def test_renewal_with_another_session_ends_the_socket(ann: Account) -> None:
    """A socket cannot change hands: another user or session is refused (I15)."""
    others = [Account.log_in(ann.url, "bob"), Account.log_in(ann.url, "ann")]
    for number, other in enumerate(others):
        async with device(ann) as phone:
            await phone.greet(connection=number + 1)
            await phone.say(Renew(other.access))
            assert await phone.hear_end() == (["wrong_session"], 4403)


async def test_renewal_with_a_text_that_is_no_token(ann: Account) -> None:
    """What is no token of this server is told; the socket lives on with the token it has."""
    async with device(ann) as phone:
        await phone.greet()
        await phone.say(Renew("no token"))
        error = await phone.hear_a(Error)
        result = await phone.judged(phone.insert(("1", "a")))

    assert error.code == "token_invalid"
    assert result.refused == []


@pytest.mark.parametrize("processes", [1, 2])
async def test_logout_ends_the_open_socket(start: Start, processes: int) -> None:
    """A session ended here, or by another process on the same data, is closed with 4401 in time."""
    servers = [start() for _ in range(processes)]
    ann = Account.log_in(servers[0].url, "ann")
    async with device(ann) as phone, device(Account.log_in(ann.url, "ann"), "b") as other:
        await phone.greet()
        await other.greet()
        ann.log_out(servers[-1].url)
        since = asyncio.get_running_loop().time()
        ended = await phone.hear_end()
        took = asyncio.get_running_loop().time() - since
        result = await other.judged(other.insert(("1", "a")))

    assert ended == (["session_revoked"], 4401)
    assert took < REVOKED_WITHIN
    assert result.refused == []


async def test_session_that_has_ended_is_not_greeted(ann: Account) -> None:
    """An access token outlives its session, and opens a socket, but no data moves on it (I3)."""
    ann.log_out()
    async with device(ann) as phone:
        with pytest.raises(AssertionError, match="session_revoked"):
            await phone.greet()
        assert (await phone.hear_end())[1] == 4401


# --- ends and refusals ---------------------------------------------------------------------------


async def test_server_says_goodbye_before_it_ends(start: Start) -> None:
    """SIGTERM sends every device away with server_restarting and 1012; the exit code is 0."""
    server = start()
    ann = Account.log_in(server.url, "ann")
    async with device(ann, "a") as phone, device(ann, "b") as silent:
        await phone.greet()
        code: list[int] = []
        ending = threading.Thread(target=lambda: code.append(server.stop()))
        ending.start()
        ends = [await phone.hear_end(), await silent.hear_end()]
        goodbye = phone.heard[-1]
    ending.join(SECONDS)

    assert ends == [(["server_restarting"], 1012)] * 2
    assert isinstance(goodbye, Goodbye)
    assert goodbye.retry_after is not None
    assert goodbye.retry_after > 0
    assert code == [0]


async def test_newer_connection_of_a_device_ends_the_older(ann: Account) -> None:
    """A device that lost its network unnoticed comes back; its older socket is closed."""
    async with device(ann) as older, device(ann) as newer, device(ann) as copy:
        await older.greet(connection=1)
        await newer.greet(connection=2)
        assert await older.hear_end() == (["superseded_connection"], 1000)
        with pytest.raises(AssertionError, match="copied_file"):
            await copy.greet(connection=2)
        assert (await copy.hear_end())[1] == 4409
        assert (await newer.judged(newer.insert(("1", "a")))).refused == []


@pytest.mark.parametrize(
    ("frame", "code", "close"),
    [
        ("no json", "bad_message", 4403),
        ('{"type":"shout"}', "bad_message", 4403),
        ('{"type":"received","checkpoints":{},"acked":0}', "bad_message", 4403),
        (b"binary", "bad_message", 4403),
        ("x" * 1_100_000, "message_too_big", 1009),
    ],
    ids=["no json", "unknown kind", "no hello", "binary", "too big"],
)
async def test_what_cannot_be_read_ends_the_socket(
    start: Start, frame: str | bytes, code: str, close: int
) -> None:
    """A frame that is no message, or too large, is told and ends the socket."""
    ann = Account.log_in(start(limits="batch_bytes = 1000").url, "ann")
    async with device(ann) as phone:
        await phone.socket.send(frame)
        assert await phone.hear_end() == ([code], close)


@pytest.mark.parametrize("case", ["no token", "no jwt", "refresh token", "token in the url"])
async def test_upgrade_without_an_access_token_is_refused(ann: Account, case: str) -> None:
    """Only an access token in the Authorization header opens a socket; anything else is 401."""
    token = {"no jwt": "no-jwt", "refresh token": ann.refresh}.get(case)
    query = f"?baas_at={ann.access}" if case == "token in the url" else ""

    with pytest.raises(InvalidStatus) as refusal:
        await open_socket(ann.url, token, query=query)

    assert refusal.value.response.status_code == 401


async def test_upgrade_to_another_app_or_protocol_is_refused(ann: Account) -> None:
    """Another app is 404; a device that does not offer the subprotocol is 426 (RFC 9110)."""
    statuses = []
    for asked in (
        open_socket(ann.url, ann.access, app="other"),
        open_socket(ann.url, ann.access, subprotocol=None),
        open_socket(ann.url, ann.access, subprotocol="syncauth.v0"),
    ):
        with pytest.raises(InvalidStatus) as refusal:
            await asked
        statuses.append(refusal.value.response.status_code)

    assert statuses == [404, 426, 426]


async def test_failure_of_the_store_is_told_and_counts_nothing(
    ann: Account, tmp_path: Path
) -> None:
    """A call that fails ends the socket with `internal`; the batch was not counted."""
    async with device(ann) as phone:
        await phone.greet()
        await phone.catch_up()
        connection = sqlite3.connect(tmp_path / "data" / "server.db")
        connection.execute("DROP TABLE notes")
        connection.close()
        await phone.push(phone.insert(("1", "a")))
        ended = await phone.hear_end()
    async with device(ann) as phone:
        welcome = await phone.greet(connection=2)

    assert ended == (["internal"], 1011)
    assert welcome.last == 0


# --- one user and another ------------------------------------------------------------------------


async def test_another_user_cannot_touch_a_row(ann: Account, tmp_path: Path) -> None:
    """B cannot read, overwrite, delete, capture by key or move A's row (I15)."""
    bob = Account.log_in(ann.url, "bob")
    async with device(ann, "a") as hers, device(bob, "b") as his:
        await hers.greet()
        await hers.judged(hers.insert(("1", "ann's")))
        await his.greet(checkpoints={ann.partition: 0, bob.partition: 0})
        seen = await his.catch_up()
        life = f"{1:016x}{'a' * 16}"
        overwrite = await his.judged(
            his.update("1", "bob's", life=life, hlc=9, partition=ann.partition)
        )
        delete = await his.judged(his.delete("1", life=life, hlc=9, partition=ann.partition))
        unnamed = await his.judged(his.update("1", "moved", life=life, hlc=9))
        capture = await his.judged(his.insert(("1", "bob's own"), hlc=9))
        await his.say(Subscribe([NOTES]))
        seen += await his.catch_up()

    assert seen == []
    assert capture.refused == []
    for result in (overwrite, delete, unnamed):
        told = str([section.rows for section in result.rows])
        assert "ann's" not in told
    assert rows_of(tmp_path) == sorted(
        [(ann.partition, "1", "ann's"), (bob.partition, "1", "bob's own")]
    )


async def test_another_user_cannot_advance_a_device(ann: Account) -> None:
    """B naming A's device gets one of its own; A's next batch number stays what it was (I15)."""
    bob = Account.log_in(ann.url, "bob")
    async with device(ann, "a") as hers, device(bob, "a") as his:
        await hers.greet()
        await hers.judged(hers.insert(("1", "ann's")))
        welcome = await his.greet()
        await his.judged(his.insert(("1", "bob's")))
        await his.judged(his.insert(("2", "bob's")))
        result = await hers.judged(hers.insert(("2", "ann's")))

    assert welcome.device != hers.device
    assert (welcome.last, welcome.results) == (0, [])
    assert (result.batch, result.refused) == (2, [])
