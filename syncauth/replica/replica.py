"""
One user's file as the driver sees it: every method is one short transaction.

`FileReplica` implements `interfaces.Replica` on an open connection that nobody else uses. It decides nothing: what
a page or a result does stands in `apply` and `acknowledge`, what a batch is in `outbox`. Before each transaction
it looks whether the schema has changed since the last one, and has the capture verified if it has. This module
must never hold an answer back: what a method returns is durable.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from syncauth.errors import Closed, InvalidMessage, SyncStopped
from syncauth.interfaces import Acknowledged, Cut
from syncauth.models import DeadLetter, TableSpec
from syncauth.replica import (
    dead_letters,
    downloads,
    exporting,
    inflight,
    outbox,
    schema,
    tracking,
    waiting,
)
from syncauth.replica.acknowledge import acknowledge
from syncauth.replica.adopting import Counts, Guest
from syncauth.replica.apply import Applier
from syncauth.replica.courtesy import Courtesy
from syncauth.replica.state import read_state
from syncauth.sansio.messages import BatchResult, Changes, Checkpoint, Section, decode_sections
from syncauth.sansio.records import Batch, ReplicaState


class FileReplica:
    """The keeping side of one user's file; may be used by any thread, by one at a time."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: str,
        *,
        tables: Sequence[TableSpec],
        device: str,
        incarnation: str,
    ) -> None:
        """Create our tables in the file, track the app's, and take the connection over.

        `connection` comes from `schema.open_connection(path)`. `device` (16 hexadecimal digits) and `incarnation`
        are random, and used only for a file that has none.

        Raises:
            FileTooNew: a newer version wrote the file; it was not touched.
            FileCorrupt, FileFull, FileInUse: the file cannot be used now; nothing was changed.
            TableNotTrackable: a table cannot be synchronised; nothing was changed.
        """
        self._connection = connection
        self._path = path
        self._closed = False
        self.courtesy = Courtesy()
        schema.create(connection, path, device=device, incarnation=incarnation)
        with schema.transaction(connection, path):
            self._tables = tracking.register(connection, tables)
            downloads.begin(connection)
            self._schema_version: int | None = tracking.schema_version(connection)

    @classmethod
    def open(
        cls, path: str, *, tables: Sequence[TableSpec], device: str, incarnation: str
    ) -> FileReplica:
        """Open the file at `path`; raises what the constructor and `schema.open_connection` raise."""
        connection = schema.open_connection(path)
        try:
            return cls(connection, path, tables=tables, device=device, incarnation=incarnation)
        except BaseException:
            connection.close()
            raise

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._check_open()
        self.courtesy.give_way()
        with schema.transaction(self._connection, self._path):
            seen, self._schema_version = self._schema_version, None
            version = tracking.schema_version(self._connection)
            if version != seen:
                self._tables = tracking.verify(self._connection)
            yield
        # What we created ourselves has moved it, too. Until here it was unknown: whatever is known of the tables
        # in the middle of a transaction must not outlive its rollback.
        self._schema_version = tracking.schema_version(self._connection)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        self._check_open()
        if tracking.schema_version(self._connection) != self._schema_version:
            with self._transaction():
                pass
        with schema.reading(self._connection, self._path):
            yield

    def _check_open(self) -> None:
        if self._closed:
            what = "the replica is closed"
            raise Closed(what, remedy="Open it again")

    def _read_state(self) -> ReplicaState:
        return read_state(self._connection, self._tables.values())

    def state(self) -> ReplicaState:
        """Read the present state."""
        with self._reading():
            return self._read_state()

    def begin_connection(self) -> int:
        """Durably raise and return the connection number, before each connect."""
        with self._transaction():
            downloads.begin(self._connection)
            number = schema.read_number(self._connection, "connection", 0) + 1
            schema.write_meta(self._connection, "connection", number)
            return number

    def adopt_device(self, device: str) -> ReplicaState:
        """Take the device id that the server gave; in-flight batches of the old id go back to the outbox."""
        with self._transaction():
            inflight.adopt_device(self._connection, self._tables.values(), device)
            return self._read_state()

    def follow_history(self, history: str) -> None:
        """Take note of the server's history, to which all belongs that it sends from now on."""
        with self._transaction():
            schema.write_meta(self._connection, "history", history)

    def set_clock_offset(self, offset_ms: int) -> None:
        """Keep the difference server time minus wall clock for the clock of the triggers."""
        with self._transaction():
            self._connection.execute(
                "UPDATE _sync_clock SET offset_ms = ? WHERE id = 1", (offset_ms,)
            )

    def cut(self, *, rows: int, size: int) -> Cut:
        """Move the oldest unsent changes in flight as the next batch, if there are any."""
        with self._transaction():
            before = dead_letters.newest(self._connection)
            batch = outbox.cut(self._connection, self._tables, rows=rows, size=size)
            refused = dead_letters.read(self._connection, before)
            return Cut(batch, self._read_state(), refused)

    def batches_in_flight(self, after: int) -> Sequence[Batch]:
        """Return the batches in flight above number `after`, in order, with the very bytes they had."""
        with self._reading():
            return inflight.batches_after(self._connection, after)

    def acknowledge(self, results: Sequence[BatchResult]) -> Acknowledged:
        """Trim the batches named, put refused rows back and fill the dead letters, in one transaction.

        Raises:
            InvalidMessage: a batch is not the oldest in flight; nothing was changed.
            SyncStopped: it has another digest (`digest_mismatch`); nothing was changed.
        """
        with self._transaction():
            refused = acknowledge(self._connection, self._tables, results)
            return Acknowledged(self._read_state(), refused)

    def apply(self, changes: Changes) -> Acknowledged:
        """Apply one page of remote rows with its cursors, in one transaction.

        `refused` are the local changes that had to give way to it. Nothing is applied while everything is to be
        downloaded again: the page speaks of versions that count no more.

        Raises:
            InvalidMessage: the page breaks the protocol; nothing was applied.
            SyncStopped: a table here does not take the server's rows; nothing was applied.
        """
        sections = decode_sections(changes.sections)
        with self._transaction():
            if downloads.is_wished(self._connection):
                return Acknowledged(self._read_state(), ())
            before = dead_letters.newest(self._connection)
            self._write(sections, changes)
            self._reach(changes.cursors)
            restored = self._finish() if changes.complete else ()
            state = self._read_state()
            if changes.complete and not state.pending and not state.in_flight:
                self._check_placed()
            refused = dead_letters.read(self._connection, before)
        self.courtesy.page_applied(last=changes.complete)
        return Acknowledged(state, refused, restored)

    def _write(self, sections: Sequence[Section], changes: Changes) -> None:
        before = downloads.known(self._connection)
        known = {
            name for name, version in before.items() if changes.cursors.get(name, 0) <= version
        }
        with schema.applying(self._connection):
            applier = Applier(self._connection, self._tables, through=changes.through, known=known)
            applier.apply(sections)

    def reach(self, checkpoint: Checkpoint) -> Acknowledged:
        """Record a checkpoint that brought no rows; raises `InvalidMessage` if it goes back."""
        with self._transaction():
            if downloads.is_wished(self._connection):
                return Acknowledged(self._read_state(), ())
            self._reach(checkpoint.checkpoints)
            restored = self._finish()
            return Acknowledged(self._read_state(), (), restored)

    def _finish(self) -> tuple[str, ...]:
        """End a download of everything. Returns the tables that are certain again."""
        restored = downloads.uncertain_tables(self._connection)
        if restored or downloads.known(self._connection):
            downloads.finish(self._connection)
        if restored:
            self._tables = tracking.verify(self._connection)
        return restored

    def dead_letters(self) -> Sequence[DeadLetter]:
        """Return the refused changes, the oldest first."""
        with self._reading():
            return dead_letters.read(self._connection)

    def adopt(self, guest: Guest) -> Mapping[str, Counts]:
        """Take every row of a guest's file over as a change of this user's, once; see `adopting`.

        Raises:
            FileNotOurs: another user has taken them over, or has begun to; nothing was changed.
            TableNotTrackable: a table with rows has no place here; nothing was changed.
            FileFull, FileInUse, StorageError: it stands where it stood, and can be done again.
        """
        with self._reading():
            user = str(schema.read_meta(self._connection, "user"))
            if guest.counts_in(self._connection) is None:
                guest.check(self._tables)
        guest.claim(user)
        with guest.alone(), self._transaction():
            counts = guest.copy_into(self._connection, self._tables)
        guest.finish(counts)
        return counts

    def export(self, target: str) -> int:
        """Write what the server does not have into a new file; see `exporting`. Returns how many changes it is."""
        with self._reading():
            tables, user = self._tables, schema.read_meta(self._connection, "user")
        whose = user if isinstance(user, str) else None
        return exporting.export(self._connection, tables, target, user=whose)

    def close(self) -> None:
        """Close the file; idempotent."""
        self._closed = True
        self._connection.close()

    def _reach(self, versions: dict[str, int]) -> None:
        cursor = self._connection.executemany(
            "INSERT INTO _sync_partitions (name, version) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET version = excluded.version"
            " WHERE excluded.version >= version",
            list(versions.items()),
        )
        if versions and cursor.rowcount != len(versions):
            raise InvalidMessage(
                "a checkpoint goes back",
                why=f"the server names {versions}, and more was reached before",
                remedy="Nothing was applied; connect again",
            )

    def _check_placed(self) -> None:
        """With everything sent and everything received, no row may still wait for a unique value."""
        left = waiting.count(self._connection)
        if left:
            raise SyncStopped(
                code="schema_mismatch",
                why=f"{left} rows of the server share a unique value that a table here allows only once",
                remedy="Give server and app the same unique indexes; nothing was applied",
            )
