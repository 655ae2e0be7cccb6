"""
Whether the columns of a served table hold values as they are.

SQLite converts a value that meets a column of another affinity: the text '007' becomes 7 in an INTEGER column. A
store that cannot hold a value refuses it and never alters it. This module must never convert anything itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from operator import itemgetter
from typing import Any, Final

from syncauth.rows.values import RawText
from syncauth.server.stores.batch import Group

_NUMBER: Final = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_ALWAYS_HELD: Final[dict[str, frozenset[type]]] = {
    "INTEGER": frozenset({int, bytes, type(None)}),
    "NUMERIC": frozenset({int, bytes, type(None)}),
    "REAL": frozenset({float, bytes, type(None)}),
    "TEXT": frozenset({str, RawText, bytes, type(None)}),
    "BLOB": frozenset({int, float, str, RawText, bytes, type(None)}),
}


def held_unaltered(group: Group) -> bool:
    """Tell whether all values of a group are certain to be kept as they are; False where one may not be."""
    table, width = group.table, group.table.width
    columns = [*enumerate(table.key), *enumerate(group.columns, width + 3)]
    if group.kind == "delete":
        columns = columns[:width]
    return all(
        _held(table.affinities[name], map(itemgetter(place), group.rows)) for place, name in columns
    )


def is_held(affinity: str, value: Any) -> bool:
    """Tell the same of one value; `rowstate` asks SQLite itself about one that may not be."""
    return _held(affinity, (value,))


def _held(affinity: str, values: Iterable[Any]) -> bool:
    values = list(values)
    doubtful = set(map(type, values)) - _ALWAYS_HELD[affinity]
    return not doubtful or all(_stays(affinity, v) for v in values if type(v) in doubtful)


def _stays(affinity: str, value: Any) -> bool:
    """Judge a value of a type that its column may convert: texts that look like numbers, and numbers."""
    if type(value) is str:
        return _NUMBER.fullmatch(value) is None
    if type(value) is RawText:
        return True  # no number has such bytes
    return affinity in ("INTEGER", "NUMERIC") and type(value) is float and not value.is_integer()
