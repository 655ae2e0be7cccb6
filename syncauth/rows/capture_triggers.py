"""
The AFTER triggers that write the outbox: insert, update, change of key, delete.

Theory of operation. Every change of a row becomes at most one entry, and the unsent entries of one row are kept
in a normal form:

    insert                  one entry; it reads the whole row at the cut, so later edits need no entry
    update…                 each column (or delta) in the newest entry that wrote it, in no other
    delete                  one entry, alone
    delete, then insert     one insert entry, whose `life` is the life that it ends

The triggers are fired inside the app's own statements, on any connection. So they use no function of ours; no
inner OR REPLACE or OR IGNORE, which the conflict clause of the outer statement would override; and no order
among triggers of the same event. They do nothing while `_sync_clock.applying` is 1.

REPLACE removes rows without a word unless recursive_triggers is on. What it may remove is noted before
(`capture_replaced`); a row that meets notes takes the slower triggers, `…_replacing`, all others the plain ones.

This module must never read a value column except to see whether it changed, or by how much.
"""

from __future__ import annotations

from syncauth.rows.capture_replaced import (
    noting_triggers,
    record_gone,
    record_replacement,
)
from syncauth.rows.capture_sql import ENTRY, NEXT_ENTRY, NOT_APPLYING, Pieces, any_of, changed
from syncauth.rows.capture_tables import Tracked, mask_bit
from syncauth.rows.sqltext import quote


def trigger_sql(tracked: Tracked) -> dict[str, str]:
    """Return the triggers of a table by name; SQLite stores exactly these texts."""
    pieces = Pieces(tracked)
    key_changed = any_of([changed(name) for name in tracked.info.key_names])
    value_changed = any_of([changed(name) for name in tracked.info.value_names])
    insert_notes = f"EXISTS (SELECT 1 FROM {pieces.notes} WHERE {pieces.made_by(None)})"
    update_notes = f"EXISTS (SELECT 1 FROM {pieces.notes} WHERE {pieces.made_by('OLD')})"
    replaced = f"EXISTS ({_note_of_new_key(pieces, None)})"
    after = {
        "insert": ("INSERT", f"NOT {insert_notes}", _record_insert(pieces)),
        "insert_replacing": (
            "INSERT",
            insert_notes,
            [
                *record_gone(pieces, None),
                *_record_insert(pieces, f"NOT {replaced}"),
                *record_replacement(pieces, None),
            ],
        ),
        "update": (
            "UPDATE",
            f"NOT ({key_changed}) AND ({value_changed}) AND NOT {update_notes}",
            _record_update(pieces),
        ),
        "update_replacing": (
            "UPDATE",
            f"NOT ({key_changed}) AND {update_notes}",
            [*record_gone(pieces, "OLD"), *_record_update(pieces)],
        ),
        "rekey": ("UPDATE", f"({key_changed})", _record_new_key(pieces)),
        "delete": ("DELETE", "1", _record_delete(pieces)),
    }
    found = {}
    for event, (verb, condition, statements) in after.items():
        name = f"_sync_{event}_{tracked.number}"
        body = "".join(f"    {statement};\n" for statement in statements)
        found[name] = (
            f"CREATE TRIGGER {name} AFTER {verb} ON {pieces.table} FOR EACH ROW\n"
            f"WHEN {NOT_APPLYING} AND {condition}\nBEGIN\n{body}END"
        )
    return found | noting_triggers(pieces)


def _note_of_new_key(pieces: Pieces, maker: str | None) -> str:
    return (
        f"SELECT 1 FROM {pieces.notes} WHERE {pieces.made_by(maker)} AND {pieces.at_key_of('NEW')}"
    )


def _record_insert(pieces: Pieces, condition: str = "1") -> list[str]:
    """A key that was absent has a row now: it starts a life, and ends the one that was there before."""
    unsent_delete = pieces.unsent("NEW", "delete")
    return [
        NEXT_ENTRY,
        f"INSERT INTO {pieces.capture} (entry, kind, hlc, life, {pieces.keys})"
        f" SELECT entry, 'insert', hlc,"
        f" ifnull((SELECT life FROM {pieces.capture} WHERE {unsent_delete}),"
        f" (SELECT substr(lives, 1, 32) FROM {pieces.rows} WHERE {pieces.at_key_of('NEW')})),"
        f" {pieces.key_of('NEW')} FROM _sync_clock WHERE id = 1 AND {condition}",
        f"DELETE FROM {pieces.capture} WHERE {unsent_delete} AND {condition}",
    ]


