"""What people and programs are shown: aligned, dated, and harmless to a terminal."""

from __future__ import annotations

import json
import math

import pytest

from syncauth.cli.tables import as_json, cell, clean, moment, pairs, span, table


def test_columns_are_aligned() -> None:
    """Every column is as wide as its widest cell, and no line ends with blanks."""
    text = table(("a", "long name"), [("wide cell", 1), ("x", None)], empty="")

    assert text.splitlines() == ["A          LONG NAME", "wide cell  1", "x          -"]


def test_no_rows_are_said_so() -> None:
    """Without rows there is a sentence, not a lonely heading."""
    assert table(("a",), [], empty="Nobody.") == "Nobody."


def test_pairs_are_aligned() -> None:
    """Values begin in one column."""
    assert pairs([("a", 1), ("long", True)]) == "a     1\nlong  yes"


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\x00", "\u202e", "\x7f", "\ud800"])
def test_nothing_drives_the_terminal(text: str) -> None:
    """Control characters, line ends, marks of direction and lone surrogates are shown as escapes."""
    assert clean(text).isprintable()
    assert cell(text).encode()
    assert json.loads(as_json(text)) == text


@pytest.mark.parametrize("at", [None, math.inf, -math.inf, math.nan, 1e300])
def test_times_that_are_none(at: float | None) -> None:
    """What no calendar has is no time, and no error."""
    assert moment(at) is None


def test_times_are_utc() -> None:
    """A wall clock is shown in UTC, to the second."""
    assert moment(1_700_000_000.9) == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (-59, "59 s"),
        (61, "1 min 1 s"),
        (7260, "2 h 1 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    """A length of time is told in its two largest units."""
    assert span(seconds) == text
