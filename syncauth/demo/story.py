"""
What happens in the demonstration, as data, and what the tables must hold in the end.

The expectation is computed from the package's airports and the edits listed here, with plain
dictionaries: it knows nothing of syncauth. Edits are listed in the order in which they are made, so
the last one of a column wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import airportsdata

COLUMNS: Final = (
    "icao",
    "iata",
    "name",
    "city",
    "subd",
    "country",
    "elevation",
    "lat",
    "lon",
    "tz",
    "lid",
)
CREATE: Final = """
CREATE TABLE IF NOT EXISTS airports (
    icao TEXT NOT NULL PRIMARY KEY,
    iata TEXT, name TEXT, city TEXT, subd TEXT, country TEXT,
    elevation REAL, lat REAL, lon REAL, tz TEXT, lid TEXT
);
"""
SERVER_SCHEMA: Final = """
CREATE TABLE airports (
    owner TEXT NOT NULL,
    icao TEXT NOT NULL,
    iata TEXT, name TEXT, city TEXT, subd TEXT, country TEXT,
    elevation REAL, lat REAL, lon REAL, tz TEXT, lid TEXT,
    PRIMARY KEY (owner, icao)
);
"""
SHARED: Final = 40
"""How many airports both devices have before the login runs out."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """One device writes one column of the airport at a place in the shared list."""

    device: str
    place: int
    column: str
    value: Any


@dataclass(frozen=True, slots=True)
class Deletion:
    """One device deletes the airport at a place in the shared list."""

    device: str
    place: int


STEPS: Final[tuple[Edit | Deletion, ...]] = (
    # Different columns of one row: both survive.
    Edit("tablet", 0, "name", "Tablet's name"),
    Edit("laptop", 0, "city", "Laptop's city"),
    Edit("laptop", 1, "elevation", 1234.5),
    Edit("tablet", 1, "tz", "Etc/UTC"),
    # The same column: the later one wins, whichever device is offline.
    Edit("tablet", 2, "name", "first, from the tablet"),
    Edit("laptop", 2, "name", "second, from the laptop"),
    Edit("laptop", 3, "name", "first, from the laptop"),
    Edit("tablet", 3, "name", "second, from the tablet"),
    # Values that are easily lost: empty, null, Unicode, a double that prints badly.
    Edit("laptop", 4, "iata", ""),
    Edit("laptop", 4, "lid", None),
    Edit("laptop", 5, "name", "Þórshöfn \u2708 \U0001f6ec \u202eabc"),
    Edit("tablet", 5, "lat", 0.1 + 0.2),
    # Deletions, one of them of a row that the other device edits.
    Deletion("laptop", 6),
    Deletion("tablet", 7),
    Edit("tablet", 8, "name", "edited, but deleted elsewhere"),
    Deletion("laptop", 8),
)


def airports() -> list[Row]:
    """Return every airport of the package, in its order."""
    table = airportsdata.load("ICAO")
    return [tuple(row[column] for column in COLUMNS) for row in table.values()]


def expected() -> dict[str, Row]:
    """Return what every file must hold in the end, by airport."""
    rows = airports()
    table = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows}
    shared = [row[0] for row in rows[:SHARED]]
    deleted = {shared[step.place] for step in STEPS if isinstance(step, Deletion)}
    for step in STEPS:
        if isinstance(step, Edit):
            table[shared[step.place]][step.column] = step.value
    return {
        icao: tuple(row[column] for column in COLUMNS)
        for icao, row in table.items()
        if icao not in deleted
    }


def concurrent_pairs() -> Iterable[tuple[int, str, str]]:
    """Yield the rows of which both devices edited different columns: place and the two columns."""
    yield 0, "name", "city"
    yield 1, "elevation", "tz"
