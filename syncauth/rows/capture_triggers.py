"""
The AFTER triggers that write the outbox: insert, update, change of key, delete.

Theory of operation. Every change of a row becomes at most one entry, and the unsent entries of one
row are kept in a normal form:

    insert                  one entry, which reads the row at the cut: later edits need no entry
    update…                 each column (or delta) in the newest entry that wrote it, in no other
    delete                  one entry, alone
    delete, then insert     one insert entry, whose `life` is the life that it ends

The triggers are fired inside the app's own statements, on any connection. So they use no function
of ours; no inner OR REPLACE or OR IGNORE, which the conflict clause of the outer statement would
override; and no order among triggers of the same event. They do nothing while
`_sync_clock.applying` is 1.

REPLACE removes rows without a word unless recursive_triggers is on. What it may remove is noted
before (`capture_replaced`). A row that meets notes, or older entries, takes the slower triggers
`…_again`; the plain ones serve the row that is written for the first time since the last cut, and
are as short as can be.

This module must never read a value column except to see whether it changed, or by how much.
"""

from __future__ import annotations

from syncauth.rows.capture_replaced import noting_triggers, record_gone, record_replacement
from syncauth.rows.capture_sql import ENTRY, NEXT_ENTRY, NOT_APPLYING, Pieces, any_of, changed
from syncauth.rows.capture_tables import Tracked, mask_bit
from syncauth.rows.sqltext import quote


def trigger_sql(tracked: Tracked) -> dict[str, str]:
    """Return the triggers of a table by name; SQLite stores exactly these texts."""
    pieces = Pieces(tracked)
    found = {}
    for event, (verb, condition, statements) in _triggers(pieces).items():
        name = f"_sync_{event}_{tracked.number}"
        body = "".join(f"    {statement};\n" for statement in statements)
        found[name] = (
            f"CREATE TRIGGER {name} AFTER {verb} ON {pieces.table} FOR EACH ROW\n"
            f"WHEN {NOT_APPLYING} AND {condition}\nBEGIN\n{body}END"
        )
    return found | noting_triggers(pieces)


def _triggers(pieces: Pieces) -> dict[str, tuple[str, str, list[str]]]:
    """Return verb, condition and statements.

    Of the triggers of one verb exactly one does the work. SQLite asks for the condition of each when its
    turn comes, the youngest first: what stands later here runs before, and must not make an earlier
    condition true.
    """
    info = pieces.tracked.info
    new_key = any_of([changed(name) for name in info.key_names])
    new_value = any_of([changed(name) for name in info.value_names])
    noted = f"EXISTS (SELECT 1 FROM {pieces.notes} WHERE {pieces.made_by('OLD')})"
    unsent = (
        f"EXISTS (SELECT 1 FROM {pieces.capture} WHERE {pieces.at_key_of('OLD')} AND batch IS NULL)"
    )
    known = (
        f"(EXISTS (SELECT 1 FROM {pieces.notes})"
        f" OR EXISTS (SELECT 1 FROM {pieces.rows} WHERE {pieces.at_key_of('NEW')}))"
    )
    return {
        "insert": ("INSERT", f"NOT {known}", _record_first_insert(pieces)),
        "insert_again": (
            "INSERT",
            known,
            [
                *record_gone(pieces, None),
                *_record_insert(pieces, None),
                *record_replacement(pieces, None),
            ],
        ),
        "update": (
            "UPDATE",
            f"NOT ({new_key}) AND ({new_value}) AND NOT ({unsent} OR {noted})",
            _record_first_update(pieces),
        ),
        "update_again": (
            "UPDATE",
            f"NOT ({new_key}) AND ({noted} OR ({new_value}) AND {unsent})",
            [*record_gone(pieces, "OLD"), *_record_update(pieces)],
        ),
        "rekey": (
            "UPDATE",
            f"({new_key})",
            [
                *record_gone(pieces, "OLD"),
                *_record_delete(pieces),
                *_record_insert(pieces, "OLD"),
                *record_replacement(pieces, "OLD"),
            ],
        ),
        "delete": ("DELETE", f"NOT {unsent}", _record_first_delete(pieces)),
        "delete_again": ("DELETE", unsent, _record_delete(pieces)),
    }


def _record_first_insert(pieces: Pieces) -> list[str]:
    """A key that nobody knows has a row: it starts a life and ends none."""
    return [
        NEXT_ENTRY,
        (
            f"INSERT INTO {pieces.capture} (entry, kind, hlc, {pieces.keys})"
            f" SELECT entry, 'insert', hlc, {pieces.key_of('NEW')} FROM _sync_clock WHERE id = 1"
        ),
    ]


def _record_insert(pieces: Pieces, maker: str | None) -> list[str]:
    """A key has a row.

    It starts a life and ends the one before, unless it replaces a row of this key. A row that refers
    to itself has been updated by its own change of key (ON UPDATE CASCADE): the insert takes that in.
    """
    unsent_delete = pieces.unsent("NEW", "delete")
    new = (
        f"NOT EXISTS (SELECT 1 FROM {pieces.notes}"
        f" WHERE {pieces.made_by(maker)} AND {pieces.at_key_of('NEW')})"
    )
    return [
        NEXT_ENTRY,
        (
            f"INSERT INTO {pieces.capture} (entry, kind, hlc, life, {pieces.keys})"
            f" SELECT entry, 'insert', hlc,"
            f" ifnull((SELECT life FROM {pieces.capture} WHERE {unsent_delete}),"
            f" (SELECT substr(lives, 1, 32) FROM {pieces.rows} WHERE {pieces.at_key_of('NEW')})),"
            f" {pieces.key_of('NEW')} FROM _sync_clock WHERE id = 1 AND {new}"
        ),
        (
            f"DELETE FROM {pieces.capture} WHERE {pieces.at_key_of('NEW')} AND batch IS NULL"
            f" AND kind <> 'insert' AND {new}"
        ),
    ]


