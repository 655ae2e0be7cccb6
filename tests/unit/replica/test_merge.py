"""One row written on both sides, by the rules alone: what stays, what is dropped, what is still to be sent."""

from __future__ import annotations

import itertools

import pytest

from syncauth.replica.entries import Entry
from syncauth.replica.inflight import fold
from syncauth.replica.merge import Outcome, Overlay, Remote
from syncauth.rows.stamps import RowStamps, make_stamp

OWN, OTHER = "a" * 16, "b" * 16
BOUND = 1000
COLUMNS = ("a", "b", "n")
LIFE = make_stamp(10, OTHER)


def entry(
    number: int,
    kind: str,
    hlc: int,
    *columns: str,
    life: str | None = None,
    batch: int | None = None,
    delta: int | None = None,
) -> Entry:
    """Make an entry; `delta` is that of the counter n."""
    return Entry(number, kind, hlc, life, batch, columns, {} if delta is None else {"n": delta})


def lay(
    *entries: Entry,
    lives: str | None = LIFE,
    stamp: int = 20,
    known: str | None = LIFE,
    overrides: dict[str, int] | None = None,
) -> Outcome:
    """Lay entries over a row that the server has (`lives` None: has not)."""
    stamps = {name: make_stamp(hlc, OTHER) for name, hlc in (overrides or {}).items()}
    remote = Remote(lives, None if lives is None else RowStamps(make_stamp(stamp, OTHER), stamps))
    return Overlay(remote, device=OWN, bound=BOUND, columns=COLUMNS, known=known).lay(entries)


@pytest.mark.parametrize(
    ("hlc", "kept", "cleared"),
    [(19, set(), {"a"}), (20, set(), {"a"}), (21, {"a"}, None), (BOUND + 500, {"a"}, None)],
)
def test_an_edit_wins_by_its_stamp(hlc: int, kept: set[str], cleared: set[str] | None) -> None:
    """Of equal HLCs the greater device id wins; here that is the other one."""
    outcome = lay(entry(1, "update", hlc, "a"))
    assert outcome.kept == kept
    assert outcome.cleared == ({} if cleared is None else {1: cleared})


def test_a_stamp_beyond_the_bound_counts_as_the_bound() -> None:
    """The server will cut it; what the others wrote up to then is newer."""
    assert lay(entry(1, "update", 9_999, "a"), stamp=BOUND).kept == set()
    assert lay(entry(1, "update", 9_999, "a"), stamp=BOUND - 1).kept == {"a"}


def test_an_echo_of_our_own_write_does_not_beat_it() -> None:
    """Of equal stamps the incoming write wins, as at the server: the column is still ours."""
    stamps = {"a": make_stamp(30, OWN)}
    remote = Remote(LIFE, RowStamps(make_stamp(20, OTHER), stamps))
    overlay = Overlay(remote, device=OWN, bound=BOUND, columns=COLUMNS, known=LIFE)
    assert overlay.lay([entry(1, "update", 30, "a")]).kept == {"a"}


def test_what_is_in_flight_is_never_changed() -> None:
    """Its bytes have left: the server supersedes it by itself."""
    outcome = lay(
        entry(1, "update", 5, "a", batch=3), entry(2, "update", 5, "b", life="x", batch=3)
    )
    assert (outcome.cleared, outcome.dropped, outcome.turned) == ({}, [], {})


def test_deltas_add_up_unless_the_counter_itself_is_kept() -> None:
    """A value written later contains what was counted before; a delta after it is in it here, too (I2)."""
    outcome = lay(entry(1, "update", 30, delta=2, batch=1), entry(2, "update", 31, delta=3))
    assert outcome.deltas == {"n": 5}
    outcome = lay(entry(1, "update", 30, delta=2), entry(2, "update", 31, "n"))
    assert (outcome.deltas, outcome.kept) == ({}, {"n"})


def test_an_update_of_another_life_is_dropped() -> None:
    """It meant a row that is no more; an alias is the same life."""
    old = make_stamp(3, OTHER)
    assert [e.entry for e in lay(entry(1, "update", 30, "a", life=old)).dropped] == [1]
    joined = f"{LIFE} {old}"
    assert lay(entry(1, "update", 30, "a", life=old), lives=joined).kept == {"a"}


