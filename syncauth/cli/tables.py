"""
Text for people and JSON for programs: tables, pairs, times.

What comes from files and servers is shown without control characters, which could drive a terminal. This module must
never read anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

NOTHING: Final = "-"
_GAP: Final = "  "
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


def clean(text: str) -> str:
    """Return a text with everything escaped that is no printable sign."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def cell(value: Any) -> str:
    """Return what a table shows for a value; nothing is a dash."""
    if value is None or value == "":
        return NOTHING
    if value is True or value is False:
        return "yes" if value else "no"
    return clean(str(value))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> str:
    """Return lines of columns under their names; `empty` if there are no rows."""
    shown = [[cell(value) for value in row] for row in rows]
    if not shown:
        return empty
    lines = [[name.upper() for name in columns], *shown]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return "\n".join(
        _GAP.join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def pairs(values: Iterable[tuple[str, Any]]) -> str:
    """Return one line for each name and its value."""
    shown = [(name, cell(value)) for name, value in values]
    width = max(len(name) for name, _ in shown)
    return "\n".join(f"{name.ljust(width)}{_GAP}{value}" for name, value in shown)


def moment(at: float | None) -> str | None:
    """Return a wall clock as ISO 8601 in UTC, to the second; None for none, or one beyond the calendar."""
    if at is None:
        return None
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None


def span(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    left = round(abs(seconds))
    if left < _MINUTE:
        return f"{left} s"
    if left < _HOUR:
        return f"{left // _MINUTE} min {left % _MINUTE} s"
    if left < _DAY:
        return f"{left // _HOUR} h {left % _HOUR // _MINUTE} min"
    return f"{left // _DAY} d {left % _DAY // _HOUR} h"


def as_json(document: Any) -> str:
    """Return one JSON document of ASCII, indented."""
    return json.dumps(document, indent=2)
