"""
What `syncauth server doctor` looks at, and what it finds.

A finding has the exit code that it would end the command with; 0 is a note. This module must never change anything.
"""

from __future__ import annotations

import http.client
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from syncauth.adapters.locks_holders import Holder, holder_of
from syncauth.cli import readonly
from syncauth.cli.doctor import Finding
from syncauth.cli.exits import Exit, code_of, gravest
from syncauth.cli.tables import moment, span
from syncauth.config import check_server
from syncauth.errors import InvalidConfig, StorageError, SyncAuthError
from syncauth.server.settings.config import ServerConfig, read_config
from syncauth.server.stores.sqlite import DATABASE, FORMAT
from syncauth.server.upkeep import copies, restore
from syncauth.server.upkeep.backup import LastBackup, last_backup
from syncauth.server.upkeep.examine import FileSeen, examine as examine_file
from syncauth.server.upkeep.holding import LOCK_FILE

LARGE_LOG: Final = 256_000_000
"""Bytes; the server writes its log back at 16 MB, unless somebody reads for a long time."""

OLD_BACKUP: Final = 7 * 24 * 3600.0
CLOCK_SECONDS: Final = 60.0
HEALTH_SECONDS: Final = 10.0
NAMED: Final = 5
"""So many faults of one kind are named."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(slots=True)
class Examination:
    """What was looked at; `now` is this machine's wall clock, `healthy` None if nobody asked."""

    data: Path
    config: Path
    now: float
    file: FileSeen | None = None
    holder: Holder | None = None
    backup: LastBackup | None = None
    server: str | None = None
    healthy: bool | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def exit_code(self) -> Exit:
        """The code of the gravest finding."""
        return gravest([each.exit_code for each in self.findings])

    def note(self, code: str, what: str, remedy: str = "", grave: Exit = Exit.OK) -> None:
        """Add a finding."""
        self.findings.append(Finding(code, grave, what, remedy))

    def trouble(self, code: str, error: SyncAuthError) -> None:
        """Add a finding that is an error."""
        what = f"{error.what}: {error.why}" if error.why else error.what
        self.note(code, what, error.remedy, code_of(error))


def examine(data: Path, config: Path, now: float) -> Examination:
    """Look at everything that stands on the disk; `now` is wall-clock seconds.

    Raises:
        StorageError: there is no such data directory.
    """
    if not data.is_dir():
        what, remedy = "there is no such data directory", "Name the one of `syncauth serve`"
        raise StorageError(what, path=str(data), remedy=remedy)
    found = Examination(data, config, now)
    schema = _look_at_config(found)
    _look_at_permissions(found)
    _look_at_lock(found)
    _look_at_file(found, schema)
    if found.file is not None:
        judge_file(found, found.file)
    _judge_backups(found)
    return found


def ask_health(found: Examination, server: str) -> None:
    """Ask the server's `/healthz`; one that does not answer well is a finding.

    Raises:
        InvalidConfig, InsecureServer: the URL cannot be used; nothing was sent.
    """
    check_server(server)
    found.server, parts = server, urlsplit(server)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=HEALTH_SECONDS)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/healthz")
        status: int | None = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        status = None
    finally:
        connection.close()
    found.healthy = status == http.client.OK
    if status is None:
        what = f"nobody answers at {server}"
        found.note("server_unreachable", what, "Start the server", Exit.UNREACHABLE)
    elif not found.healthy:
        what = f"the server answers its health with {status}"
        found.note("server_unhealthy", what, "Look into its log", Exit.UNREACHABLE)


def _look_at_config(found: Examination) -> str | None:
    """Read the configuration; returns the text of the schema file."""
    try:
        config: ServerConfig = read_config(found.config)
    except InvalidConfig as error:
        found.trouble("config_unusable", error)
        return None
    try:
        return config.schema.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"the schema file {config.schema} cannot be read: {error}"
        found.note("schema_unusable", what, "Correct server.schema", Exit.USAGE)
        return None


def _look_at_permissions(found: Examination) -> None:
    """What signs tokens, and what has password hashes, is for the server alone."""
    for path in (found.data, *sorted(found.data.glob("*key*.json"))):
        mode = path.stat().st_mode
        if mode & _OTHERS and path != found.data:
            what = f"others can read the key {path}"
            remedy = f"chmod 600 {path}, and rotate the key if it may have been read"
            found.note("key_open", what, remedy, Exit.STORAGE)
        elif mode & _OTHERS:
            what = f"others can look into the data directory {path}"
            found.note("data_open", what, f"chmod 700 {path}", Exit.PERSON)


