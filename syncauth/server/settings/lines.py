"""
In which line of a TOML file a setting stands.

`tomllib` tells no positions, and neither do the libraries that keep comments, so the headers and keys of a document
that `tomllib` has accepted are looked for here. Values are only passed over. This module must never judge a document.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Final

_BASIC: Final = r'"(?:[^"\\\n]|\\.)*"'
_LITERAL: Final = r"'[^'\n]*'"
_PART: Final = re.compile(rf"[ \t]*({_BASIC}|{_LITERAL}|[A-Za-z0-9_-]+)[ \t]*(\.?)")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_VALUE: Final = re.compile(
    "|".join(
        (
            r'"""(?:[^\\]|\\.)*?"{3,5}',  # up to two quotation marks may stand before the closing three
            r"'''.*?'{3,5}",
            _BASIC,
            _LITERAL,
            r"#[^\n]*",
            r"(?P<open>[\[{])",
            r"(?P<close>[\]}])",
            r"(?P<end>\n)",
            r"""[^"'#\[\]{}\n]+""",
        )
    ),
    re.DOTALL,
)
_SYNTAX: Final = re.compile(r"\(at line (\d+), column \d+\)$")


def lines_of(text: str) -> Mapping[str, int]:
    """Return the line, from 1, of each header and key of a valid document, by its name with dots.

    Of what stands there several times, such as `[[x]]`, the first counts. What stands within a value, such as an
    inline table, has no line of its own.
    """
    found: dict[str, int] = {}
    table: tuple[str, ...] = ()
    place = _after(_BLANK, text, 0)
    while place < len(text):
        line = text.count("\n", 0, place) + 1
        brackets = 2 if text.startswith("[[", place) else int(text.startswith("[", place))
        key, after = _key(text, place + brackets)
        if not key:
            break  # not a document that tomllib accepts
        if brackets:
            table = key
        name = table if brackets else (*table, *key)
        for length in range(len(table) if not brackets else 0, len(name)):
            found.setdefault(".".join(name[: length + 1]), line)
        place = _after(_BLANK, text, after + brackets if brackets else _value_end(text, after + 1))
    return found


def line_of(setting: str, lines: Mapping[str, int]) -> int | None:
    """Return the line of a setting, or of the innermost table around it that has one."""
    while setting:
        if setting in lines:
            return lines[setting]
        setting = setting.rpartition(".")[0]
    return None


def line_of_syntax(error: ValueError, text: str) -> int | None:
    """Return the line that `tomllib` names in a refusal of the text; the last one for its end."""
    told = _SYNTAX.search(str(error))
    if told is not None:
        return int(told[1])
    return text.rstrip().count("\n") + 1 if str(error).endswith("(at end of document)") else None


def _after(pattern: re.Pattern[str], text: str, place: int) -> int:
    found = pattern.match(text, place)
    return place if found is None else found.end()


def _key(text: str, place: int) -> tuple[tuple[str, ...], int]:
    parts: list[str] = []
    while (part := _PART.match(text, place)) is not None:
        quoted = part[1][0] in "\"'"
        parts.append(tomllib.loads(f"key = {part[1]}")["key"] if quoted else part[1])
        place = part.end()
        if not part[2]:
            break
    return tuple(parts), place


def _value_end(text: str, place: int) -> int:
    depth = 0
    while (token := _VALUE.match(text, place)) is not None:
        depth += (token["open"] is not None) - (token["close"] is not None)
        place = token.end()
        if token["end"] is not None and depth == 0:
            break
    return place
