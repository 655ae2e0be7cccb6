"""
The exact way to judge changes: one after the other, each in a savepoint of its own.

Here stands what wins: a life ends only by a change that names it, within a life deletion beats updates, columns
merge by their stamps, two living lives of one key become one. What the table refuses is undone alone, and tried
again after all others (`judge_again`). This module must
never touch a row that the change does not name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from syncauth.rows.stamps import RowStamps, join_lives, make_stamp, merge, same_life
from syncauth.sansio.messages import Refused, Superseded
from syncauth.server.stores.batch import Group
from syncauth.server.stores.changes import Change, Judgement
from syncauth.server.stores.constraints import References, Refusal, refusal_of
from syncauth.server.stores.judge_again import settle
from syncauth.server.stores.judge_sets import Writer
from syncauth.server.stores.rows_interface import Access
from syncauth.server.stores.rows_schema import LEFT, LIVING, TOMBSTONE
from syncauth.server.stores.rowstate import RowState, RowWriter
from syncauth.server.stores.served import Served

NOWHERE: Final = Refusal("permission_denied", "the row is nowhere that this user may write")


class RowJudge:
    """Judges changes row by row for one batch."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        writer: Writer,
        access: Mapping[str, Access],
        references: References,
    ) -> None:
        """Take who writes, the partitions that the user may read or write, and the foreign keys."""
        self._connection = connection
        self._writer = writer
        self._access = access
        self._references = references
        self._rows = RowWriter(connection, writer, references)
        self._waiting: list[tuple[Change, Refusal]] = []
        self.judgement = Judgement()

    def judge(self, group: Group) -> None:
        """Judge every change of a group; what the table refuses waits for `finish`."""
        for row in group.rows:
            change = self._change(group, row)
            refusal = self._try(change)
            if refusal is not None:
                self._waiting.append((change, refusal))

    def finish(self) -> None:
        """Try again what was refused; then the refusals stand."""
        superseded = self.judgement.superseded
        left = settle(self._connection, self._rows, self._waiting, self._try, superseded)
        for change, refusal in left:
            self.judgement.refused.append(Refused(change.entry, refusal.code, refusal.reason))
            self.judgement.refused_changes.append(change)

    def _change(self, group: Group, row: Sequence[Any]) -> Change:
        width = group.table.width
        key, (entry, hlc, life) = tuple(row[:width]), row[width : width + 3]
        values = row[width + 3 :]
        count = len(group.columns)
        return Change(
            group=group,
            partition=self._partition_of(group, key, life),
            key=key,
            entry=entry,
            stamp=self._writer.stamp(entry, hlc),
            begins=make_stamp(hlc, self._writer.device),
            life=life,
            values=dict(zip(group.columns, values[:count], strict=True)),
            deltas=dict(zip(group.deltas, values[count:], strict=True)),
        )

    def _partition_of(self, group: Group, key: tuple[Any, ...], life: str | None) -> Any:
        """Return where the row is: what is named, or, if it has left there or none is named, where its life is."""
        if group.kind == "insert":
            return group.partition  # the column says it, an empty text included
        if group.partition:
            state = self._rows.state(group.table, group.partition, key)
            if state is None or state.deleted != LEFT:
                return group.partition
        for (
            partition
        ) in self._access:  # also those that are only read: a refusal shows the row there
            if life is not None:
                state = self._rows.state(group.table, partition, key)
                if state is not None and state.deleted != LEFT and same_life(state.lives, life):
                    return partition
        return group.partition or None

    def _try(self, change: Change) -> Refusal | None:
        """Apply a change in a savepoint; None if it was applied or superseded."""
        refusal = self._forbidden(change)
        if refusal is not None:
            return refusal
        self._connection.execute("SAVEPOINT judge_row")
        try:
            refusal, superseded = self._apply(change)
        except sqlite3.IntegrityError as error:
            refusal, superseded = refusal_of(error), None
        if refusal is not None:
            self._connection.execute("ROLLBACK TO judge_row")
        else:
            self._rows.stays(change.table, change.partition, change.key)
            if superseded is not None:
                self.judgement.superseded.append(superseded)
        self._connection.execute("RELEASE judge_row")
        return refusal

    def _forbidden(self, change: Change) -> Refusal | None:
        """Check writing of the old and of the new partition (I15)."""
        group = change.group
        needed = [group.target] if group.targeted else []
        # For a row that was found nowhere there is nothing to check: it is refused as such.
        if group.kind == "insert" or change.partition is not None:
            needed.append(change.partition)
        if not all(isinstance(name, str) for name in needed):
            return Refusal("constraint", "the partition of a row is a text")
        if any(self._access.get(name) != "write" for name in needed):
            return Refusal(
                "permission_denied", "the rules do not let this user write the partition"
            )
        return None

    def _apply(self, change: Change) -> tuple[Refusal | None, Superseded | None]:
        if change.partition is None:
            return NOWHERE, None
        apply = {"insert": self._insert, "update": self._update, "delete": self._delete}
        state = self._rows.state(change.table, change.partition, change.key)
        if change.group.kind != "insert" and state is not None and state.deleted == LEFT:
            return NOWHERE, None
        before = self._rows.referenced(change.table, change.partition, change.key)
        refusal, superseded = apply[change.group.kind](change, state)
        if refusal is None:
            target = change.group.target if change.group.targeted else change.partition
            refusal = self._references.check_row(change.table, target, change.key, before)
        return refusal, superseded

    # --- the three kinds ---------------------------------------------------------------------------

    def _insert(
        self, change: Change, state: RowState | None
    ) -> tuple[Refusal | None, Superseded | None]:
        """Begin a life: on a free key, in place of the life that it ends, or joined with another one."""
        fresh = RowStamps(change.stamp, {})
        refusal = self._rows.unaltered(change.table, change.key, change.values)
        if refusal is not None:
            return refusal, None
        if state is None or state.deleted != LIVING:
            self._rows.insert_app(change.table, change.partition, change.key, change.values)
            self._rows.put(change.table, change.partition, change.key, change.begins, fresh)
        elif change.life is not None and same_life(state.lives, change.life):
            self._rows.update_app(change.table, change.partition, change.key, change.values, {})
            self._rows.put(change.table, change.partition, change.key, change.begins, fresh)
        else:
            lives = join_lives(state.lives, change.begins)
            return self._merge(change, state, lives, told=False)
        return None, None

    def _update(
        self, change: Change, state: RowState | None
    ) -> tuple[Refusal | None, Superseded | None]:
        """Write columns of the life that it names, as far as nobody wrote them later."""
        if (
            state is None
            or state.deleted != LIVING
            or change.life is None
            or not same_life(state.lives, change.life)
        ):
            return None, Superseded(change.entry)
        refusal = self._rows.unaltered(change.table, change.key, change.values)
        if refusal is not None:
            return refusal, None
        return self._merge(change, state, state.lives, told=True)

    def _merge(
        self, change: Change, state: RowState, lives: str, *, told: bool
    ) -> tuple[Refusal | None, Superseded | None]:
        """Merge columns by stamps. The device is told the row unless it has it already (`told`)."""
        table, group = change.table, change.group
        incoming = dict.fromkeys(change.values, change.stamp)
        if group.targeted or (group.kind == "insert" and not table.by_user):
            incoming[table.partition_column] = change.stamp
        merged = merge(state.stamps, incoming, table.columns)
        winners = {name: change.values[name] for name in merged.winners if name in change.values}
        self._rows.update_app(table, change.partition, change.key, winners, change.deltas)
        told = told and not merged.losers and change.entry not in self._writer.cut
        target = change.partition
        if group.targeted and table.partition_column in merged.winners:
            target = group.target
        if target != change.partition:
            if self._is_living(table, target, change.key):
                reason = "the partition has a row of this key already"
                return Refusal("unique_conflict", reason), None
            self._rows.move(table, change.partition, target, change.key)
            told = False
        self._rows.put(table, target, change.key, lives, merged.stamps, told=told)
        if merged.losers:
            return None, Superseded(change.entry, list(merged.losers))
        return None, None

    def _is_living(self, table: Served, partition: str, key: tuple[Any, ...]) -> bool:
        state = self._rows.state(table, partition, key)
        return state is not None and state.deleted == LIVING

    def _delete(
        self, change: Change, state: RowState | None
    ) -> tuple[Refusal | None, Superseded | None]:
        """End the life that it names, whatever was written to it meanwhile."""
        if (
            state is None
            or state.deleted != LIVING
            or change.life is None
            or not same_life(state.lives, change.life)
        ):
            return None, Superseded(change.entry)
        self._rows.delete_app(change.table, change.partition, change.key)
        self._rows.put(
            change.table,
            change.partition,
            change.key,
            state.lives,
            RowStamps(change.stamp, {}),
            deleted=TOMBSTONE,
        )
        return None, None
