"""Every refusal is a typed error that says what, why and the remedy, with nothing lost."""

# ruff: noqa: ASYNC240 - the files are small and local

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
import sqlite_utils

import syncauth
from syncauth.errors import (
    FileCorrupt,
    FileInUse,
    FileTooNew,
    InsecureServer,
    InvalidConfig,
    ServerUnreachable,
    SyncAuthError,
    TableNotTrackable,
    UnexpectedAnswer,
)
from tests.support.app_bench import ANN, OpenApp, next_event, open_notes, until
from tests.support.processes import EMAIL, PASSWORD, Server


def says_all(error: SyncAuthError) -> bool:
    """Whether an error names a remedy besides what happened."""
    return bool(str(error)) and bool(error.remedy)


async def test_a_server_that_is_down(open_app: OpenApp, free_port: int) -> None:
    """Nobody listens: the person is not asked for anything, it is to be tried later."""
    app = await open_app(f"http://127.0.0.1:{free_port}")
    with pytest.raises(ServerUnreachable) as raised:
        await app.log_in(ANN)
    assert says_all(raised.value)


async def test_a_server_that_is_not_ours(open_app: OpenApp) -> None:
    """A web page instead of JSON is told as what it is."""
    page = b"<html>welcome</html>"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + page)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        app = await open_app(f"http://127.0.0.1:{port}")
        with pytest.raises((UnexpectedAnswer, ServerUnreachable)) as raised:
            await app.log_in(ANN)
        assert says_all(raised.value)


def test_http_to_another_machine(tmp_path: Path) -> None:
    """Tokens never travel in clear text; the constructor says so, before any I/O."""
    with pytest.raises(InsecureServer, match="clear text"):
        syncauth.App("http://sync.example.com", app_id="test", data_dir=tmp_path)
    with pytest.raises(InvalidConfig):
        syncauth.App("https://sync.example.com", app_id="test", data_dir=tmp_path, misspelt=1)


async def test_a_table_that_cannot_be_tracked(server: Server, open_app: OpenApp) -> None:
    """The error names the table, the reason and the remedy; nothing of the script is kept."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    user = await app.log_in(ANN)
    with pytest.raises(TableNotTrackable) as raised:
        await app.open_replica(user, tables=["plain"], create="CREATE TABLE plain (a TEXT);")
    assert (raised.value.table, raised.value.reason) == ("plain", "no_primary_key")
    assert says_all(raised.value)
    await open_notes(app, user)


@pytest.mark.parametrize(
    ("create", "tables", "code"),
    [
        ("CREATE TABLE other (id TEXT NOT NULL PRIMARY KEY, a TEXT);", ["other"], "unknown_table"),
        (
            "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT, colour TEXT);",
            ["notes"],
            "schema_mismatch",
        ),
        (
            "CREATE TABLE notes (number TEXT NOT NULL PRIMARY KEY, title TEXT, body TEXT);",
            ["notes"],
            "schema_mismatch",
        ),
    ],
)
async def test_what_the_server_does_not_know_stops_sync_and_loses_nothing(
    server: Server, open_app: OpenApp, create: str, tables: list[str], code: str
) -> None:
    """`on_sync_error` tells the code; the rows stay, and stay writable."""
    app = await open_app(server.url)
    events = app.events()
    await app.register(EMAIL, PASSWORD)
    user = await app.log_in(ANN)
    replica = await app.open_replica(user, tables=tables, create=create)
    error = await next_event(events, syncauth.SyncErrorRaised)
    assert error.code == code
    await until(lambda: replica.status.connection is syncauth.ConnectionState.PAUSED)
    column = replica.db[tables[0]].pks[0]
    replica.db[tables[0]].insert({column: "1"})
    assert replica.db[tables[0]].count == 1


async def test_a_row_that_this_table_does_not_take_stops_sync_and_says_so(
    server: Server, open_app: OpenApp
) -> None:
    """A CHECK that only the device has: the code names it, once, and nothing turns in a circle (I10)."""
    one, other = await open_app(server.url, "one"), await open_app(server.url, "other")
    await one.register(EMAIL, PASSWORD)
    create = (
        "CREATE TABLE IF NOT EXISTS notes"
        " (id TEXT NOT NULL PRIMARY KEY, title TEXT CHECK (title <> 'bad'), body TEXT);"
    )
    here = await one.open_replica(await one.log_in(ANN), tables=["notes"], create=create)
    events = one.events()
    there = await open_notes(other, await other.log_in(ANN))
    await there.write(lambda db: db["notes"].insert({"id": "1", "title": "bad", "body": ""}))
    told = await next_event(events, syncauth.SyncErrorRaised)
    assert (told.code, told.stopped) == ("schema_mismatch", True)
    await until(lambda: here.status.connection is syncauth.ConnectionState.PAUSED)
    await here.write(lambda db: db["notes"].insert({"id": "2", "title": "good", "body": ""}))
    await until(lambda: here.status.pending == 1)


async def test_a_change_that_no_message_carries_blocks_nothing(
    server: Server, open_app: OpenApp
) -> None:
    """It becomes a dead letter with its value; the edited row comes back as the server has it (I1, I6)."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    replica = await open_notes(app, await app.log_in(ANN))
    await replica.write(lambda db: db["notes"].insert({"id": "1", "title": "a", "body": "b"}))
    await replica.wait_uploaded(10)
    events = app.events()
    huge = "x" * 5_100_000

    def write(db: sqlite_utils.Database) -> None:
        db["notes"].update("1", {"body": huge})
        db["notes"].insert({"id": "2", "title": "small", "body": ""})

    await replica.write(write)
    told = await next_event(events, syncauth.ChangeRejected)
    assert told.change.code == "value_not_supported"
    assert told.change.values == {"body": huge}
    await replica.wait_uploaded(10)
    await replica.wait_synced(10)
    assert [row["body"] for row in replica.db["notes"].rows] == ["b", ""]


