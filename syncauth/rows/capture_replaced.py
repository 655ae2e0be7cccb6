"""
What REPLACE does to other rows: noted before the write, recorded after it.

A REPLACE over a primary key, a unique index or the rowid removes the rows in its way, and fires
their DELETE triggers only where recursive_triggers is on (sqlite-utils turns it on, sqlite3 does
not). So a BEFORE trigger notes the rows that hold a unique value of NEW, and the AFTER trigger
records those that are really gone. Both ways end in the same entries: what a DELETE trigger has
already recorded is not recorded again.

A row of the very key being written is a replacement: an update of all columns within the same life,
or still the unsent insert that it was.

Notes of an insert (`maker0` NULL) are wiped by the next insert; those of an update only by the next
update of the same row, because a foreign key's ON DELETE SET NULL may update other rows of this
table in the middle. Notes that stay behind (OR IGNORE, an upsert) mean nothing: nobody reads them
without wiping them before.

This module must never judge by a note alone that a row is gone.
"""

from __future__ import annotations

from syncauth.rows.capture_sql import NEXT_ENTRY, NOT_APPLYING, Pieces, any_of, changed
from syncauth.rows.capture_tables import mask_bit
from syncauth.rows.sqltext import quote
from syncauth.rows.tables import Column, UniqueIndex


def noting_triggers(pieces: Pieces) -> dict[str, str]:
    """Return the BEFORE triggers by name."""
    tracked, number = pieces.tracked, pieces.tracked.number
    found = {}
    for event, maker in (("INSERT", None), ("UPDATE", "OLD")):
        in_the_way = _in_the_way(pieces, maker)
        stale = f"EXISTS (SELECT 1 FROM {pieces.notes}" + (
            f" WHERE {pieces.made_by(maker)})" if maker else ")"
        )
        met = " OR ".join(f"EXISTS ({rows})" for rows in in_the_way)
        if maker:
            met = f"({any_of([changed(name) for name in _unique_names(pieces)])}) AND ({met})"
        maker_key = pieces.key_of("OLD") if maker else ", ".join("NULL" for _ in tracked.key_names)
        name = f"_sync_note_{event.lower()}_{number}"
        found[name] = (
            f"CREATE TRIGGER {name} BEFORE {event} ON {pieces.table} FOR EACH ROW\n"
            f"WHEN {NOT_APPLYING} AND ({stale} OR {met})\nBEGIN\n"
            f"    DELETE FROM {pieces.notes}"
            f"{' WHERE ' + pieces.made_by(maker) if maker else ''};\n"
            f"    {_note(pieces, maker_key, in_the_way)};\nEND"
        )
    return found


def record_gone(pieces: Pieces, maker: str | None) -> list[str]:
    """Record the deletion of noted rows that are gone.

    As many entries as rows, in one statement.
    """
    at_note = " AND ".join(f"{{0}}{name} = n.{name}" for name in pieces.tracked.key_names)
    keys = ", ".join(f"n.{name}" for name in pieces.tracked.key_names)
    still_there = " AND ".join(
        f"{pieces.table}.{quote(column)} = n.{name}"
        for column, name in zip(
            pieces.tracked.info.key_names, pieces.tracked.key_names, strict=True
        )
    )
    gone = (
        f"{pieces.made_by(maker)} AND NOT EXISTS (SELECT 1 FROM {pieces.table} WHERE {still_there})"
    )
    of_note = (
        f"FROM {pieces.capture} AS e WHERE {at_note.format('e.')} AND e.batch IS NULL AND e.kind"
    )
    return [
        NEXT_ENTRY,
        (
            f"INSERT INTO {pieces.capture} (entry, kind, hlc, life, {pieces.keys})"
            f" SELECT c.entry + row_number() OVER (ORDER BY n.rowid), 'delete',"
            f" c.hlc + row_number() OVER (ORDER BY n.rowid), n.life, {keys} FROM _sync_clock AS c,"
            f" (SELECT n.rowid, {keys}, ifnull((SELECT substr(r.lives, 1, 32)"
            f" FROM {pieces.rows} AS r WHERE {at_note.format('r.')}),"
            f" (SELECT e.life {of_note} = 'insert')) AS life"
            f" FROM {pieces.notes} AS n"
            f" WHERE {gone} AND NOT EXISTS (SELECT 1 {of_note} = 'delete')) AS n"
            " WHERE c.id = 1 AND n.life IS NOT NULL"
        ),
        (
            f"UPDATE _sync_clock SET entry = entry + (SELECT count(*) FROM {pieces.notes}),"
            f" hlc = hlc + (SELECT count(*) FROM {pieces.notes}) WHERE id = 1"
        ),
        (
            f"DELETE FROM {pieces.capture} WHERE entry IN (SELECT e.entry FROM {pieces.notes} AS n"
            f" CROSS JOIN {pieces.capture} AS e WHERE {gone} AND {at_note.format('e.')}"
            " AND e.batch IS NULL AND e.kind <> 'delete')"
        ),
    ]