def test_a_deletion_then_an_insert_is_all_ours() -> None:
    """The old life ends and the new one has no column of the server's."""
    outcome = lay(entry(1, "insert", 30, life=LIFE))
    assert (outcome.present, outcome.all_kept, outcome.known) == (True, True, LIFE)
    outcome = lay(entry(1, "insert", 30, life=LIFE, batch=1))
    assert outcome.known == make_stamp(30, OWN)


def test_an_unsent_insert_on_a_living_row_is_an_edit() -> None:
    """Only of the columns that win; with none of them nothing is left to send."""
    assert lay(entry(1, "insert", 30), known=None, overrides={"b": 40}).turned == {1: ("a", "n")}
    assert lay(entry(1, "insert", 15), known=None).turned == {1: ()}


def test_two_lives_join_in_any_order() -> None:
    """The smaller is the life, the other its alias."""
    own = make_stamp(5, OWN)
    assert lay(entry(1, "insert", 5, batch=1), known=own).known == f"{own} {LIFE}"
    later = make_stamp(15, OWN)
    assert lay(entry(1, "insert", 15, batch=1), known=later).known == f"{LIFE} {later}"


def test_the_server_s_deletion_beats_edits_and_not_new_lives() -> None:
    """An edit is dropped; an insert that ends the deleted life lives on."""
    edit = lay(entry(1, "update", 99, "a"), lives=None)
    assert (edit.present, [each.entry for each in edit.dropped]) == (False, [1])
    insert = lay(entry(1, "insert", 30, life=LIFE), lives=None)
    assert (insert.present, insert.all_kept, insert.dropped) == (True, True, [])


def test_a_deletion_of_ours_hides_the_row() -> None:
    """And an insert in flight behind it shows the new one."""
    outcome = lay(entry(1, "delete", 30, life=LIFE))
    assert (outcome.present, outcome.known) == (False, LIFE)
    outcome = lay(entry(1, "delete", 30, life=LIFE, batch=1), entry(2, "insert", 31, batch=2))
    assert (outcome.present, outcome.all_kept) == (True, True)


# --- folding -----------------------------------------------------------------------------------------


def test_an_insert_takes_in_what_follows() -> None:
    """Its row is read at the cut, with all that was edited since."""
    first = entry(1, "insert", 5, batch=1)
    assert fold([first, entry(2, "update", 6, "a", batch=2), entry(3, "update", 7, delta=4)]) == [
        first
    ]


def test_an_insert_and_its_deletion_leave_what_was_before() -> None:
    """Nothing, or the deletion of the life that the insert had ended."""
    assert fold([entry(1, "insert", 5), entry(2, "delete", 6, life=make_stamp(5, OWN))]) == []
    ended = fold([entry(1, "insert", 5, life=LIFE), entry(2, "delete", 6, life=make_stamp(5, OWN))])
    assert [(each.kind, each.life) for each in ended] == [("delete", LIFE)]


def test_each_column_and_each_delta_stays_in_one_update() -> None:
    """The newest; sums stay sums, and a delta onto a value that is sent becomes the value (I2)."""
    updates = [
        entry(1, "update", 5, "a", "b", delta=1),
        entry(2, "update", 6, "a", delta=2),
        entry(3, "update", 7, delta=4),
    ]
    found = {each.entry: (each.columns, dict(each.deltas)) for each in fold(updates)}
    assert found == {1: (("b",), {}), 2: (("a",), {}), 3: ((), {"n": 7})}
    value = fold([entry(1, "update", 5, "n"), entry(2, "update", 6, delta=3)])
    assert [(each.entry, each.columns, dict(each.deltas)) for each in value] == [(2, ("n",), {})]


def test_folding_twice_changes_nothing() -> None:
    """What is in normal form stays as it is."""
    kinds = [
        entry(0, "insert", 1, life=LIFE),
        entry(0, "update", 2, "a", delta=1),
        entry(0, "update", 3, "b", "n"),
        entry(0, "delete", 4, life=LIFE),
    ]
    for chosen in itertools.product(kinds, repeat=3):
        entries = [
            Entry(place, each.kind, place, each.life, None, each.columns, each.deltas)
            for place, each in enumerate(chosen)
        ]
        once = fold(entries)
        assert fold(once) == once
