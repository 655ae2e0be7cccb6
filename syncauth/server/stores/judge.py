"""
Judging one batch within one transaction: the fast way where it holds, the exact way where it does not.

Groups are applied in the order in which they came. A batch whose rows break a foreign key is judged a second time,
row by row, since only so the change to be refused can be named. This module must never leave half of a change.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from syncauth.sansio.messages import BatchResult, Section, TableShape
from syncauth.server.stores.batch import Group, cut_stamps, read_batch
from syncauth.server.stores.changes import Judgement
from syncauth.server.stores.constraints import References
from syncauth.server.stores.devices import Device
from syncauth.server.stores.judge_rows import RowJudge
from syncauth.server.stores.judge_sets import Writer, judge_set
from syncauth.server.stores.rows_interface import Access
from syncauth.server.stores.served import Served
from syncauth.server.stores.shown import show
from syncauth.server.stores.versions import Versions


def judge_batch(
    connection: sqlite3.Connection,
    versions: Versions,
    served: Mapping[str, Served],
    references: References,
    access: Mapping[str, Access],
    device: Device,
    sections: Sequence[Section],
    *,
    batch: int,
    digest: str,
    now: float,
    shapes: Sequence[TableShape],
) -> BatchResult:
    """Apply a batch in the caller's transaction and return its result; the versions given are yet to be written.

    `shapes` are the device's tables, in which the rows of refused changes are shown.

    Raises:
        InvalidMessage: the batch breaks the protocol; the caller rolls back.
    """
    groups = read_batch(served, sections, f"user:{device.user_id}")
    given, cut = cut_stamps(groups, now_ms=int(now * 1000), cut_before=device.cut_hlc)
    writer = Writer(device.number, device.name, given, versions)
    for name in {group.partition for group in groups} | {group.target for group in groups}:
        if access.get(name) == "write":
            versions.number(name)  # now, outside of any savepoint that may be rolled back
    judgement = _Judge(connection, writer, access, references).run(groups)
    return BatchResult(
        batch=batch,
        digest=digest,
        superseded=judgement.superseded,
        refused=judgement.refused,
        cut=cut,
        rows=show(connection, access, judgement.refused_changes, shapes, versions),
    )


class _Judge:
    def __init__(
        self,
        connection: sqlite3.Connection,
        writer: Writer,
        access: Mapping[str, Access],
        references: References,
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._access = access
        self._references = references

    def run(self, groups: Sequence[Group]) -> Judgement:
        self._connection.execute("SAVEPOINT judge")
        judgement = self._pass(groups, fast=True)
        if self._references.broken(self._writer.versions):
            self._connection.execute("ROLLBACK TO judge")
            judgement = self._pass(groups, fast=False)
        self._connection.execute("RELEASE judge")
        return judgement

    def _pass(self, groups: Sequence[Group], *, fast: bool) -> Judgement:
        rows = RowJudge(self._connection, self._writer, self._access, self._references)
        for group in groups:
            allowed = self._access.get(group.partition) == "write"
            alone = self._references.need_rows(group.table, group.kind, group.columns)
            if not (fast and allowed and not alone) or not judge_set(
                self._connection, self._writer, group
            ):
                rows.judge(group)
        rows.finish()
        return rows.judgement