def record_replacement(pieces: Pieces, maker: str | None) -> list[str]:
    """Record that the row of NEW's key has been replaced, if a note says that there was one."""
    tracked = pieces.tracked
    of_note = f"{pieces.made_by(maker)} AND {pieces.at_key_of('NEW', ours='n.')}"
    noted = f"EXISTS (SELECT 1 FROM {pieces.notes} AS n WHERE {of_note})"
    masks, values = [], []
    for word, mask in enumerate(tracked.mask_names):
        masks.append(mask)
        values.append(_whole_mask(pieces, word))
    for name, delta in zip(tracked.counters, tracked.delta_names, strict=True):
        masks.append(delta)
        values.append(
            f"CASE WHEN {_is_delta(pieces, name)} THEN nullif({_difference(pieces, name)}, 0) END"
        )
    return [
        NEXT_ENTRY,
        (
            f"DELETE FROM {pieces.capture} WHERE {pieces.at_key_of('NEW')} AND batch IS NULL"
            f" AND kind <> 'insert' AND {noted}"
        ),
        (
            f"INSERT INTO {pieces.capture} (entry, kind, hlc, life, {pieces.keys})"
            f" SELECT n.entry, 'insert', n.hlc, n.life, {pieces.key_of('NEW')}"
            f" FROM {pieces.notes} AS n WHERE {of_note} AND n.entry IS NOT NULL"
            f" AND NOT EXISTS (SELECT 1 FROM {pieces.capture} AS e WHERE e.entry = n.entry)"
        ),
        (
            f"INSERT INTO {pieces.capture} (entry, kind, hlc, {pieces.keys}, {', '.join(masks)})"
            f" SELECT c.entry, 'update', c.hlc, {pieces.key_of('NEW')}, {', '.join(values)}"
            f" FROM _sync_clock AS c, {pieces.notes} AS n"
            f" WHERE c.id = 1 AND {of_note} AND n.entry IS NULL"
        ),
    ]


def _note(pieces: Pieces, maker_key: str, in_the_way: list[str]) -> str:
    """Note the rows in the way, with what the AFTER trigger may need of their unsent entries."""
    tracked = pieces.tracked
    bases = "".join(f", b{delta[1:]}" for delta in tracked.delta_names)
    values = "".join(f", {_base(pieces, name)}" for name in tracked.counters)
    key = pieces.key_of(pieces.table)
    return (
        f"INSERT INTO {pieces.notes} ({pieces.makers}, {pieces.keys}, entry, hlc, life{bases})"
        f" SELECT {maker_key}, {key}, e.entry, e.hlc, e.life{values} FROM {pieces.table}"
        f" LEFT JOIN {pieces.capture} AS e ON {pieces.at_key_of(pieces.table, ours='e.')}"
        f" AND e.batch IS NULL AND e.kind = 'insert'"
        f" WHERE ({key}) IN ({' UNION '.join(in_the_way)})"
    )


