"""
The row store on the server's SQLite file: devices, batches with their results, permissions, pages.

Every method is one transaction on the one connection, committed with synchronous=FULL before it returns. How a
batch is judged stands in `judge_sets` and `judge_rows`, what a page is in `pages`. This module must never answer a
batch that is not durable, and never look into one of another user.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from syncauth.errors import InvalidConfig, InvalidMessage
from syncauth.sansio.messages import BatchResult, Hello, TableShape, decode_sections, digest_of
from syncauth.server.settings.config import ServerConfig
from syncauth.server.stores import devices, histories, pages
from syncauth.server.stores.constraints import References
from syncauth.server.stores.interface import SessionStatus
from syncauth.server.stores.judge import judge_batch
from syncauth.server.stores.rows_interface import (
    Access,
    Greeting,
    Judged,
    OutOfOrder,
    Page,
    PageLimits,
    Problem,
    SessionOver,
)
from syncauth.server.stores.rows_schema import SCHEMA, rows_schema
from syncauth.server.stores.served import Served, describe, misfit
from syncauth.server.stores.versions import Runs, Versions

_results = msgspec.json.Decoder(BatchResult)


class Sessions(Protocol):
    """What is asked about sessions within a transaction; `SqliteAccounts` on the same connection."""

    def session_status(self, session_id: str, now: float) -> SessionStatus:
        """Return what a session is good for."""
        ...


class SqliteRows:
    """The `RowStore` on an open connection, used in the store thread only."""

    def __init__(
        self, connection: sqlite3.Connection, config: ServerConfig, sessions: Sessions
    ) -> None:
        """Take a connection of `sqlite.open_server_file`; make our tables if missing.

        Raises:
            InvalidConfig: a served table or a rule does not fit the schema file.
        """
        self._connection = connection
        self._rules = config.rules
        self._most_rows = config.limits.batch_rows
        self._sessions = sessions
        self._acked: dict[str, int] = {}
        self._runs = Runs()
        with self._transaction():
            for statement in SCHEMA:
                connection.execute(statement)
            self._served = {table.name: self._serve(config, table.name) for table in config.tables}
        self._references = References(connection, self._served)
        self._check_rules()

    def _serve(self, config: ServerConfig, name: str) -> Served:
        (number,) = self._connection.execute(
            "INSERT INTO _sync_served (name) VALUES (?)"
            " ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id",
            (name,),
        ).fetchone()
        setting = next(table for table in config.tables if table.name == name)
        table = describe(self._connection, number, setting)
        definitions = ", ".join(
            f"{ours} {column.affinity} NOT NULL"
            for ours, column in zip(table.our_keys, table.info.key[1:], strict=True)
        )
        for statement in rows_schema(number, ", ".join(table.our_keys), definitions):
            self._connection.execute(statement)
        return table

    def _check_rules(self) -> None:
        for name, sql in (("read", self._rules.read), ("write", self._rules.write)):
            try:
                self._names(sql, "")
            except sqlite3.Error as error:
                raise InvalidConfig(
                    "a rule cannot be run",
                    setting=f"rules.{name}",
                    why=str(error),
                    remedy="Give one SELECT with one column, the names of partitions, over :user_id",
                ) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.commit()
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def begin_history(self, history: str, now: float) -> None:
        """Begin the history of a file that has none yet, under a random id."""
        with self._transaction():
            histories.begin(self._connection, history, now)

    @property
    def shapes(self) -> Sequence[TableShape]:
        """The tables that devices may synchronise, as a device sees them."""
        return [table.shape for table in self._served.values()]

    def check_shapes(self, tables: Sequence[TableShape]) -> Problem | None:
        """Return `unknown_table` or `schema_mismatch` if a device's tables do not fit, naming what."""
        found = misfit(self._served, tables)
        return None if found is None else Problem(*found)

    def permissions(self, user_id: str) -> Mapping[str, Access]:
        """Return the partitions that a user may read or write now."""
        own = f"user:{user_id}"
        readable = self._names(self._rules.read, user_id)
        writable = self._names(self._rules.write, user_id)
        access: dict[str, Access] = dict.fromkeys([own] if readable is None else readable, "read")
        # Whoever may write a partition may read it: else a refusal could not show what stands there.
        access.update(dict.fromkeys([own] if writable is None else writable, "write"))
        return access

    def _names(self, sql: str | None, user_id: str) -> list[str] | None:
        """Run a rule; None where there is none."""
        if sql is None:
            return None
        rows = self._connection.execute(sql, {"user_id": user_id}).fetchall()
        return [str(row[0]) for row in rows if row[0] is not None]

    def greet(
        self, user_id: str, session_id: str, hello: Hello, *, new_device: str, now: float
    ) -> Greeting | SessionOver | Problem:
        """Take a device in; see the interface."""
        with self._transaction():
            over = self._session_over(session_id, now)
            if over is not None:
                return over
            device = devices.admit(self._connection, user_id, hello, new_device)
            if isinstance(device, Problem):
                return device
            self._acked.pop(device.name, None)  # hello says it anew
            results = self._connection.execute(
                "SELECT result FROM _sync_results WHERE device = ? AND batch > ? ORDER BY batch",
                (device.number, device.acked),
            ).fetchall()
            return Greeting(
                device=device.name,
                partitions=self.permissions(user_id),
                last=device.last,
                results=[_results.decode(result) for (result,) in results],
                history=histories.current(self._connection),
            )

    def _session_over(self, session_id: str, now: float) -> SessionOver | None:
        status = self._sessions.session_status(session_id, now)
        return None if status is SessionStatus.ACTIVE else SessionOver(status)

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
        """Apply the next batch and store its result, or return a stored one; see the interface."""
        try:
            return self._push(
                user_id,
                session_id,
                device,
                tables,
                batch=batch,
                acked=acked,
                sections=sections,
                received=received,
                now=now,
            )
        except InvalidMessage as error:
            return Problem("bad_message", str(error))

    def _push(
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
        digest = digest_of(sections)
        with self._transaction():
            over = self._session_over(session_id, now)
            if over is not None:
                return over
            known = devices.find(self._connection, device)
            if known is None or known.user_id != user_id:
                return Problem("bad_message", "the device is not known")
            if batch > known.last + 1:
                return OutOfOrder(known.last)
            acked = max(acked, self._acked.pop(device, 0))
            if batch <= known.last:
                return self._stored(known.number, batch, digest)
            changes = decode_sections(sections)
            count = sum(len(section.rows) for section in changes)
            if count > self._most_rows:
                why = f"a batch has {count} changes, the limit is {self._most_rows}"
                return Problem("message_too_big", why)
            versions = Versions(self._connection, known.number, received, self._runs)
            changes = decode_sections(sections)
            result = judge_batch(
                self._connection,
                versions,
                self._served,
                self._references,
                self.permissions(user_id),
                known,
                changes,
                batch=batch,
                digest=digest,
                now=now,
                shapes=tables,
            )
            touched = versions.finish()
            devices.count(self._connection, known, result, acked)
        self._runs.committed(known.number, versions)
        return Judged(result, touched, sum(len(each.rows) for each in changes))

    def _stored(self, device: int, batch: int, digest: str) -> Judged | Problem:
        row = self._connection.execute(
            "SELECT digest, result FROM _sync_results WHERE device = ? AND batch = ?",
            (device, batch),
        ).fetchone()
        if row is None:
            return Problem("file_behind", f"the result of batch {batch} was confirmed before")
        if row[0] != digest:
            return Problem("digest_mismatch", f"batch {batch} had other contents before")
        return Judged(_results.decode(row[1]))

    def received(self, device: str, acked: int) -> None:
        """Remember which results are confirmed; they go with the device's next batch or greeting.

        That much is never lost by it, and a device that only listens costs no write.
        """
        self._acked[device] = max(acked, self._acked.get(device, 0))

    def page(
        self,
        device: str,
        tables: Sequence[TableShape],
        cursors: Mapping[str, int],
        limits: PageLimits,
        *,
        compared: Mapping[str, int],
    ) -> Page | Problem:
        """Read what came after the cursors, in one snapshot; see the interface."""
        with self._snapshot():
            known = devices.find(self._connection, device)
            if known is None:
                return Problem("bad_message", "the device is not known")
            spans = pages.read_spans(self._connection, cursors, compared, known.number, self._runs)
            for span in spans:
                if span.after > span.head:
                    message = f"the server's {span.name!r} ends at {span.head}"
                    return Problem("file_behind", message)
            wanted = [(self._served[shape.table], shape) for shape in tables]
            return pages.read_page(
                self._connection,
                wanted,
                spans,
                limits,
                device=known.number,
                through=known.last,
            )
