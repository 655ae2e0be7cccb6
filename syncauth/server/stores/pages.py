"""
Pages: what came after some cursors, read in one snapshot and cut where a commit ends.

The log is the state itself: every row stands once, under the version of its last change, so a page never shows a
state that has been overwritten meanwhile. Versions and commit numbers grow together within a partition. A page of a
first download may be cut within a commit. This module must never write.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import structs

from syncauth.rows.values import decode_rows, encode_rows, parameters, read_all, split_raw
from syncauth.sansio.messages import Changes, Section, SectionKind, TableShape, encode_sections
from syncauth.server.stores.rows_interface import Page, PageLimits
from syncauth.server.stores.rows_schema import LEFT, LIVING, TOMBSTONE
from syncauth.server.stores.served import Served
from syncauth.server.stores.versions import Runs

Wanted = Sequence[tuple[Served, TableShape]]


@dataclass(frozen=True, slots=True)
class Span:
    """The versions above `after` up to `upto` of one partition, whose head is `head`.

    `whole`: what the device itself wrote belongs to them, too; `own`: they hold nothing else.
    """

    part: int
    name: str
    after: int
    upto: int
    head: int
    whole: bool = False
    own: bool = False


def read_spans(
    connection: sqlite3.Connection,
    cursors: Mapping[str, int],
    compared: Mapping[str, int],
    device: int,
    runs: Runs,
) -> list[Span]:
    """Return what each partition has new; a partition in which nothing was ever written has the head 0."""
    spans = []
    for name, after in cursors.items():
        row = connection.execute(
            "SELECT id, head FROM _sync_partitions WHERE name = ?", (name,)
        ).fetchone()
        part, head = row if row is not None else (0, 0)
        known = compared.get(name, 0)
        upto = min(head, known) if after < known else head
        whole = name in compared
        own = not whole and runs.cover(device, part, after, upto)
        spans.append(Span(part, name, after, upto, head, whole, own))
    return spans


def read_page(
    connection: sqlite3.Connection,
    wanted: Wanted,
    spans: Sequence[Span],
    limits: PageLimits,
    *,
    device: int,
    through: int,
) -> Page:
    """Read a page within the limits, in the caller's transaction."""
    (commit,) = connection.execute("SELECT last FROM _sync_commits").fetchone()
    rows = limits.rows
    cut, raw, count = list(spans), b"[]", 0
    previous = None
    while True:
        ends = _cut(connection, wanted, spans, rows, atomic=limits.atomic)
        cut = [
            replace(span, upto=min(span.upto, end)) for span, end in zip(spans, ends, strict=True)
        ]
        if cut == previous:
            break  # a single commit cannot be split
        previous = cut
        sections = _sections(connection, wanted, cut, device)
        raw = encode_sections(sections)
        count = sum(len(section.rows) for section in sections)
        if len(raw) <= limits.size or count <= 1:
            break
        rows = max(1, min(count - 1, count * limits.size // len(raw)))
    changes = Changes(
        cursors={span.name: span.upto for span in cut},
        through=through,
        commit=commit,
        complete=all(span.upto == span.head for span in cut),
        sections=msgspec.Raw(raw),
    )
    return Page(changes, count)


def _cut(
    connection: sqlite3.Connection,
    wanted: Wanted,
    spans: Sequence[Span],
    rows: int,
    *,
    atomic: bool,
) -> list[int]:
    """Return where each span ends so that `rows` rows are reached: behind the last commit that fits, or within it."""
    new = [span for span in spans if span.after < span.head and not span.own]
    # A version has one row at most.
    if not wanted or sum(span.head - span.after for span in new) <= rows:
        return [span.upto for span in spans]
    oldest, first_left = _ends_of(connection, wanted, new, rows)
    if first_left is None:
        return [span.upto for span in spans]
    commit, part, version = first_left
    if atomic:
        last = commit - 1 if oldest < commit else commit
        return [_until(connection, wanted, span, last) for span in spans]
    return [
        _until(connection, wanted, span, commit if span.part < part else commit - 1)
        if span.part != part
        else version - 1
        for span in spans
    ]


def _ends_of(
    connection: sqlite3.Connection, wanted: Wanted, spans: Sequence[Span], rows: int
) -> tuple[int, tuple[int, int, int] | None]:
    """Return the oldest commit of the spans, and (commit, partition, version) of the row behind the first `rows`.

    Each table has the rows of a partition in this order, so that no more of them are read than are counted, however
    many partitions there are.
    """
    with contextlib.ExitStack() as stack:
        streams = [
            stack.enter_context(contextlib.closing(cursor))
            for span in spans
            for table, _ in wanted
            for cursor in [
                connection.execute(
                    f"SELECT commit_id, part, version FROM {table.rows}"
                    " WHERE part = ? AND version > ? ORDER BY version",
                    (span.part, span.after),
                )
            ]
        ]
        ordered = heapq.merge(*streams)
        first = next(ordered, None)
        left = next(itertools.islice(ordered, rows - 1, None), None)
    return 0 if first is None else first[0], left


def _until(connection: sqlite3.Connection, wanted: Wanted, span: Span, commit: int) -> int:
    """Return where a span ends behind a commit."""
    if span.after >= span.head:
        return span.upto
    firsts = [
        connection.execute(
            f"SELECT version FROM {table.rows} WHERE part = ? AND version > ? AND commit_id > ?"
            " ORDER BY version LIMIT 1",
            (span.part, span.after, commit),
        ).fetchone()
        for table, _ in wanted
    ]
    return min((first[0] - 1 for first in firsts if first is not None), default=span.head)


def _sections(
    connection: sqlite3.Connection, wanted: Wanted, spans: Sequence[Span], device: int
) -> list[Section]:
    """Read what the spans hold, except the rows that the device has as it wrote them."""
    sections = []
    for table, shape in wanted:
        for span in spans:
            if span.own or span.after >= span.upto:
                continue
            news = f"r.part = {span.part} AND r.version > {span.after} AND r.version <= {span.upto}"
            if not span.whole:
                news += f" AND r.origin IS NOT {device}"
            sections += _of_partition(connection, table, shape, span.name, news)
    return sections


def _of_partition(
    connection: sqlite3.Connection, table: Served, shape: TableShape, partition: str, news: str
) -> list[Section]:
    keys = ", ".join(f"r.{name}" for name in table.our_keys)
    values = ", ".join(["r.lives", "r.stamp", "r.stamps", *table.names(shape.columns, "a")])
    at_app = f"a.{table.names([table.partition_column])[0]} = ? AND {table.same_row('r', 'a')}"
    living = read_all(
        connection,
        f"SELECT {keys}, {values} FROM {table.rows} AS r CROSS JOIN {table.app} AS a ON {at_app}"
        f" WHERE {news} AND r.deleted = {LIVING} ORDER BY r.version",
        (partition,),
    )
    gone = read_all(
        connection,
        f"SELECT {keys}, r.lives, r.stamp FROM {table.rows} AS r"
        f" WHERE {news} AND r.deleted = {TOMBSTONE} ORDER BY r.version",
    )
    left = read_all(
        connection,
        f"SELECT {keys} FROM {table.rows} AS r"
        f" WHERE {news} AND r.deleted = {LEFT} ORDER BY r.version",
    )
    found: tuple[tuple[SectionKind, list[Any], list[str]], ...] = (
        ("row", living, list(shape.columns)),
        ("gone", gone, []),
        ("exit", left, []),
    )
    return [
        Section(
            table=table.name,
            kind=kind,
            rows=encode_rows(rows),
            columns=columns,
            partition=partition,
        )
        for kind, rows, columns in found
        if rows
    ]


def present_state(
    connection: sqlite3.Connection,
    table: Served,
    shape: TableShape,
    partition: str,
    keys: Sequence[tuple[object, ...]],
) -> list[Section]:
    """Return rows as they are now, for a device whose changes to them were refused."""
    sections: list[Section] = []
    row = connection.execute(
        "SELECT id FROM _sync_partitions WHERE name = ?", (partition,)
    ).fetchone()
    missing = list(keys)
    if row is not None:
        connection.execute("DROP TABLE IF EXISTS temp._sync_asked")
        names = ", ".join(table.our_keys)
        connection.execute(f"CREATE TEMP TABLE _sync_asked ({names})")
        for raw, each in split_raw(keys):
            marks = ", ".join(parameters(table.width, raw))
            connection.executemany(f"INSERT INTO temp._sync_asked VALUES ({marks})", each)
        news = f"r.part = {row[0]} AND ({', '.join('r.' + n for n in table.our_keys)}) IN temp._sync_asked"
        sections = _of_partition(connection, table, shape, partition, news)
        shown = [each[: table.width] for section in sections for each in section.rows]
        known = {tuple(key) for key in decode_rows(shown, table.width)}
        missing = [key for key in keys if tuple(key) not in known]
    if missing:
        sections.append(
            Section(table=table.name, kind="exit", rows=encode_rows(missing), partition=partition)
        )
    # Lists, as a result has them when it is read again from where it is stored.
    return [structs.replace(each, rows=[list(row) for row in each.rows]) for each in sections]
