"""The values of the wire: one fixture for each way in which a value of SQLite travels."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from syncauth.rows.values import RawText, decode_rows, encode_rows
from syncauth.sansio.messages import Section, decode_sections, encode_sections

FOLDER = Path(__file__).parents[3] / "fixtures" / "wire" / "v1" / "values"
FIXTURES = sorted(FOLDER.glob("*.json"))


def value_of(sqlite: dict[str, Any]) -> Any:
    """Return the value that SQLite holds, as Python has it: text and blob stand in hexadecimal."""
    text = sqlite["value"]
    match sqlite["type"]:
        case "null":
            return None
        case "integer":
            return int(text)
        case "real":
            return float(text) if text.endswith("inf") else float.fromhex(text)
        case "blob":
            return bytes.fromhex(text)
    data = bytes.fromhex(text)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return RawText(data)


def wire_of(value: Any) -> bytes:
    """Send a value in a row and return its bytes on the wire."""
    rows = [list(row) for row in encode_rows([(value,)])]
    frame = encode_sections([Section("t", "row", rows)])
    return frame.partition(b'"rows":[[')[2].removesuffix(b"]]}]")


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_value_is_sent_as_the_fixture_says(path: Path) -> None:
    """A value has exactly one form on the wire."""
    fixture = json.loads(path.read_text(encoding="utf-8"))

    assert wire_of(value_of(fixture["sqlite"])) == fixture["wire"].encode()


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_value_is_received_as_the_fixture_says(path: Path) -> None:
    """A value arrives with its type, and bit for bit."""
    fixture = json.loads(path.read_text(encoding="utf-8"))
    expected = value_of(fixture["sqlite"])

    sections = decode_sections(
        b'[{"table":"t","kind":"row","rows":[[%s]]}]' % fixture["wire"].encode()
    )
    received = decode_rows(sections[0].rows, 1)[0][0]

    assert type(received) is type(expected)
    assert received == expected
    if isinstance(expected, float):
        assert math.copysign(1, received) == math.copysign(1, expected)


def test_plain_infinity_would_have_been_lost() -> None:
    """The tags are needed: the encoder by itself writes null for an infinity."""
    assert msgspec.json.encode([math.inf]) == b"[null]"
