"""Tables that are altered or rebuilt while sync runs: what went by unseen is found, and sync goes on by itself."""

from __future__ import annotations

import contextlib
import sqlite3

import sqlite_utils

import syncauth
from syncauth import CaptureRestored, ChangeRejected
from tests.support.app_bench import ANN, OpenApp, next_event, open_notes, until
from tests.support.processes import EMAIL, PASSWORD, Server


def rows_of(replica: syncauth.OpenReplica) -> list[tuple[str, ...]]:
    return list(replica.db.query("SELECT id, title, body FROM notes ORDER BY id"))


async def test_edits_around_a_transform_reach_the_other_device_and_undo_nothing(
    server: Server, open_app: OpenApp
) -> None:
    """sqlite-utils' transform drops triggers without a word (seen): both sides' edits survive (I1, I6, I9)."""
    one, other = await open_app(server.url, "one"), await open_app(server.url, "other")
    await one.register(EMAIL, PASSWORD)
    here = await open_notes(one, await one.log_in(ANN))
    there = await open_notes(other, await other.log_in(ANN))
    rows = [{"id": str(n), "title": "a", "body": "b"} for n in range(10)]
    await here.write(lambda db: db["notes"].insert_all(rows))
    await here.wait_uploaded(10)
    await there.wait_synced(10)
    await there.write(lambda db: db["notes"].insert({"id": "x", "title": "t", "body": "t"}))
    await there.wait_uploaded(10)
    await here.wait_synced(10)
    events = one.events()

    # The tool of another process: it rebuilds the table and writes before anybody can notice.
    with contextlib.closing(sqlite3.connect(here.path)) as tool:
        tool.execute("BEGIN IMMEDIATE")
        sqlite_utils.Database(tool)["notes"].transform(defaults={"title": "untitled"})
        tool.execute("UPDATE notes SET title = 'unseen' WHERE id = 'x'")
        tool.execute("DELETE FROM notes WHERE id = '0'")
        tool.execute("INSERT INTO notes VALUES ('new', 'n', 'n')")
        await there.write(lambda db: db["notes"].update("1", {"body": "theirs"}))
        await there.wait_uploaded(10)
        tool.commit()

    restored = await next_event(events, CaptureRestored)
    assert restored.tables == ("notes",)
    await here.wait_uploaded(10)
    await there.wait_synced(10)
    await here.wait_synced(10)
    assert rows_of(here) == rows_of(there)
    found = {row["id"]: (row["title"], row["body"]) for row in there.db["notes"].rows}
    assert found["x"] == ("unseen", "t")
    assert found["1"] == ("a", "theirs")
    assert found["new"] == ("n", "n")
    assert "0" not in found


async def test_a_column_that_is_added_while_live_is_filled_by_itself(
    server: Server, open_app: OpenApp
) -> None:
    """ALTER TABLE needs no restart: the device names its tables anew and gets what others wrote there."""
    one, other = await open_app(server.url, "one"), await open_app(server.url, "other")
    await one.register(EMAIL, PASSWORD)
    there = await open_notes(other, await other.log_in(ANN))
    await there.write(lambda db: db["notes"].insert({"id": "1", "title": "a", "body": "b"}))
    await there.wait_uploaded(10)
    narrow = "CREATE TABLE IF NOT EXISTS notes (id TEXT NOT NULL PRIMARY KEY, title TEXT);"
    here = await one.open_replica(await one.log_in(ANN), tables=["notes"], create=narrow)
    await here.wait_synced(10)
    here.db.execute("ALTER TABLE notes ADD COLUMN body TEXT")
    await until(lambda: here.db["notes"].get("1")["body"] == "b")
    await here.write(lambda db: db["notes"].update("1", {"body": "here"}))
    await here.wait_uploaded(10)
    await there.wait_synced(10)
    assert there.db["notes"].get("1")["body"] == "here"


async def test_what_nobody_can_tell_is_shown_to_the_app(server: Server, open_app: OpenApp) -> None:
    """Both wrote one column, one of them unseen: the server's stands, the other is rejected (I1)."""
    one, other = await open_app(server.url, "one"), await open_app(server.url, "other")
    await one.register(EMAIL, PASSWORD)
    there = await open_notes(other, await other.log_in(ANN))
    await there.write(lambda db: db["notes"].insert({"id": "1", "title": "a", "body": "b"}))
    await there.wait_uploaded(10)
    here = await open_notes(one, await one.log_in(ANN))
    await here.wait_synced(10)
    events = one.events()
    with contextlib.closing(sqlite3.connect(here.path)) as tool:
        tool.execute("BEGIN IMMEDIATE")
        sqlite_utils.Database(tool)["notes"].transform(defaults={"title": "untitled"})
        tool.execute("UPDATE notes SET title = 'unseen'")
        await there.write(lambda db: db["notes"].update("1", {"title": "theirs"}))
        await there.wait_uploaded(10)
        tool.commit()
    letter = (await next_event(events, ChangeRejected)).change
    assert (letter.code, letter.values) == ("capture_interrupted", {"title": "unseen"})
    await here.wait_synced(10)
    assert here.db["notes"].get("1")["title"] == "theirs"


async def test_a_migration_through_the_replica_needs_no_comparison(
    server: Server, open_app: OpenApp
) -> None:
    """A column is dropped, rows are edited, and only the edits are sent; the dropped column stays at the server."""
    one, other = await open_app(server.url, "one"), await open_app(server.url, "other")
    await one.register(EMAIL, PASSWORD)
    there = await open_notes(other, await other.log_in(ANN))
    here = await open_notes(one, await one.log_in(ANN))
    await here.write(lambda db: db["notes"].insert({"id": "1", "title": " a ", "body": "b"}))
    await here.wait_uploaded(10)

    def work(db: sqlite_utils.Database) -> None:
        db["notes"].transform(drop={"body"})
        db.conn.execute("UPDATE notes SET title = trim(title)")

    await here.migrate(work)
    await here.wait_uploaded(10)
    await there.wait_synced(10)
    assert there.db["notes"].get("1") == {"id": "1", "title": "a", "body": "b"}
    await there.write(lambda db: db["notes"].update("1", {"title": "theirs", "body": "c"}))
    await there.wait_uploaded(10)
    await here.wait_synced(10)
    assert here.db["notes"].get("1") == {"id": "1", "title": "theirs"}
