"""
A backup takes the place of a server's file, whole or not at all, and nothing is deleted.

First the new file is made beside the old one, complete: checked, with a new history (`stores.histories`), with its
sessions ended. Giving it the name `server.db.restored-…` decides: from then on the restore is carried to its end by
this process, by the next start of a server, or by the next restore. Until then the old file is the server's. Its log
goes aside with it before the new file gets its name, so that no log is ever applied to the wrong file. This module
must never touch the directory while a server has it open.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from syncauth.errors import FileCorrupt, FileInUse
from syncauth.server.stores import histories, rows_schema
from syncauth.server.stores.sqlite import BACKED_UP_AT, DATABASE
from syncauth.server.upkeep import copies
from syncauth.server.upkeep.holding import Held, hold_alone, share

DRAFT: Final = f"{DATABASE}.restoring"
DECIDED: Final = f"{DATABASE}.restored-"
REPLACED: Final = f"{DATABASE}.replaced-"

_LOGS: Final = ("-wal", "-journal")
"""What SQLite would apply to the file of that name; a journal is there while a file comes to WAL mode or leaves it."""

TRIES: Final = 250
LAST_TRIES: Final = 5
PAUSE_SECONDS: Final = 0.02
"""How often, and with which pauses, a start looks whether another one has carried a restore to its end: so often while
it is not at its end, and a few times more."""

_INDEX: Final = "-shm"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore has done.

    `replaced` is where the old file lies now, None if there was none; `backed_up_at` when the backup was made
    (wall-clock seconds; None if it does not say); `sessions_ended` how many were active in it and have been ended.
    """

    replaced: Path | None
    backed_up_at: float | None
    sessions_ended: int


@dataclass(frozen=True, slots=True)
class _Prepared:
    backed_up_at: float | None
    sessions_ended: int


def restore(
    data_dir: Path, source: Path, *, history: str, now: float, keep_fixed_sessions: bool = False
) -> Restored:
    """Put the backup `source` in place of the server's file; `now` is wall-clock seconds.

    `history` is the random id of the history that begins. All sessions are ended: one that ended after the backup
    would be good again, and a refresh token that was renewed since would look stolen. With `keep_fixed_sessions`
    those that do not rotate their token go on.

    Raises:
        FileInUse: a server has the directory open, or another program the file; nothing was changed.
        FileCorrupt, FileNotOurs, FileTooNew: the backup cannot be used; nothing was changed.
        StorageError: the disk is full or not writable; either nothing was changed, or `finish` carries it on.
    """
    if not source.exists():
        raise copies.missing(source)
    with copies.told(data_dir):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with hold_alone(data_dir):
        finish(data_dir)
        draft, stamp = data_dir / DRAFT, _free_stamp(data_dir, now)
        try:
            prepared = _prepare(source, draft, history, now, keep_fixed=keep_fixed_sessions)
            with copies.told(data_dir):
                _check_links(draft)
                _settle(data_dir / DATABASE)
                draft.replace(data_dir / f"{DECIDED}{stamp}")
                copies.sync(data_dir)
        finally:
            draft.unlink(missing_ok=True)
        finish(data_dir)
        replaced = data_dir / f"{REPLACED}{stamp}"
        return Restored(
            replaced if replaced.exists() else None,
            prepared.backed_up_at,
            prepared.sessions_ended,
        )


def is_unfinished(data_dir: Path) -> bool:
    """Tell whether a restore was decided and not carried to its end."""
    return bool(_decided(data_dir))


def unfinished(data_dir: Path) -> FileInUse:
    """Return the error for whoever cannot work with that."""
    return FileInUse(
        "a restore was interrupted",
        path=str(data_dir),
        why="it is decided, and not carried to its end",
        remedy="Start the server, or restore again: either finishes it",
    )


def enter(data_dir: Path) -> Held:
    """Have the directory open as a server, after a restore that was interrupted has been carried to its end.

    Several may start at once: whoever is not the one to finish waits for that, some seconds at most.

    Raises:
        FileInUse: it is being restored.
        StorageError: see `share` and `finish`.
    """
    left = TRIES
    while True:
        try:
            held = share(data_dir)
            if not is_unfinished(data_dir):
                return held
            held.release()
            with hold_alone(data_dir):
                finish(data_dir)
        except FileInUse:
            # What is left of a restore that is decided takes a moment, and a moment more to give the lock back. One
            # that is not decided may take long.
            left = left - 1 if is_unfinished(data_dir) else min(left - 1, LAST_TRIES)
            if left <= 0:
                raise
            time.sleep(PAUSE_SECONDS)