def _look_at_lock(found: Examination) -> None:
    try:
        found.holder = holder_of(str(found.data / LOCK_FILE))
    except StorageError as error:
        found.trouble("lock_unreadable", error)
    if restore.is_unfinished(found.data):
        found.trouble("restore_unfinished", restore.unfinished(found.data))


def _look_at_file(found: Examination, schema: str | None) -> None:
    path = found.data / DATABASE
    if not path.exists():
        found.note("file_missing", f"{path} is not there", "The server makes it at its first start")
        return
    try:
        found.file = _read(path, schema, found.now)
    except InvalidConfig as error:
        found.trouble("schema_unusable", error)
        found.file = _read(path, None, found.now)
    except StorageError as error:
        found.trouble("file_unreadable", error)


def _read(path: Path, schema: str | None, now: float) -> FileSeen:
    """Read the server's file without leaving a trace."""
    with copies.told(path):
        return readonly.read(
            str(path), lambda connection, _: examine_file(connection, path, schema, now)
        )


def judge_file(found: Examination, file: FileSeen) -> None:
    """Find what is to be said of the server's file; of a damaged one nothing else can be."""
    if file.faults:
        what = f"{file.path} is damaged: {'; '.join(file.faults)}"
        found.note("file_damaged", what, "Keep a copy, and restore a backup", Exit.STORAGE)
    else:
        _judge_contents(found, file)
    _judge_room(found, file)


def _judge_contents(found: Examination, file: FileSeen) -> None:
    if file.format is not None and file.format < FORMAT:
        what = f"{file.path} has format {file.format}; the next start brings it to {FORMAT}"
        found.note("format_older", what, "Make a backup before")
    if file.is_backup:
        what = f"{file.path} is a backup that was put in place by hand: it is not served"
        remedy = "Move it away, and have `syncauth server restore` put it back"
        found.note("never_restored", what, remedy, Exit.STORAGE)
    if file.orphans:
        told = ", ".join(f"{count} in {name}" for name, count in file.orphans.items())
        what = f"rows refer to others that are not there: {told}"
        found.note("orphans", what, "Correct them, or the foreign keys", Exit.PERSON)
    if file.missing:
        more = len(file.missing) - NAMED
        told = "; ".join(file.missing[:NAMED]) + (f"; and {more} more" if more > 0 else "")
        remedy = "Tables that exist are not altered at the start: alter them by hand"
        found.note(
            "schema_differs", f"the file and the schema file differ: {told}", remedy, Exit.PERSON
        )
    if file.unswept:
        what = f"{file.unswept} sessions that ended by time more than a day ago are still there"
        found.note("sessions_unswept", what, "Logins sweep them away, a hundred each time")
    if file.newest is not None and file.newest > found.now + CLOCK_SECONDS:
        what = f"the file knows of {moment(file.newest)}, this clock shows {moment(found.now)}"
        found.note("clock_behind", what, "Set this machine's clock", Exit.PERSON)


def _judge_room(found: Examination, file: FileSeen) -> None:
    if file.log > LARGE_LOG:
        what = f"the log beside {file.path} has {file.log // 1_000_000} MB"
        found.note("log_large", what, "End programs that read the file for long", Exit.PERSON)
    if file.free < 2 * (file.size + file.log):
        what = f"the disk has {file.free // 1_000_000} MB left, less than twice what the file needs"
        found.note("disk_low", what, "Free some space", Exit.STORAGE)


def _judge_backups(found: Examination) -> None:
    found.backup = last_backup(found.data)
    if found.backup is None:
        what, remedy = "no backup of this directory is known", "Make one: syncauth server backup"
        found.note("backup_unknown", what, remedy)
    elif found.now - found.backup.at > OLD_BACKUP:
        what = f"the last backup, {found.backup.file}, was made {span(found.now - found.backup.at)} ago"
        found.note("backup_old", what, "Make one: syncauth server backup", Exit.PERSON)
    kept = sorted(found.data.glob(f"{restore.REPLACED}*"))
    if kept:
        size = sum(each.stat().st_size for each in kept) // 1_000_000
        what = f"{len(kept)} files that restores have replaced take {size} MB in {found.data}"
        found.note("replaced_kept", what, "Move them away when nobody needs them any more")