def _record_first_delete(pieces: Pieces) -> list[str]:
    """A row without unsent entries is gone: the life that the server knows is deleted."""
    return [
        NEXT_ENTRY,
        (
            f"INSERT INTO {pieces.capture} (entry, kind, hlc, life, {pieces.keys})"
            f" SELECT entry, 'delete', hlc, substr(lives, 1, 32), {pieces.key_of('OLD')}"
            f" FROM _sync_clock, {pieces.rows} WHERE id = 1 AND {pieces.at_key_of('OLD')}"
        ),
    ]


def _record_delete(pieces: Pieces) -> list[str]:
    """A row is gone.

    So are its unsent entries, and its life, if the server may know one, is deleted.
    """
    return [
        NEXT_ENTRY,
        (
            f"INSERT INTO {pieces.capture} (entry, kind, hlc, life, {pieces.keys})"
            f" SELECT entry, 'delete', hlc, known.life, {pieces.key_of('OLD')} FROM _sync_clock,"
            f" (SELECT ifnull((SELECT substr(lives, 1, 32) FROM {pieces.rows}"
            f" WHERE {pieces.at_key_of('OLD')}), (SELECT life FROM {pieces.capture}"
            f" WHERE {pieces.unsent('OLD', 'insert')})) AS life) AS known"
            " WHERE id = 1 AND known.life IS NOT NULL"
        ),
        (
            f"DELETE FROM {pieces.capture}"
            f" WHERE {pieces.at_key_of('OLD')} AND batch IS NULL AND kind <> 'delete'"
        ),
    ]


def _record_first_update(pieces: Pieces) -> list[str]:
    """Columns of a row without unsent entries have new values."""
    return [NEXT_ENTRY, _insert_update(pieces, "")]


def _record_update(pieces: Pieces) -> list[str]:
    """Columns have new values: a new entry takes them out of the row's older unsent ones.

    An unsent insert needs no entry beside it. What was added and taken away again leaves an entry with
    a delta of 0: without any, the trigger for rows that have none would now do its work, too.
    """
    tracked = pieces.tracked
    of_row = pieces.unsent("NEW", "update")
    moved = [
        f"{mask} = {mask} & ~(SELECT {mask} FROM {pieces.capture} WHERE entry = {ENTRY})"
        for mask in tracked.mask_names
    ]
    moved += [
        f"{delta} = CASE WHEN {changed(name)} THEN NULL ELSE {delta} END"
        for name, delta in zip(tracked.counters, tracked.delta_names, strict=True)
    ]
    empty = [f"{mask} = 0" for mask in tracked.mask_names]
    empty += [f"{delta} IS NULL" for delta in tracked.delta_names]
    no_insert = f"SELECT 1 FROM {pieces.capture} WHERE {pieces.unsent('NEW', 'insert')}"
    return [
        NEXT_ENTRY,
        _insert_update(pieces, f" AND NOT EXISTS ({no_insert})"),
        f"UPDATE {pieces.capture} SET {', '.join(moved)} WHERE {of_row} AND entry < {ENTRY}",
        f"DELETE FROM {pieces.capture} WHERE {of_row} AND {' AND '.join(empty)}",
    ]


def _insert_update(pieces: Pieces, condition: str) -> str:
    """The entry of an update; its deltas stand in a subquery since the mask depends on them."""
    tracked = pieces.tracked
    columns = [*tracked.key_names, *tracked.mask_names, *tracked.delta_names]
    values = [pieces.key_of("NEW"), *(_mask(tracked, word) for word in range(tracked.words))]
    source = "_sync_clock"
    if tracked.counters:
        deltas = zip(tracked.counters, tracked.delta_names, strict=True)
        summed = [f"{_delta(pieces, name)} AS {delta}" for name, delta in deltas]
        source += f", (SELECT {', '.join(summed)}) AS new_delta"
        values += [
            f"CASE WHEN {changed(name)} AND typeof(new_delta.{delta}) = 'integer' THEN new_delta.{delta} END"
            for name, delta in zip(tracked.counters, tracked.delta_names, strict=True)
        ]
    return (
        f"INSERT INTO {pieces.capture} (entry, kind, hlc, {', '.join(columns)})"
        f" SELECT entry, 'update', hlc, {', '.join(values)} FROM {source} WHERE id = 1{condition}"
    )


def _mask(tracked: Tracked, word: int) -> str:
    """The columns of one mask word that changed; of the counters those whose change is no delta."""
    terms = []
    for name in tracked.info.value_names:
        at, bit = mask_bit(tracked.column_ids[name])
        if at != word:
            continue
        condition = changed(name)
        if name in tracked.counters:
            condition = (
                f"({condition} AND typeof(new_delta.d{tracked.column_ids[name]}) <> 'integer')"
            )
        terms.append(f"({condition} << {bit.bit_length() - 1})")
    return any_of(terms, operator=" | ")


def _delta(pieces: Pieces, name: str) -> str:
    """The sum of the unsent delta of a counter and this change, or NULL.

    Then the value itself is to travel.

    It is NULL unless both values are integers, and where an older unsent entry sends the value
    itself; and it is a real number, which is no delta either, where 64 bits do not suffice.
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
