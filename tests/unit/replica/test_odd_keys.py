"""Keys that Python cannot read as text are keys like any other: invalid UTF-8 in a TEXT column."""

from __future__ import annotations

from pathlib import Path

from syncauth.models import TableSpec
from syncauth.rows.values import RawText
from syncauth.sansio.messages import Refused, Section
from tests.support.replica_bench import OWN, ReplicaBench, gone, life_of, remote

KEY = {"t": "/w=="}
INSERT = "INSERT INTO notes VALUES (CAST(x'ff' AS TEXT), 'a', 'b', 3)"


def _keyed(section: Section) -> Section:
    """Give the one row of a section the odd key."""
    section.rows[0][0] = KEY
    return section


def _bench(bench: ReplicaBench) -> ReplicaBench:
    bench.app.text_factory = bytes
    bench.run(INSERT)
    return bench


def _row(title: bytes, body: bytes, likes: int) -> list[tuple[bytes, bytes, bytes, int]]:
    return [(b"\xff", title, body, likes)]


def test_a_page_does_not_overwrite_an_unsent_edit(bench: ReplicaBench) -> None:
    """The key is found as the text that it is (I1)."""
    (first,) = _bench(bench).cut()
    bench.acknowledge()
    bench.run("UPDATE notes SET title = 'ours'")
    bench.apply(_keyed(remote(["", "theirs", "theirs", 4], life=life_of(first))))
    assert bench.table() == _row(b"ours", b"theirs", 4)
    assert [each.values for each in bench.cut()] == [{"title": "ours"}]


def test_deletion_and_exit_reach_the_row(bench: ReplicaBench) -> None:
    """A tombstone and an exit take it away, and what was known of it."""
    (first,) = _bench(bench).cut()
    bench.acknowledge()
    bench.apply(_keyed(gone("", life_of(first))))
    assert bench.table() == []
    bench.apply(_keyed(remote(["", "back", "b", 3])))
    bench.apply(Section("notes", "exit", [[KEY]], partition=OWN))
    assert bench.table() == []
    assert bench.app.execute("SELECT count(*) FROM _sync_rows_1").fetchone() == (0,)


def test_a_new_life_outlives_the_tombstone_of_the_old_one(bench: ReplicaBench) -> None:
    """Deleted and inserted again here, the row stays, and its insert is sent."""
    (first,) = _bench(bench).cut()
    bench.acknowledge()
    bench.run("DELETE FROM notes", INSERT)
    bench.apply(_keyed(gone("", life_of(first))))
    assert bench.table() == _row(b"a", b"b", 3)
    assert [each.kind for each in bench.cut()] == ["insert"]


def test_a_refused_insert_takes_later_edits_along(bench: ReplicaBench) -> None:
    """The dead letters name the key bit for bit."""
    (first,) = _bench(bench).cut()
    bench.run("UPDATE notes SET title = 'later'")
    done = bench.acknowledge(
        Refused(first.entry, "constraint", "no"),
        rows=[Section("notes", "exit", [[KEY]], partition=OWN)],
    )
    assert bench.table() == []
    assert bench.cut() == []
    assert [each.key for each in done.refused] == [(RawText(b"\xff"),), (RawText(b"\xff"),)]


def test_a_new_device_id_sends_the_insert_again(bench: ReplicaBench) -> None:
    """What was in flight goes back to the outbox, under no life yet."""
    _bench(bench).cut()
    bench.replica.adopt_device("c" * 16)
    (again,) = bench.cut()
    assert (again.kind, again.key, again.life) == ("insert", (KEY,), None)


def test_unsent_children_of_such_a_parent_are_kept(tmp_path: Path) -> None:
    """A reference to a parent that has gone is found by the same bits."""
    bench = ReplicaBench(
        tmp_path,
        "CREATE TABLE parents (id TEXT NOT NULL PRIMARY KEY);"
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, parent TEXT REFERENCES parents)",
        TableSpec("parents"),
        TableSpec("notes"),
    )
    parent = _keyed(remote([""], columns=[], table="parents"))
    bench.apply(parent)
    bench.run("INSERT INTO notes VALUES ('1', CAST(x'ff' AS TEXT))")
    refused = bench.apply(_keyed(gone("", str(parent.rows[0][1]), table="parents"))).refused
    assert [(each.key, each.code) for each in refused] == [(("1",), "foreign_key")]
    assert bench.table() == []
    bench.close()


def test_a_text_and_a_blob_of_the_same_bytes_are_two_keys(tmp_path: Path) -> None:
    """In a BLOB column both may be there: neither takes the other's edit."""
    bench = ReplicaBench(tmp_path, "CREATE TABLE notes (id BLOB NOT NULL PRIMARY KEY, v TEXT)")
    bench.run("INSERT INTO notes VALUES (x'ff', 'blob'), (CAST(x'ff' AS TEXT), 'text')")
    lives = {each.values["v"]: life_of(each) for each in bench.cut()}
    bench.acknowledge()
    bench.run("UPDATE notes SET v = 'ours' WHERE typeof(id) = 'text'")
    text = _keyed(remote(["", "theirs"], columns=["v"], life=lives["text"]))
    blob = remote(["", "theirs"], columns=["v"], life=lives["blob"])
    blob.rows[0][0] = {"b": "/w=="}
    text.rows.append(blob.rows[0])
    bench.apply(text)
    found = bench.app.execute("SELECT typeof(id), v FROM notes ORDER BY 1").fetchall()
    assert found == [("blob", "theirs"), ("text", "ours")]
    assert [(each.life, each.values) for each in bench.cut()] == [(lives["text"], {"v": "ours"})]
    bench.close()
