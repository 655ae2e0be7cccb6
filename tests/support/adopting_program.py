"""A process that adopts the guest's rows for alice and is killed before a certain statement of it.

Called with the data directory and the number of the statement, counted over both files. Statements that only read are
not counted: before them the files are as after the statement before.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from syncauth.adapters.locks import hold_file
from syncauth.replica import schema
from tests.support.opened_file import ALICE, LIMIT, NoWatcher, Owner, open_notes

_left = 0


class _Mortal(sqlite3.Connection):
    """Ends the process, as kill -9 does, when its statements have been counted down."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        global _left  # noqa: PLW0603 - one count for both connections
        if not str(arguments[0]).startswith(("SELECT", "PRAGMA")):
            _left -= 1
            if _left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*arguments)


def main(where: str, statements: int) -> None:
    """Adopt, and count from the moment at which the user's file is open."""
    global _left  # noqa: PLW0603 - as above
    connect = sqlite3.connect

    def mortal(*arguments: Any, **named: Any) -> sqlite3.Connection:
        return connect(*arguments, **({"factory": _Mortal} | named))

    schema.sqlite3.connect = mortal  # type: ignore[assignment]
    opened = open_notes(Path(where), watch=NoWatcher)
    _left = statements
    guest = Owner(ALICE.server, ALICE.app, None)
    opened.adopt(where, guest, hold_file).result(LIMIT)
    _left = 0
    opened.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