def _record_delete(pieces: Pieces) -> list[str]:
    """A row is gone: so are its unsent entries, and its life, if the server may know one, is deleted."""
    return [
        NEXT_ENTRY,
        f"INSERT INTO {pieces.capture} (entry, kind, hlc, life, {pieces.keys})"
        f" SELECT entry, 'delete', hlc, known.life, {pieces.key_of('OLD')} FROM _sync_clock, (SELECT ifnull("
        f"(SELECT substr(lives, 1, 32) FROM {pieces.rows} WHERE {pieces.at_key_of('OLD')}),"
        f" (SELECT life FROM {pieces.capture} WHERE {pieces.unsent('OLD', 'insert')})) AS life) AS known"
        " WHERE id = 1 AND known.life IS NOT NULL",
        f"DELETE FROM {pieces.capture}"
        f" WHERE {pieces.at_key_of('OLD')} AND batch IS NULL AND entry < {ENTRY}",
    ]


def _record_new_key(pieces: Pieces) -> list[str]:
    """A row has another key: the deletion of the old key and, next to it, the insert of the new one."""
    replaced = f"EXISTS ({_note_of_new_key(pieces, 'OLD')})"
    return [
        *record_gone(pieces, "OLD"),
        *_record_delete(pieces),
        *_record_insert(pieces, f"NOT {replaced}"),
        *record_replacement(pieces, "OLD"),
    ]


def _record_update(pieces: Pieces) -> list[str]:
    """Columns have new values: a new entry takes them out of the row's older unsent ones."""
    tracked = pieces.tracked
    masks, deltas = tracked.mask_names, tracked.delta_names
    of_row = pieces.unsent("NEW", "update")
    moved = [f"{m} = {m} & ~(SELECT {m} FROM {pieces.capture} WHERE entry = {ENTRY})" for m in masks]
    moved += [
        f"{delta} = CASE WHEN {changed(name)} THEN NULL ELSE {delta} END"
        for name, delta in zip(tracked.counters, deltas, strict=True)
    ]
    empty = " AND ".join([f"{m} = 0" for m in masks] + [f"{delta} IS NULL" for delta in deltas])
    source = "_sync_clock"
    if deltas:
        summed = [
            f"{_delta(pieces, name)} AS {delta}"
            for name, delta in zip(tracked.counters, deltas, strict=True)
        ]
        source += f", (SELECT {', '.join(summed)}) AS new"
    values = [_mask(tracked, word) for word in range(tracked.words)]
    values += [f"CASE WHEN typeof(new.{delta}) = 'integer' THEN nullif(new.{delta}, 0) END" for delta in deltas]
    return [
        NEXT_ENTRY,
        f"INSERT INTO {pieces.capture} (entry, kind, hlc, {pieces.keys}, {', '.join(masks + deltas)})"
        f" SELECT entry, 'update', hlc, {pieces.key_of('NEW')}, {', '.join(values)} FROM {source}"
        f" WHERE id = 1 AND NOT EXISTS"
        f" (SELECT 1 FROM {pieces.capture} WHERE {pieces.unsent('NEW', 'insert')})",
        f"UPDATE {pieces.capture} SET {', '.join(moved)} WHERE {of_row} AND entry < {ENTRY}",
        f"DELETE FROM {pieces.capture} WHERE {of_row} AND {empty}",
    ]


def _mask(tracked: Tracked, word: int) -> str:
    """The columns of one mask word that changed; of the counters those whose change is no delta."""
    terms = []
    for name in tracked.info.value_names:
        at, bit = mask_bit(tracked.column_ids[name])
        if at != word:
            continue
        condition = changed(name)
        if name in tracked.counters:
            condition = f"({condition} AND typeof(new.d{tracked.column_ids[name]}) <> 'integer')"
        terms.append(f"({condition} << {bit.bit_length() - 1})")
    return any_of(terms, operator=" | ")


def _delta(pieces: Pieces, name: str) -> str:
    """The sum of the unsent delta of a counter and this change, or NULL: then the value itself is to travel.

    It is NULL unless both values are integers, and where an older unsent entry sends the value itself; and it
    is a real number, which is no delta either, where 64 bits do not suffice.
    """
    column_id = pieces.tracked.column_ids[name]
    word, bit = mask_bit(column_id)
    new, old = f"NEW.{quote(name)}", f"OLD.{quote(name)}"
    unsent = f"FROM {pieces.capture} WHERE {pieces.unsent('NEW', 'update')}"
    return (
        f"CASE WHEN typeof({new}) = 'integer' AND typeof({old}) = 'integer'"
        f" AND NOT EXISTS (SELECT 1 {unsent} AND m{word} & {bit})"
        f" THEN {new} - {old} + CASE WHEN {new} <> {old} THEN"
        f" ifnull((SELECT d{column_id} {unsent} AND d{column_id} IS NOT NULL), 0) ELSE 0 END END"
    )