async def test_a_data_directory_serves_several_apps(server: Server, open_app: OpenApp) -> None:
    """What one App does with its users the other knows at once, as another process would."""
    one, other = await open_app(server.url), await open_app(server.url)
    await one.register(EMAIL, PASSWORD)
    user = await one.log_in(ANN)
    await until(lambda: other.current_user is not None)
    known = other.current_user
    assert known is not None
    assert (known.id, known.access_token) == (user.id, user.access_token)
    await other.log_out()
    await until(lambda: user.state is syncauth.SessionState.LOGGED_OUT)


async def test_one_replica_is_opened_once(server: Server, open_app: OpenApp) -> None:
    """Opening a user's file again while it is open is refused; the open one works on."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    replica = await open_notes(app, await app.log_in(ANN))
    with pytest.raises(FileInUse):
        await open_notes(app, replica.user)
    replica.db["notes"].insert({"id": "1", "title": "x", "body": None})
    await replica.wait_uploaded(10)


async def test_files_of_a_newer_version_and_damaged_files_stay_as_they_are(
    server: Server, open_app: OpenApp, tmp_path: Path
) -> None:
    """Neither the user's file nor the credential store is touched."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    user = await app.log_in(ANN)
    replica = await open_notes(app, user)
    path = Path(replica.path)
    await replica.aclose()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE _sync_meta SET value = 99 WHERE key = 'format'")
    connection.close()
    newer = path.read_bytes()
    with pytest.raises(FileTooNew):
        await open_notes(app, user)
    assert path.read_bytes() == newer
    for file in path.parent.glob(f"{path.name}-*"):
        file.unlink()
    path.write_bytes(b"this is no database, but it is somebody's" * 100)
    with pytest.raises(FileCorrupt):
        await open_notes(app, user)
    assert path.read_bytes().startswith(b"this is no database")
    await app.aclose()
    store = tmp_path / "device" / "sessions.db"
    for file in store.parent.glob("sessions.db-*"):
        file.unlink()
    store.write_bytes(b"neither is this" * 1000)
    with pytest.raises(FileCorrupt):
        await open_app(server.url)
    assert store.read_bytes().startswith(b"neither is this")


async def test_a_full_disk_keeps_what_was_there(server: Server, open_app: OpenApp) -> None:
    """The write that does not fit raises, the transaction is gone, everything before it stands."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    replica = await open_notes(app, await app.log_in(ANN))
    replica.db["notes"].insert({"id": "1", "title": "fits", "body": None})
    (pages,) = replica.db.execute("PRAGMA page_count").fetchone()
    await replica.write(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 2}") and None)
    large = {"id": "2", "title": "x" * 1_000_000, "body": None}
    with pytest.raises(syncauth.SyncAuthError) as raised:
        await replica.write(lambda db: db["notes"].insert(large))
    assert type(raised.value).__name__ == "FileFull"
    assert [row["id"] for row in replica.db["notes"].rows] == ["1"]
    await replica.wait_uploaded(10)