def _in_the_way(pieces: Pieces, maker: str | None) -> list[str]:
    """SELECTs of the keys of rows that hold a unique value of NEW, one per unique index.

    For NULL in a NOT NULL column REPLACE writes the default, after the BEFORE triggers. A generated
    column that depends on it cannot be foretold, then every row is noted; who is gone is seen
    afterwards.
    """
    info = pieces.tracked.info
    columns = {column.name: column for column in (*info.key, *info.columns)}
    key_index = UniqueIndex(
        "", tuple((name, "BINARY") for name in info.key_names), None, on_expression=False
    )
    found = []
    for index in (key_index, *info.unique):
        parts = [f"({index.condition}\n)"] if index.condition else []
        parts += [
            f"{pieces.table}.{quote(name)} = {_written(columns[name])} COLLATE {quote(collation)}"
            for name, collation in index.columns
        ]
        found.append(" AND ".join(parts))
    if info.rowid_name is not None and not info.rowid_key:
        found.append(f"{pieces.table}.{info.rowid_name} = NEW.{info.rowid_name}")
    if any(columns[name].generated for index in info.unique for name, _ in index.columns):
        found += [f"NEW.{quote(c.name)} IS NULL" for c in columns.values() if _has_substitute(c)]
    if maker:
        found = [f"{condition} AND NOT ({pieces.same_row(maker)})" for condition in found]
    key = pieces.key_of(pieces.table)
    return [f"SELECT {key} FROM {pieces.table} WHERE {condition}" for condition in found]


def _unique_names(pieces: Pieces) -> list[str]:
    """The columns whose change may meet another row.

    Of the key, of unique indexes, and the rowid.
    """
    info = pieces.tracked.info
    names = [*info.key_names, *(name for index in info.unique for name, _ in index.columns)]
    if info.rowid_name is not None and not info.rowid_key:
        names.append(info.rowid_name)
    return list(dict.fromkeys(names))


def _has_substitute(column: Column) -> bool:
    return column.not_null and column.default is not None


def _written(column: Column) -> str:
    """What REPLACE will write for a column of NEW."""
    value = f"NEW.{quote(column.name)}"
    return f"ifnull({value}, ({column.default}))" if _has_substitute(column) else value


def _base(pieces: Pieces, name: str) -> str:
    """A counter of a noted row less its unsent delta; NULL where the value itself is to travel."""
    column_id = pieces.tracked.column_ids[name]
    word, bit = mask_bit(column_id)
    value = f"{pieces.table}.{quote(name)}"
    unsent = (
        f"FROM {pieces.capture} AS u WHERE {pieces.at_key_of(pieces.table, ours='u.')}"
        " AND u.batch IS NULL AND u.kind = 'update'"
    )
    return (
        f"CASE WHEN typeof({value}) = 'integer'"
        f" AND NOT EXISTS (SELECT 1 {unsent} AND u.m{word} & {bit})"
        f" THEN {value} - ifnull((SELECT u.d{column_id} {unsent}"
        f" AND u.d{column_id} IS NOT NULL), 0) END"
    )


def _difference(pieces: Pieces, name: str) -> str:
    return f"NEW.{quote(name)} - n.b{pieces.tracked.column_ids[name]}"


def _is_delta(pieces: Pieces, name: str) -> str:
    return (
        f"typeof(NEW.{quote(name)}) = 'integer' AND typeof({_difference(pieces, name)}) = 'integer'"
    )


def _whole_mask(pieces: Pieces, word: int) -> str:
    """All columns of a mask word, but counters only where their change is no delta."""
    tracked = pieces.tracked
    whole, terms = 0, []
    for name in tracked.info.value_names:
        at, bit = mask_bit(tracked.column_ids[name])
        if at != word:
            continue
        if name in tracked.counters:
            terms.append(f"CASE WHEN {_is_delta(pieces, name)} THEN 0 ELSE {bit} END")
        else:
            whole |= bit
    return " | ".join([str(whole), *terms])
