"""
Who holds a lock: found without waiting, with the process where the system tells it.

On Linux `/proc/locks` names the process of every lock that this one may see (proc(5)); where it does not, or says
nothing, the lock is tried for an instant. For programs that only look, such as `syncauth doctor`. This module must
never keep a lock.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncauth.adapters.locks import is_held

_PROC_LOCKS: Final = Path("/proc/locks")
_FIELDS: Final = 6


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever holds a lock; `pid` is None where the system does not tell."""

    pid: int | None = None


def holder_of(lock_file: str) -> Holder | None:
    """Return who holds the lock, None if nobody does.

    Raises:
        StorageError: it cannot be tried.
    """
    pid = _pid_of(lock_file)
    if pid is not None:
        return Holder(pid)
    return Holder() if is_held(lock_file) else None


def _pid_of(lock_file: str) -> int | None:
    try:
        found = Path(lock_file).stat()
        lines = _PROC_LOCKS.read_text("ascii").splitlines()
    except (OSError, UnicodeError):
        return None
    return read_pid(lines, os.major(found.st_dev), os.minor(found.st_dev), found.st_ino)


def read_pid(lines: list[str], major: int, minor: int, inode: int) -> int | None:
    """Return the process that `/proc/locks` names for a file that is locked as a whole.

    A line is `1: FLOCK ADVISORY WRITE 1234 08:01:5678 0 EOF`: device in hexadecimal, inode in decimal. Lines that wait
    for a lock begin with `->`, and a process that cannot be seen from here has the number 0.
    """
    place = f"{major:02x}:{minor:02x}:{inode}"
    for line in lines:
        fields = line.split()[1:]
        if len(fields) >= _FIELDS and fields[0] == "FLOCK" and fields[4] == place:
            pid = int(fields[3])
            return pid if pid > 0 else None
    return None
