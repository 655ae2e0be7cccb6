"""The hub's driver over real stores: order, answers, failures, and what it logs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from syncauth.sansio.messages import (
    Checkpoint,
    ClientMessage,
    Error,
    Goodbye,
    Push,
    PushResult,
    Renew,
    Renewed,
    Section,
    ServerMessage,
    encode_sections,
)
from syncauth.server.accounts.issuer import Claims
from syncauth.server.hub import inputs
from syncauth.server.stores.interface import NewUser
from syncauth.server.stores.subjects import CUSTOM_TOKEN, subject_name
from tests.support.hub_bench import SECONDS, Bench, Messages, open_bench
from tests.support.hub_story import hello


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A driver over real stores."""
    with open_bench(tmp_path) as bench:
        yield bench


def batch(text: str) -> Push:
    """Return a first batch with one insert."""
    section = Section("notes", "insert", [["1", 1, 1, None, text]], ["text"])
    return Push(1, 0, msgspec.Raw(encode_sections([section])))


def say(bench: Bench, socket: int, *said: ClientMessage) -> None:
    """Let a device say several things at once."""
    for message in said:
        bench.driver.post(inputs.MessageReceived(socket, message))


async def greeted(bench: Bench) -> tuple[int, Messages]:
    """Open a socket and wait until hello is answered."""
    socket, messages = bench.open()
    say(bench, socket, hello())
    await messages.wait(Checkpoint)
    return socket, messages


async def test_calls_are_answered(bench: Bench) -> None:
    """Hello, a batch and renewals go to the real stores and the issuer and come back."""
    socket, messages = await greeted(bench)
    token = bench.issuer.access_token(bench.session, now=bench.clock.wall(), life=90)

    say(bench, socket, batch("a"), Renew("no token"), Renew(token.text.reveal()))
    result = await messages.wait(PushResult)
    error = await messages.wait(Error)
    renewed = await messages.wait(Renewed)

    assert isinstance(result, PushResult)
    assert result.result.refused == []
    assert isinstance(error, Error)
    assert error.code == "token_invalid"
    assert isinstance(renewed, Renewed)
    assert 60_000 < renewed.life <= 91_000
    assert bench.connection.execute("SELECT text FROM notes").fetchall() == [("a",)]


async def test_revocation_is_looked_at_at_once(bench: Bench) -> None:
    """A session that this process ends closes its sockets, without waiting for a recheck."""
    _, messages = await greeted(bench)

    await bench.thread.run(bench.accounts.revoke_session, "session", bench.clock.wall())
    bench.driver.revoked(["session"])

    assert await messages.wait_closed() == 4401
    assert isinstance(messages.sent[-1], Error)
    assert messages.sent[-1].code == "session_revoked"


async def test_logout_cuts_sockets_of_other_issuers_at_once(bench: Bench) -> None:
    """What stands for a session of another issuer's user ends as a session does (I3)."""
    name = subject_name("https://id.example", "ann")
    new = NewUser("user", "identity", CUSTOM_TOKEN, name, password_hash=None, data={})
    bench.accounts.admit_subject(new, bench.clock.wall(), returning=False)
    messages = Messages()
    stand_in = bench.accounts.session_of_subject("user", name)
    socket = bench.driver.open(messages, Claims("user", stand_in, bench.clock.wall() + 60))
    assert socket is not None

    bench.driver.revoked(bench.accounts.revoke_user("user", bench.clock.wall()))

    assert await messages.wait_closed() == 4401
    assert isinstance(messages.sent[-1], Error)
    assert messages.sent[-1].code == "session_revoked"


async def test_session_ended_elsewhere_is_noticed(bench: Bench) -> None:
    """Without being told, the driver rechecks sessions by itself."""
    _, messages = await greeted(bench)

    await bench.thread.run(bench.accounts.disable_user, "ann", bench.clock.wall())

    assert await messages.wait_closed() == 4401
    assert isinstance(messages.sent[-1], Error)
    assert messages.sent[-1].code == "user_disabled"


