"""Removing a user's file, by which unsent changes are discarded."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from syncauth.adapters.locks import hold_file
from syncauth.errors import ChangesPending, FileInUse, FileNotOurs
from syncauth.replica import files
from syncauth.replica.opened import Owner
from syncauth.replica.removing import remove_files
from tests.support.opened_file import ALICE, LIMIT, NoWatcher, open_notes

GUEST = Owner(ALICE.server, ALICE.app, None)


def make(tmp_path: Path, *ids: str, owner: Owner = ALICE) -> Path:
    """Make a file with unsent rows; returns its path."""
    opened = open_notes(tmp_path, owner, watch=NoWatcher)
    opened.db["notes"].insert_all({"id": each, "text": "x"} for each in ids)
    opened.close()
    return Path(opened.path)


def left(path: Path) -> list[str]:
    return sorted(each.name.removeprefix(path.name) for each in path.parent.iterdir())


def test_with_the_right_number_everything_goes(tmp_path: Path) -> None:
    """Database and log are gone; the empty lock file stays for whoever is about to lock it."""
    path = make(tmp_path, "a", "b")

    assert remove_files(tmp_path, ALICE, expected=2, hold=hold_file)
    assert left(path) == [".lock"]


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_with_another_number_nothing_goes(tmp_path: Path, expected: int) -> None:
    """Whoever does not know what is lost does not want it lost (I1)."""
    path = make(tmp_path, "a", "b")
    with pytest.raises(ChangesPending) as raised:
        remove_files(tmp_path, ALICE, expected=expected, hold=hold_file)

    assert raised.value.pending == 2
    again = open_notes(tmp_path, watch=NoWatcher)
    assert again.db["notes"].count == 2
    again.close()
    assert str(path) == again.path


def test_changes_in_flight_count(tmp_path: Path) -> None:
    """Nobody knows whether the server has them."""
    opened = open_notes(tmp_path, watch=NoWatcher)
    opened.db["notes"].insert({"id": "a", "text": "x"})
    opened.worker.submit(opened.replica.begin_connection).result(LIMIT)
    opened.worker.submit(lambda: opened.replica.cut(rows=9, size=9999)).result(LIMIT)
    opened.db["notes"].insert({"id": "b", "text": "x"})
    opened.close()

    with pytest.raises(ChangesPending) as raised:
        remove_files(tmp_path, ALICE, expected=1, hold=hold_file)
    assert raised.value.pending == 2


def test_a_new_file_begins_anew(tmp_path: Path) -> None:
    """The next open has no rows, another history, and downloads what the server has."""
    make(tmp_path, "a")
    remove_files(tmp_path, ALICE, expected=1, hold=hold_file)
    opened = open_notes(tmp_path, incarnation="two", device="00000000000000bb", watch=NoWatcher)
    state = opened.worker.submit(opened.replica.state).result(LIMIT)
    opened.close()

    assert (state.pending, state.incarnation, state.device) == (0, "two", "00000000000000bb")
    assert state.checkpoints == {}


def test_an_open_file_stays(tmp_path: Path) -> None:
    """Neither an App nor any other program loses the file that it has open."""
    opened = open_notes(tmp_path, watch=NoWatcher)
    with pytest.raises(FileInUse):
        remove_files(tmp_path, ALICE, expected=0, hold=hold_file)
    opened.close()

    stranger = sqlite3.connect(opened.path)
    stranger.execute("SELECT * FROM notes").fetchall()
    with pytest.raises(FileInUse) as raised:
        remove_files(tmp_path, ALICE, expected=0, hold=hold_file)
    assert raised.value.path == opened.path
    stranger.close()
    assert remove_files(tmp_path, ALICE, expected=0, hold=hold_file)


def test_a_log_that_a_kill_left_is_counted(tmp_path: Path) -> None:
    """What stands in the log alone is as unsent as any other change (I1, I14)."""
    source = make(tmp_path, "a")
    held = sqlite3.connect(source)
    held.execute("INSERT INTO notes VALUES ('b', 'x')")
    held.commit()
    copies = {part: Path(f"{source}{part}").read_bytes() for part in ("", "-wal")}
    held.close()
    for part, content in copies.items():
        Path(f"{source}{part}").write_bytes(content)

    with pytest.raises(ChangesPending) as raised:
        remove_files(tmp_path, ALICE, expected=1, hold=hold_file)
    assert raised.value.pending == 2
    assert remove_files(tmp_path, ALICE, expected=2, hold=hold_file)
    assert left(source) == [".lock"]


def test_a_file_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    """Called again it finds nothing to do; whoever expects changes is told that there are none."""
    assert not remove_files(tmp_path, ALICE, expected=0, hold=hold_file)
    make(tmp_path)
    assert remove_files(tmp_path, ALICE, expected=0, hold=hold_file)
    assert not remove_files(tmp_path, ALICE, expected=0, hold=hold_file)
    with pytest.raises(ChangesPending):
        remove_files(tmp_path, ALICE, expected=1, hold=hold_file)


def test_another_owners_file_is_not_removed(tmp_path: Path) -> None:
    """A file that was put into another one's place stays (I12)."""
    target = Path(files.path_of(tmp_path, Owner(ALICE.server, ALICE.app, "bob")))
    make(tmp_path, "a").rename(target)
    with pytest.raises(FileNotOurs):
        remove_files(tmp_path, Owner(ALICE.server, ALICE.app, "bob"), expected=1, hold=hold_file)

    assert target.exists()


def test_an_adopted_guests_file_holds_nothing_to_lose(tmp_path: Path) -> None:
    """Its rows are changes of the user's; until then they count, as nobody else has them (I1)."""
    make(tmp_path, "a", owner=GUEST)
    with pytest.raises(ChangesPending):
        remove_files(tmp_path, GUEST, expected=0, hold=hold_file)
    opened = open_notes(tmp_path, watch=NoWatcher)
    opened.adopt(tmp_path, GUEST, hold_file).result(LIMIT)
    opened.close()

    assert remove_files(tmp_path, GUEST, expected=0, hold=hold_file)
    again = open_notes(tmp_path, GUEST, incarnation="second", watch=NoWatcher)
    assert again.db["notes"].count == 0
    again.close()