def finish(data_dir: Path) -> None:
    """Carry a restore that was decided to its end, if there is one; to be called with the directory held alone.

    Every step can be done again, so it does not matter where it was interrupted.

    Raises:
        StorageError: the disk does not let it; it can be called again.
    """
    for decided in _decided(data_dir):
        stamp = decided.name.removeprefix(DECIDED)
        old = data_dir / DATABASE
        with copies.told(old):
            for suffix in ("", *_LOGS):
                with contextlib.suppress(FileNotFoundError, FileExistsError):
                    os.link(f"{old}{suffix}", data_dir / f"{REPLACED}{stamp}{suffix}")
            copies.sync(data_dir)
            for suffix in (*_LOGS, _INDEX):  # logs have their other names, the index is made anew
                Path(f"{old}{suffix}").unlink(missing_ok=True)
            copies.sync(data_dir)
            decided.replace(old)
            copies.sync(data_dir)


def _decided(data_dir: Path) -> list[Path]:
    return sorted(data_dir.glob(f"{DECIDED}*"))


def _prepare(source: Path, draft: Path, history: str, now: float, *, keep_fixed: bool) -> _Prepared:
    """Make the file that is to be served, complete and durable, under another name."""
    with copies.told(draft):
        for suffix in ("", "-journal"):  # of a restore that was interrupted before it was decided
            Path(f"{draft}{suffix}").unlink(missing_ok=True)
    with copies.told(source), contextlib.closing(copies.open_reading(source)) as backup:
        copies.check(backup, source)
        copies.copy(backup, draft)
    with (
        copies.told(draft),
        contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection,
    ):
        copies.check(connection, draft)
        connection.execute("BEGIN IMMEDIATE")
        for statement in rows_schema.SCHEMA:  # the backup may be older than histories
            connection.execute(statement)
        histories.fork(connection, history, now)
        prepared = _Prepared(_take_mark(connection), _end_sessions(connection, now, keep_fixed))
        connection.execute("COMMIT")
    with copies.told(draft):
        copies.sync(draft)
    return prepared


def _take_mark(connection: sqlite3.Connection) -> float | None:
    """Take the mark of a backup away; returns what it said."""
    sql = "DELETE FROM _sync_meta WHERE key = ? RETURNING value"
    row = connection.execute(sql, (BACKED_UP_AT,)).fetchone()
    return None if row is None else float(row[0])


def _end_sessions(connection: sqlite3.Connection, now: float, keep_fixed: bool) -> int:  # noqa: FBT001
    """End the sessions, and forget what was sent by mail: a spent token would be good again."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    there = {name for (name,) in tables.fetchall()}
    if "_sync_email_tokens" in there:
        connection.execute("DELETE FROM _sync_email_tokens")
    if "_sync_sessions" not in there:
        return 0
    return connection.execute(
        "UPDATE _sync_sessions SET ended_at = ?1, end_reason = 'revoked'"
        " WHERE ended_at IS NULL AND expires_at > ?1 AND (rotates OR NOT ?2)",
        (now, keep_fixed),
    ).rowcount


def _check_links(draft: Path) -> None:
    """Raise OSError where there are no hard links: after the decision it would be too late."""
    link = Path(f"{draft}.link")
    link.unlink(missing_ok=True)
    os.link(draft, link)
    link.unlink()


def _settle(database: Path) -> None:
    """Have the old file's log written into it, and see that no other program has it open.

    One that is damaged keeps its log, which goes aside with it.
    """
    if not database.exists():
        return
    with (
        contextlib.suppress(FileCorrupt),
        copies.told(database),
        contextlib.closing(
            sqlite3.connect(database, timeout=1.0, isolation_level=None)
        ) as connection,
    ):
        connection.execute("PRAGMA journal_mode = DELETE")


def _free_stamp(data_dir: Path, now: float) -> str:
    """Return a text for the name of the replaced file: the time, and a number if that is taken."""
    base = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    number = 1
    while True:
        stamp = base if number == 1 else f"{base}-{number}"
        if not any(data_dir.glob(f"{REPLACED}{stamp}*")):
            return stamp
        number += 1
