"""
The little SQL text that must be read because no pragma tells it.

That is quoting, collations and the conditions of partial indexes.

Reads statements that SQLite itself has accepted and stored, so it need not judge them. It must
never be used to build SQL out of values.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(
    r"""
      --[^\n]*                      # a comment to the end of the line
    | /\*.*?(?:\*/|\Z)              # a comment between marks
    | \s+
    | '(?:[^']|'')*'                # a text
    | "(?:[^"]|"")*"                # a name, in the three ways of quoting
    | `(?:[^`]|``)*`
    | \[[^\]]*\]
    | \w+
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


def quote(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def affinity(declared: str, *, strict: bool = False) -> str:
    """Return the affinity of a column, one of INTEGER, TEXT, BLOB, REAL and NUMERIC.

    The rules of https://www.sqlite.org/datatype3.html section 3.1, in their order. A STRICT table
    knows its types by name, and ANY there leaves every value as it is, as BLOB does elsewhere.
    """
    word = declared.upper()
    if strict and word == "ANY":
        return "BLOB"
    if "INT" in word:
        return "INTEGER"
    if any(part in word for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in word or not word:
        return "BLOB"
    if any(part in word for part in ("REAL", "FLOA", "DOUB")):
        return "REAL"
    return "NUMERIC"


def declared_collations(create_table: str) -> dict[str, str]:
    """Return the collation of each column whose definition names one, both names as written."""
    found = {}
    for definition in _split(create_table):
        words = [text for text, depth in definition if depth == 1]
        for word, following in itertools.pairwise(words):
            if word.upper() == "COLLATE":
                found[_unquoted(words[0])] = _unquoted(following)
    return found


def index_condition(create_index: str) -> str | None:
    """Return the text after WHERE of a partial index, or None where there is none."""
    for start, text, depth in _tokens(create_index):
        if depth == 0 and text.upper() == "WHERE":
            return create_index[start + len(text) :].strip()
    return None


def _tokens(sql: str) -> Iterator[tuple[int, str, int]]:
    """Yield position, text and depth in parentheses of every token that is no space or comment."""
    depth = 0
    for match in _TOKEN.finditer(sql):
        text = match.group()
        if text.isspace() or text.startswith(("--", "/*")):
            continue
        if text == ")":
            depth -= 1
        yield match.start(), text, depth
        if text == "(":
            depth += 1


def _split(create_table: str) -> list[list[tuple[str, int]]]:
    """Return the definitions between the outer parentheses of CREATE TABLE, as tokens."""
    definitions: list[list[tuple[str, int]]] = [[]]
    for _, text, depth in _tokens(create_table):
        if depth == 0:
            continue
        if depth == 1 and text == ",":
            definitions.append([])
        else:
            definitions[-1].append((text, depth))
    return definitions


def _unquoted(text: str) -> str:
    if text[0] == "[":
        return text[1:-1]
    if text[0] in "\"'`":
        mark = text[0]
        return text[1:-1].replace(mark * 2, mark)
    return text
