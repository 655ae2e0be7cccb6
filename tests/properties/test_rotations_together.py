"""Rotations in groups are those one by one, whatever is presented and however it is grouped."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise

from hypothesis import given, strategies as st

from syncauth.server.stores.interface import (
    NewUser,
    Rotation,
    RotationOutcome,
    SessionRecord,
    SessionStatus,
)
from syncauth.server.stores.sqlite_accounts import SqliteAccounts

SESSIONS = ("a", "b", "fixed")
TOKENS = [bytes([number]) * 4 for number in range(6)]

_rotations = st.builds(
    Rotation,
    session_id=st.sampled_from((*SESSIONS, "nobody")),
    presented=st.sampled_from(TOKENS),
    refresh_id=st.sampled_from([None, b"r1", b"r2"]),
    successor=st.sampled_from(TOKENS),
    now=st.sampled_from([1.0, 2.5, 10.0]),
)


def _store(connection: sqlite3.Connection) -> SqliteAccounts:
    store = SqliteAccounts(connection)
    store.add_user(NewUser("ann", "i", "anon-user", "i", None, {}), 0.0)
    for name in SESSIONS:
        record = SessionRecord(
            name, "ann", "d", "i", "anon-user", name != "fixed", 10.0, None, None
        )
        assert store.open_session(record, token_hash=TOKENS[0], now=0.0)
    return store


def _one_by_one(store: SqliteAccounts, wanted: Rotation) -> RotationOutcome:
    """Judge as the rules say it, on the session alone: the model that both must equal."""
    connection = store._connection
    status = store.session_status(wanted.session_id, wanted.now)
    if status is not SessionStatus.ACTIVE:
        return RotationOutcome.ENDED
    token, spent, refresh_id, rotates = connection.execute(
        "SELECT token, spent, refresh_id, rotates FROM _sync_sessions WHERE id = ?",
        (wanted.session_id,),
    ).fetchone()
    if token == wanted.presented and not rotates:
        return RotationOutcome.STANDS
    repeat = spent == wanted.presented and refresh_id == wanted.refresh_id is not None
    if token != wanted.presented and not repeat:
        connection.execute(
            "UPDATE _sync_sessions SET ended_at = ?, end_reason = 'reuse_detected', token = x'',"
            " spent = NULL, refresh_id = NULL WHERE id = ?",
            (wanted.now, wanted.session_id),
        )
        return RotationOutcome.REUSED
    connection.execute(
        "UPDATE _sync_sessions SET token = ?, spent = ?, refresh_id = ? WHERE id = ?",
        (wanted.successor, wanted.presented, wanted.refresh_id, wanted.session_id),
    )
    return RotationOutcome.ROTATED


def _cut(wanted: Sequence[Rotation], cuts: Sequence[int]) -> list[Sequence[Rotation]]:
    places = [0, *sorted(min(cut, len(wanted)) for cut in cuts), len(wanted)]
    return [wanted[start:end] for start, end in pairwise(places)]


@given(
    st.lists(_rotations, max_size=14).filter(
        # The same hash twice would be a token that is its own successor.
        lambda all_: all(each.presented != each.successor for each in all_)
    ),
    st.lists(st.integers(0, 14), max_size=4),
)
def test_grouping_changes_nothing(wanted: list[Rotation], cuts: list[int]) -> None:
    """Outcomes and what is stored are the same for every interleaving and every grouping (I2)."""
    with (
        closing(sqlite3.connect(":memory:", isolation_level=None)) as one,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as other,
    ):
        model, store = _store(one), _store(other)

        expected = [_one_by_one(model, each) for each in wanted]
        found = [each.outcome for group in _cut(wanted, cuts) for each in store.rotate_all(group)]

        table = "SELECT * FROM _sync_sessions ORDER BY id"
        assert found == expected
        assert other.execute(table).fetchall() == one.execute(table).fetchall()
