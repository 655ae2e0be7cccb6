"""
Checks the three files of the demonstration, in a process of its own and without syncauth's code.

The files are opened read-only. The check fails unless every file holds exactly the rows that
`story.expected` computes from the package's data and the listed edits.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from pathlib import Path
from typing import Final

from syncauth.demo import story

ROWS_MIN: Final = 28_000
SHOWN_MAX: Final = 5


def read(path: Path) -> dict[str, story.Row]:
    """Return all airports of a file."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        columns = ", ".join(story.COLUMNS)
        rows = connection.execute(f"SELECT {columns} FROM airports").fetchall()
    finally:
        connection.close()
    return {row[0]: row for row in rows}


def identical(left: story.Row | None, right: story.Row | None) -> bool:
    """Compare two rows bit for bit: values and their types."""
    if left is None or right is None:
        return left is right
    return all(type(a) is type(b) and a == b for a, b in zip(left, right, strict=True))


def faults(name: str, rows: dict[str, story.Row], truth: dict[str, story.Row]) -> list[str]:
    """Return what is wrong with one file."""
    found = [] if len(rows) >= ROWS_MIN else [f"{name}: only {len(rows)} rows"]
    wrong = [
        icao
        for icao in sorted(truth.keys() | rows.keys())
        if not identical(rows.get(icao), truth.get(icao))
    ]
    found += [
        f"{name}: {icao} is {rows.get(icao)}, not {truth.get(icao)}" for icao in wrong[:SHOWN_MAX]
    ]
    if len(wrong) > SHOWN_MAX:
        found.append(f"{name}: {len(wrong) - SHOWN_MAX} further rows differ")
    return found


def survivals(name: str, rows: dict[str, story.Row]) -> list[str]:
    """Return where concurrent edits of different columns did not both survive."""
    shared = [row[0] for row in story.airports()[: story.SHARED]]
    edits = {
        (step.place, step.column): step.value
        for step in story.STEPS
        if isinstance(step, story.Edit)
    }
    found = []
    for place, one, other in story.concurrent_pairs():
        row = dict(zip(story.COLUMNS, rows[shared[place]], strict=True))
        found += [
            f"{name}: the edit of {column} of {shared[place]} was lost"
            for column in (one, other)
            if row[column] != edits[place, column]
        ]
    return found


def main() -> int:
    """Check the files and say what was found."""
    parser = argparse.ArgumentParser(description="Check the files of the demonstration.")
    parser.add_argument("files", nargs=3, type=Path, metavar="FILE")
    files = parser.parse_args().files
    truth = story.expected()
    found: list[str] = []
    for path in files:
        rows = read(path)
        found += faults(path.name, rows, truth) or survivals(path.name, rows)
    for line in found:
        sys.stdout.write(f"  WRONG  {line}\n")
    if not found:
        sys.stdout.write(
            f"  {len(files)} files hold the same {len(truth)} rows, each as expected\n"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
