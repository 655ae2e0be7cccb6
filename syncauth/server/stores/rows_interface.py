"""
What the hub needs from a store of rows: devices, batches, results, and the changes of partitions.

Every method is one transaction of its own and blocks; all of them run in the store's one thread, in the order
in which they were asked for, so that a page never shows a state older than a result that was already given.
Times are wall-clock seconds by the server's clock, given by the caller. This module must never hold behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from syncauth.sansio.messages import BatchResult, Changes, Hello, TableShape
from syncauth.server.stores.interface import SessionStatus

Access = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class Greeting:
    """A device was taken in.

    `device` is its id from now on: a new one if the one it named belongs to another user. `last` is its last
    batch here, 0 for none; `results` are those above the batch whose result it has committed. `history` is that of
    the store, which a restore of its file changes.
    """

    device: str
    partitions: Mapping[str, Access]
    last: int
    results: Sequence[BatchResult]
    history: str = ""


@dataclass(frozen=True, slots=True)
class SessionOver:
    """Nothing was done, because the session is not active (I3)."""

    status: SessionStatus


@dataclass(frozen=True, slots=True)
class Problem:
    """Nothing was done; `code` is of the catalogue `syncauth.sansio.sync_errors`."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch has its result, now or since an earlier time; `touched` are the partitions with new versions.

    `changes` is how many changes were judged now: none where the result is an earlier one.
    """

    result: BatchResult
    touched: frozenset[str] = field(default_factory=frozenset)
    changes: int = 0


@dataclass(frozen=True, slots=True)
class OutOfOrder:
    """The batch is not the next one: nothing was applied; `last` is the device's last batch here."""

    last: int


@dataclass(frozen=True, slots=True)
class PageLimits:
    """How much a page may hold.

    With `atomic` a page ends at the end of a commit, also above `rows`; without it (a first download, where no
    state in between means anything yet) anywhere. `size` is in bytes, of which a single row may have more.
    """

    rows: int = 2_000
    size: int = 2_000_000
    atomic: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """The changes after some cursors, and how many rows they are; none if there is nothing new."""

    changes: Changes
    rows: int


class RowStore(Protocol):
    """Rows, devices and batches; see the module for what every method promises."""

    @property
    def shapes(self) -> Sequence[TableShape]:
        """The tables that devices may synchronise, as a device sees them."""
        ...

    def check_shapes(self, tables: Sequence[TableShape]) -> Problem | None:
        """Return `unknown_table` or `schema_mismatch` if a device's tables do not fit those here, naming what."""
        ...

    def greet(
        self, user_id: str, session_id: str, hello: Hello, *, new_device: str, now: float
    ) -> Greeting | SessionOver | Problem:
        """Take a device in; `new_device` is a random id, used if the one it names is not its own.

        A lost answer is told from a copied or restored file by the numbers and digests of its batches: the
        latter is the problem `file_behind` or `digest_mismatch`. A file that has what this store has lost by a
        restore is the problem `server_restored`.
        """
        ...

    def permissions(self, user_id: str) -> Mapping[str, Access]:
        """Return the partitions that a user may read or write now."""
        ...

    def push(
        self,
        user_id: str,
        session_id: str,
        device: str,
        tables: Sequence[TableShape],
        *,
        batch: int,
        acked: int,
        sections: bytes,
        received: Mapping[str, int],
        now: float,
    ) -> Judged | OutOfOrder | SessionOver | Problem:
        """Apply batch `last + 1` and store its result, or return the stored result of an earlier one.

        `tables` are the device's, in which the rows of refused changes are shown; `received` are the versions that
        it has committed: what others wrote later to a row is sent to it, also if it wrote to the row since. The
        session is checked within the transaction that applies the batch (I3). Whatever cannot be judged
        (`bad_message`, `unknown_table`, `schema_mismatch`, `digest_mismatch`) is a problem; nothing is counted.
        """
        ...

    def received(self, device: str, acked: int) -> None:
        """Forget the results up to a batch whose result the device has committed."""
        ...

    def page(
        self,
        device: str,
        tables: Sequence[TableShape],
        cursors: Mapping[str, int],
        limits: PageLimits,
        *,
        compared: Mapping[str, int],
    ) -> Page | Problem:
        """Read what came after the cursors, in one snapshot; a partition without a cursor is not read.

        What the device has as it wrote it is left out, unless the partition is `compared`; the span of such a one
        does not reach from below to above the version that stands there. A cursor above what there is here is the
        problem `file_behind`.
        """
        ...
