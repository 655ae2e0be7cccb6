"""
What the table refused at first is tried again: it may only have come before the change that it needs.

A parent may come after its child, and a unique value may be freed later; rows that exchange unique values need each
other, so that they are taken out together and written anew. What is left then is refused. This module must never
decide about a single change: `attempt` does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from syncauth.sansio.messages import Superseded
from syncauth.server.stores.changes import Change
from syncauth.server.stores.constraints import Refusal
from syncauth.server.stores.rowstate import RowWriter

Waiting = tuple[Change, Refusal]
Attempt = Callable[[Change], Refusal | None]

PASSES: Final = 20
"""How often the changes that were refused are gone through while some of them get through."""

ROUNDS: Final = 3
"""How often an exchange of unique values is tried, each time without those that had no part in it."""


def settle(
    connection: sqlite3.Connection,
    rows: RowWriter,
    waiting: Sequence[Waiting],
    attempt: Attempt,
    superseded: list[Superseded],
) -> list[Waiting]:
    """Try refused changes again; returns, in their order, those whose refusal stands."""
    left = list(waiting)
    for _ in range(PASSES):
        before = len(left)
        # To and fro: rows that need each other come in the order of their keys, either way.
        left = _try_all(reversed(left), attempt)
        if not left or len(left) == before:
            break
    left = _exchange(connection, rows, left, attempt, superseded)
    return sorted(left, key=lambda each: each[0].entry)


def _try_all(waiting: Iterable[Waiting], attempt: Attempt) -> list[Waiting]:
    """Try changes once more; returns those that are still refused."""
    tried = [(change, attempt(change)) for change, _ in waiting]
    return [(change, refusal) for change, refusal in tried if refusal is not None]


def _exchange(
    connection: sqlite3.Connection,
    rows: RowWriter,
    waiting: Sequence[Waiting],
    attempt: Attempt,
    superseded: list[Superseded],
) -> list[Waiting]:
    """Let updates take unique values over from each other: their rows are taken out, then written anew."""
    stuck = [change for change, refusal in waiting if _may_exchange(change, refusal)]
    heard = len(superseded)
    for _ in range(ROUNDS):
        if len(stuck) < 2:  # noqa: PLR2004 - one alone has nobody to exchange with
            break
        connection.execute("SAVEPOINT judge_exchange")
        for change in stuck:
            rows.take_out(change.table, change.partition, change.key)
        left = _try_all(waiting, attempt)
        done = rows.put_back()
        if not done:
            connection.execute("ROLLBACK TO judge_exchange")
            del superseded[heard:]
        connection.execute("RELEASE judge_exchange")
        if done:
            return _try_all(left, attempt)  # what referred to a row that was out
        failed = {id(change) for change, _ in left}
        stuck = [change for change in stuck if id(change) not in failed]
    return list(waiting)


def _may_exchange(change: Change, refusal: Refusal) -> bool:
    return change.group.kind == "update" and refusal.code == "unique_conflict"
