"""
Partitions, the versions given in them within one transaction, and who has written their ends.

A version is given while the write lock is held and becomes visible with the commit, so versions become visible in
their order. Heads are kept here while a batch is judged and written once at its end. This module must never give
a version twice, also when a part of the batch is rolled back and judged again: gaps do no harm.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping


class Runs:
    """The end of each partition that one device alone has written, and has as it wrote it.

    It spares the reading of pages in which nothing would be left. What is not known here, as after a start, is
    read: so nothing depends on it.
    """

    def __init__(self) -> None:
        """Know nothing."""
        self._runs: dict[int, tuple[int, int, int]] = {}

    def committed(self, device: int, versions: Versions) -> None:
        """Take note of what a transaction has written in the name of a device, by its number."""
        known = versions.known_to_writer()
        for number in versions.written:
            before = self._runs.pop(number, None)
            if number in known:
                first, last = known[number]
                if before is not None and before[0] == device and before[2] + 1 == first:
                    first = before[1]
                self._runs[number] = device, first, last

    def cover(self, device: int, number: int, after: int, upto: int) -> bool:
        """Tell whether the device itself wrote all versions above `after` up to `upto`, and has them."""
        run = self._runs.get(number)
        return run is not None and run[0] == device and run[1] <= after + 1 and upto <= run[2]


class Versions:
    """The partitions that one transaction writes to."""

    def __init__(
        self, connection: sqlite3.Connection, device: int, received: Mapping[str, int], runs: Runs
    ) -> None:
        """Take who writes, by its number, and the versions that it has committed.

        The number of the commit is drawn when first something changes.
        """
        self._connection = connection
        self._device = device
        self._received = received
        self._runs = runs
        self._committed: dict[int, int] = {}
        self._numbers: dict[str, int] = {}
        self._heads: dict[int, int] = {}
        self._given: dict[int, int] = {}
        self._untold: set[int] = set()
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
            received = self._committed[known] = self._received.get(partition, 0)
            if head > received and not self._runs.cover(self._device, known, received, head):
                self._untold.add(known)
        return known

    def take(self, number: int, count: int, *, told: bool = True) -> int:
        """Give `count` versions of a partition by its number; returns the first.

        Without `told` the device that writes has the rows in another state and must be sent them.
        """
        if not told:
            self._untold.add(number)
        first = self._given.get(number, self._heads[number]) + 1
        self._given[number] = first + count - 1
        return first

    def before(self, number: int) -> int:
        """Return the head that a partition had before this transaction."""
        return self._heads[number]

    def origin(self, number: int) -> str:
        """Return the SQL for the device that has a row as it stands after this write, or NULL for none.

        Whoever writes to a row has it then, unless others wrote to it later than what it has committed: it must be
        sent those columns, however far its cursor moves before the row's new version.
        """
        received = self._committed[number]
        return f"CASE WHEN origin = {self._device} OR version <= {received} THEN {self._device} END"

    def known_to_writer(self) -> dict[int, tuple[int, int]]:
        """Return first and last version, by partition, where the device that wrote has all rows as they are."""
        return {
            number: (self._heads[number] + 1, head)
            for number, head in self._given.items()
            if number not in self._untold
        }

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
