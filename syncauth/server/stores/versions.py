"""
Partitions and the versions given in them within one transaction.

A version is given while the write lock is held and becomes visible with the commit, so versions become visible in
their order. Heads are kept here while a batch is judged and written once at its end. This module must never give
a version twice, also when a part of the batch is rolled back and judged again: gaps do no harm.
"""

from __future__ import annotations

import sqlite3


class Versions:
    """The partitions that one transaction writes to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take the connection; the number of the commit is drawn when first something changes."""
        self._connection = connection
        self._numbers: dict[str, int] = {}
        self._heads: dict[int, int] = {}
        self._given: dict[int, int] = {}
        (last,) = connection.execute("SELECT last FROM _sync_commits").fetchone()
        self.commit: int = last + 1

    def number(self, partition: str) -> int:
        """Return the number of a partition, which is made if it is new."""
        known = self._numbers.get(partition)
        if known is None:
            known, head = self._connection.execute(
                "INSERT INTO _sync_partitions (name, head) VALUES (?, 0)"
                " ON CONFLICT (name) DO UPDATE SET head = head RETURNING id, head",
                (partition,),
            ).fetchone()
            self._numbers[partition] = known
            self._heads[known] = head
        return known

    def take(self, number: int, count: int) -> int:
        """Give `count` versions of a partition by its number; returns the first."""
        first = self._given.get(number, self._heads[number]) + 1
        self._given[number] = first + count - 1
        return first

    def before(self, number: int) -> int:
        """Return the head that a partition had before this transaction."""
        return self._heads[number]

    @property
    def written(self) -> tuple[int, ...]:
        """The numbers of the partitions in which versions were given."""
        return tuple(self._given)

    def finish(self) -> frozenset[str]:
        """Write the heads and the number of the commit; returns the names of the partitions written to."""
        if self._given:
            self._connection.execute("UPDATE _sync_commits SET last = ?", (self.commit,))
            self._connection.executemany(
                "UPDATE _sync_partitions SET head = ? WHERE id = ?",
                [(head, number) for number, head in self._given.items()],
            )
        return frozenset(name for name, number in self._numbers.items() if number in self._given)
