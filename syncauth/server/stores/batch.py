"""
A batch in the shape in which it is judged: checked, decoded, its stamps cut, its rows sorted by partition.

A group holds changes of one table, kind and partition; its rows are flat, `key…, entry, hlc, life, value…, delta…`
as on the wire (`sansio.messages`), with values as SQLite takes them and without the partition column. Everything
is checked here, column by column, before anything is written. This module must never touch the database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Final

from syncauth.errors import InvalidMessage
from syncauth.rows.stamps import check_stamp
from syncauth.rows.values import decode_rows
from syncauth.sansio.messages import CutStamps, Section
from syncauth.server.stores.served import Served

AHEAD_MS: Final = 60_000
"""How far a stamp may lie ahead of the server's time before it is cut."""


@dataclass(frozen=True, slots=True)
class Group:
    """Changes of one table, kind and partition.

    `partition` is "" where a device did not know it and it must be found by the row's life. `target`, in an
    update, is the value of the partition column if it is among the columns written. `plain` says that no value was
    tagged on the wire: there is no text that is no valid UTF-8.
    """

    table: Served
    kind: str
    partition: Any
    columns: tuple[str, ...]
    deltas: tuple[str, ...]
    rows: list[Any]
    target: Any = None
    targeted: bool = False
    plain: bool = False


def read_batch(served: Mapping[str, Served], sections: Sequence[Section], own: str) -> list[Group]:
    """Check and decode the sections of a push; `own` is the name of the user's own partition.

    Raises:
        InvalidMessage: a section breaks the protocol; `served.misfit` has excluded what merely does not fit.
    """
    groups = [group for section in sections for group in _read(served, section, own)]
    entries = [row[group.table.width] for group in groups for row in group.rows]
    if len(set(entries)) != len(entries):
        raise _invalid("an entry number stands in it twice")
    return groups


def _read(served: Mapping[str, Served], section: Section, own: str) -> Iterable[Group]:
    table = served.get(section.table)
    if table is None:
        raise _invalid(f"it names the table {section.table!r}, which is not served")
    if section.kind not in ("insert", "update", "delete"):
        raise _invalid(f"a device sends no section of kind {section.kind!r}")
    columns, deltas = section.columns, section.deltas
    if len({*columns, *deltas}) != len(columns) + len(deltas) or not {*columns} <= {*table.columns}:
        raise _invalid(f"its columns of {table.name!r} are {columns} and {deltas}")
    if not {*deltas} <= {*table.counters} or (deltas and section.kind != "update"):
        raise _invalid(f"only counters have deltas, and only in updates: {deltas}")
    if section.kind == "delete" and columns:
        raise _invalid("a deletion has no values")
    width = table.width
    rows = decode_rows(section.rows, width + 3 + len(columns) + len(deltas))
    if rows:
        _check_heads(rows, width, life_needed=section.kind != "insert")
        _check_deltas(rows, len(deltas))
        group = Group(
            table,
            section.kind,
            section.partition,
            tuple(columns),
            tuple(deltas),
            rows,
            plain=rows[0] is section.rows[0],  # no column had anything to decode
        )
        yield from _by_partition(group, own)


def _check_heads(rows: Sequence[Any], width: int, *, life_needed: bool) -> None:
    """Check entry, HLC and life of all rows, and that no key has a NULL."""
    for place in range(width):
        if None in map(itemgetter(place), rows):
            raise _invalid("a key column is null")
    for place in (width, width + 1):
        numbers = list(map(itemgetter(place), rows))
        if set(map(type, numbers)) != {int} or min(numbers) < 0:
            raise _invalid("an entry number or an HLC is no whole number from 0")
    lives = set(map(itemgetter(width + 2), rows))
    if life_needed and None in lives:
        raise _invalid("a change names no life")
    for life in lives - {None}:
        check_stamp(life)


def _check_deltas(rows: Sequence[Any], count: int) -> None:
    for place in range(-count, 0):
        if set(map(type, map(itemgetter(place), rows))) != {int}:
            raise _invalid("a delta is no whole number")


def _by_partition(group: Group, own: str) -> Iterable[Group]:
    """Name the partition of every row; where a column says it, sort the rows by that column."""
    table = group.table
    if table.by_user:
        yield replace(group, partition=group.partition or own)
    elif table.partition_column not in group.columns:
        if group.kind == "insert":
            raise _invalid(f"an insert lacks {table.partition_column!r}, the partition")
        yield group
    else:
        place = table.width + 3 + group.columns.index(table.partition_column)
        columns = tuple(name for name in group.columns if name != table.partition_column)
        sorted_rows: dict[Any, list[Any]] = defaultdict(list)
        for row in group.rows:
            sorted_rows[row[place]].append((*row[:place], *row[place + 1 :]))
        for name, rows in sorted_rows.items():
            if group.kind == "insert":
                yield replace(group, partition=name, columns=columns, rows=rows)
            else:
                yield replace(group, columns=columns, rows=rows, target=name, targeted=True)


def cut_stamps(
    groups: Sequence[Group], *, now_ms: int, cut_before: int
) -> tuple[dict[int, int], CutStamps | None]:
    """Lower the HLCs that lie too far ahead, in their order, behind all that this device had cut before.

    `cut_before` is the highest HLC that was given to this device in that way, 0 for none. Returns the HLCs that
    hold instead, by entry. They are for stamps only: the life that an insert begins keeps the HLC that was sent.
    """
    bound = (now_ms + AHEAD_MS) << 16
    ahead = []
    for group in groups:
        at = group.table.width
        if max(map(itemgetter(at + 1), group.rows)) > bound:
            ahead += [(row[at + 1], row[at]) for row in group.rows if row[at + 1] > bound]
    if not ahead:
        return {}, None
    cut = CutStamps(max(bound, cut_before) + 1, [entry for _, entry in sorted(ahead)])
    return {entry: cut.first + place for place, entry in enumerate(cut.entries)}, cut


def _invalid(why: str) -> InvalidMessage:
    return InvalidMessage(
        "a batch cannot be judged", why=why, remedy="Check that both sides speak syncauth.v1"
    )
