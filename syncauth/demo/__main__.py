"""
`python -m syncauth.demo`: tell the story, then have the files checked by another process.

Exits with 0 only if the check finds every row in all three files as it must be. `--sabotage` alters
one cell before the check, to show that it would be found.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from syncauth.demo.tell import Story, say


def sabotage(path: Path) -> None:
    """Alter one cell of the server's file."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE airports SET lat = lat + 1e-9 WHERE icao = 'EDDF'")


def main() -> int:
    """Run the demonstration; returns the exit code."""
    parser = argparse.ArgumentParser(description="Two devices, one server, one login that ends.")
    parser.add_argument("--sabotage", action="store_true", help="alter one cell before the check")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="syncauth-demo-") as directory:
        told = Story(Path(directory))
        asyncio.run(told.tell())
        if arguments.sabotage:
            say("", "one cell of the server's file is altered")
            sabotage(told.files[0])
        say("", "another process opens the three files read-only and compares every cell")
        command = [sys.executable, "-m", "syncauth.demo.verify", *map(str, told.files)]
        return subprocess.run(command, check=False).returncode  # noqa: S603 - our own module


if __name__ == "__main__":
    sys.exit(main())