async def test_failed_call_is_logged_without_values(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that raises is told as `internal`; the log says which and where, no value (I10)."""
    socket, messages = await greeted(bench)
    trigger = (
        "CREATE TRIGGER fail BEFORE INSERT ON notes WHEN NEW.text = 'very secret'"
        " BEGIN SELECT json_extract('{}', NEW.text); END"  # bad JSON path: 'very secret'
    )
    await bench.thread.run(bench.connection.execute, trigger)

    say(bench, socket, batch("very secret"))

    assert await messages.wait_closed() == 1011
    assert not any(isinstance(each, PushResult) for each in messages.sent)
    assert "PushBatch failed" in caplog.text
    assert "sqlite_rows.py" in caplog.text
    assert "very secret" not in caplog.text


async def test_failed_recheck_keeps_the_sockets(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Sessions that cannot be looked at now are not ended; they are looked at again."""
    _, messages = await greeted(bench)
    await bench.thread.run(bench.connection.execute, "ALTER TABLE _sync_sessions RENAME TO away")
    bench.driver.revoked(["session"])
    async with asyncio.timeout(SECONDS):
        while "CheckSessions failed" not in caplog.text:
            await bench.thread.run(bench.connection.execute, "SELECT 1")
    assert messages.closed is None

    await bench.thread.run(bench.connection.execute, "ALTER TABLE away RENAME TO _sync_sessions")
    await bench.thread.run(bench.accounts.revoke_session, "session", bench.clock.wall())

    assert await messages.wait_closed() == 4401


async def test_input_that_fails_ends_its_own_socket_alone(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """What stands behind it is served all the same, and the timer is set: one failure is one socket's."""
    broken, messages = await greeted(bench)
    socket, others = bench.open()
    say(bench, socket, hello(device=""))
    await others.wait(Checkpoint)
    nonsense: Any = "no outcome of a check"

    bench.driver.post(inputs.TokenChecked(broken, nonsense))
    bench.driver.post(inputs.PermissionsRead(socket + 1, nonsense))
    unborn = Messages()
    bench.driver.open(unborn, Claims("ann", "session", nonsense))
    say(bench, socket, batch("a"))

    assert await messages.wait_closed() == await unborn.wait_closed() == 1011
    assert isinstance(messages.sent[-1], Error)
    assert messages.sent[-1].code == "internal"
    assert await others.wait(PushResult)
    assert caplog.text.count("TokenChecked failed: AttributeError") == 1
    assert nonsense not in caplog.text
    # Without being told: the timer looks at the sessions.
    await bench.thread.run(bench.accounts.disable_user, "ann", bench.clock.wall())
    assert await others.wait_closed() == 4401


async def test_outlet_that_fails_is_its_own_socket_s_matter(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """A socket that cannot be sent to ends; the other one hears what was meant for both."""

    class Broken(Messages):
        def send(self, message: ServerMessage) -> None:
            raise OSError(message)

    broken = Broken()
    first = bench.driver.open(broken, Claims("ann", "session", bench.clock.wall() + 60))
    assert first is not None
    _, others = await greeted(bench)
    await bench.thread.run(bench.accounts.revoke_session, "session", bench.clock.wall())

    bench.driver.revoked(["session"])

    assert await broken.wait_closed() == await others.wait_closed() == 4401
    assert "Send failed: OSError" in caplog.text


async def test_drain_waits_for_the_sockets(bench: Bench) -> None:
    """Draining says goodbye and ends when the last socket has ended; newcomers come back one by one."""
    socket, messages = await greeted(bench)
    draining = asyncio.ensure_future(bench.driver.drain(1.5, 100))  # noqa: TID251
    goodbye = await messages.wait(Goodbye)
    assert not draining.done()

    bench.driver.closed(socket)
    async with asyncio.timeout(SECONDS):
        await draining
    _, late = bench.open()

    assert isinstance(goodbye, Goodbye)
    assert goodbye.retry_after == 1500
    assert late.closed == 1012
    assert isinstance(late.sent[-1], Goodbye)
    assert late.sent[-1].retry_after == 1510


async def test_nothing_happens_after_the_end(bench: Bench) -> None:
    """An ended driver takes whatever still comes, and does nothing."""
    socket, messages = await greeted(bench)
    before = len(messages.sent)
    bench.driver.end()

    say(bench, socket, batch("a"))
    bench.driver.revoked(["session"])
    bench.driver.closed(socket)

    assert len(messages.sent) == before


async def test_no_socket_is_let_in_after_the_end(bench: Bench) -> None:
    """One whose upgrade was under way when the server ended is refused: nobody would serve it."""
    claims = Claims("ann", bench.session.session_id, bench.clock.wall() + 60)
    bench.driver.end()

    assert bench.driver.open(Messages(), claims) is None
