"""
SQLite rows to wire rows and back: every value survives bit for bit, or is refused.

On the wire null, integers, numbers and strings are JSON's own; a number always has a point or an
exponent. Everything else is tagged: {"b": base64} a blob, {"t": base64} a text that is not valid
UTF-8, {"f": "inf"} and {"f": "-inf"} the infinities. Columns are judged as a whole by the types
they hold, and only those that hold something to be tagged are looked at value by value: most rows
pass through as they are.

This module must never turn a value into SQL text, and never write null for a value that is not
null.
"""

from __future__ import annotations

import binascii
import contextlib
import itertools
import math
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from syncauth.errors import InvalidMessage

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1


class RawText(bytes):
    """The bytes of a TEXT value that is not valid UTF-8; plain `bytes` is a BLOB.

    As in SQLite, the text is another value than the blob of the same bytes, also as a key.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """Whether it is the same text."""
        return type(other) is RawText and bytes.__eq__(self, other)

    def __hash__(self) -> int:
        """Return a hash that fits equality."""
        return hash((RawText, bytes(self)))


def read_all(connection: sqlite3.Connection, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """Fetch all rows as tuples; see `read_portions`."""
    return [row for rows in read_portions(connection, sql, parameters) for row in rows]


def read_portions(
    connection: sqlite3.Connection,
    sql: str,
    parameters: Sequence[Any] = (),
    *,
    portion: int | None = None,
) -> Iterator[list[Any]]:
    """Fetch rows as tuples, at most `portion` at once.

    TEXT arrives as `str`, or as `RawText` where it is not valid UTF-8. For our own connections only:
    the text factory is changed for a moment. The statement must only read, since it is run once more
    where such a text is met; nothing that it reads may change between two portions.
    """
    done = 0
    for factory in (str, _text):
        cursor = connection.cursor()
        cursor.row_factory = None
        try:
            with _texts_as(connection, factory):
                cursor.execute(sql, parameters)
                for _ in itertools.islice(cursor, done):
                    pass
                rows = _fetch(cursor, portion)
            while rows:
                done += len(rows)
                yield rows
                with _texts_as(connection, factory):
                    rows = _fetch(cursor, portion)
        except sqlite3.OperationalError as error:
            if "decode to UTF-8" not in str(error):
                raise
        else:
            return


@contextlib.contextmanager
def _texts_as(connection: sqlite3.Connection, factory: Callable[[bytes], Any]) -> Iterator[None]:
    before = connection.text_factory
    connection.text_factory = factory
    try:
        yield
    finally:
        connection.text_factory = before


def _fetch(cursor: sqlite3.Cursor, portion: int | None) -> list[Any]:
    return cursor.fetchall() if portion is None else cursor.fetchmany(portion)


def encode_rows(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Return rows as read from SQLite in the form in which `messages.encode_sections` writes them.

    Raises:
        InvalidMessage: a value that no SQLite column holds (NaN, a bool, an integer beyond 64 bits,
            …).
    """
    return _by_column(rows, _encode_column)


def decode_rows(rows: Sequence[Sequence[Any]], width: int) -> list[Any]:
    """Return wire rows in the form in which `executemany` takes them.

    Texts that are no UTF-8 are `RawText`.

    Raises:
        InvalidMessage: a row has not `width` values, or a value is none of the protocol.
    """
    if not set(map(len, rows)) <= {width}:
        raise _invalid(f"a row has not the {width} values that its section announces")
    return _by_column(rows, _decode_column)


def split_raw(rows: Sequence[Sequence[Any]]) -> list[tuple[frozenset[int], list[Any]]]:
    """Group decoded rows by the positions that hold `RawText`; almost always one group without any.

    A group is written with `parameters(width, positions)`: only so does such a text become TEXT
    again.
    """
    positions = [
        place
        for place, column in enumerate(zip(*rows, strict=True))
        if RawText in map(type, column)
    ]
    if not positions:
        return [(frozenset(), list(rows))] if rows else []
    groups: dict[frozenset[int], list[Any]] = defaultdict(list)
    for row in rows:
        groups[frozenset(place for place in positions if type(row[place]) is RawText)].append(row)
    return list(groups.items())


def parameters(width: int, raw: Iterable[int] = ()) -> list[str]:
    """Return the SQL of each parameter of a row.

    `?`, or a cast at the positions that hold `RawText`.
    """
    cast = set(raw)
    return ["CAST(? AS TEXT)" if place in cast else "?" for place in range(width)]


def equal_to(names: Sequence[str], row: Sequence[Any]) -> str:
    """Return the condition that columns hold the values of a row, which are its parameters."""
    raw = {place for place, value in enumerate(row) if type(value) is RawText}
    marks = parameters(len(names), raw)
    return " AND ".join(f"{name} = {mark}" for name, mark in zip(names, marks, strict=True))


def _text(data: bytes) -> str | RawText:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return RawText(data)


def _by_column(
    rows: Sequence[Sequence[Any]], convert: Callable[[Sequence[Any]], Sequence[Any]]
) -> list[Any]:
    """Convert column by column; if no column is altered, the rows are returned as they are."""
    if not rows:
        return []
    columns = list(zip(*rows, strict=True))
    converted = [convert(column) for column in columns]
    if all(new is old for new, old in zip(converted, columns, strict=True)):
        return list(rows)
    return list(zip(*converted, strict=True))


_PLAIN: Final = frozenset({int, str, type(None)})
_ENCODABLE: Final = _PLAIN | {float, bytes, RawText}
_DECODABLE: Final = _PLAIN | {float, dict}


def _encode_column(column: Sequence[Any]) -> Sequence[Any]:
    types = set(map(type, column))
    _check(column, types, _ENCODABLE)
    if types.isdisjoint({float, bytes, RawText}):
        return column
    if types.isdisjoint({bytes, RawText}) and _finite(column, types):
        return column
    return [_encode(value) for value in column]


def _decode_column(column: Sequence[Any]) -> Sequence[Any]:
    types = set(map(type, column))
    _check(column, types, _DECODABLE)
    if float in types and not _finite(column, types):
        raise _invalid("a number is beyond the range of a double")
    if dict not in types:
        return column
    return [_decode(value) if type(value) is dict else value for value in column]


def _check(column: Sequence[Any], types: set[type], allowed: frozenset[type]) -> None:
    """Refuse types that are not allowed, and integers that 64 bits do not hold."""
    if not types <= allowed:
        names = ", ".join(sorted(kind.__name__ for kind in types - allowed))
        raise _invalid(f"a value of type {names} is none of SQLite")
    if int in types:
        numbers = column if types == {int} else [v for v in column if type(v) is int]
        if min(numbers) < INT_MIN or max(numbers) > INT_MAX:
            raise _invalid("an integer does not fit into 64 bits")


def _finite(column: Sequence[Any], types: set[type]) -> bool:
    numbers = column if types <= {int, float} else (v for v in column if type(v) is float)
    return all(map(math.isfinite, numbers))


def _encode(value: Any) -> Any:
    kind = type(value)
    if kind is bytes:
        return {"b": _base64(value)}
    if kind is RawText:
        return {"t": _base64(value)}
    if kind is float and not math.isfinite(value):
        if math.isnan(value):
            raise _invalid("NaN is no value of SQLite, which has NULL in its place")
        return {"f": "inf" if value > 0 else "-inf"}
    return value


def _decode(value: dict[Any, Any]) -> Any:
    if len(value) != 1:
        raise _invalid("a tagged value has not exactly one tag")
    ((tag, content),) = value.items()
    if tag == "f" and content in ("inf", "-inf"):
        return float(content)
    if tag == "b" and isinstance(content, str):
        return _bytes(content)
    if tag == "t" and isinstance(content, str):
        text = _text(_bytes(content))
        if isinstance(text, RawText):
            return text
        raise _invalid("a text that is valid UTF-8 must be sent as a string")
    raise _invalid("a tagged value has an unknown tag or no fitting content")


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:  # binascii.Error, and non-ASCII characters
        raise _invalid("a tagged value is not base64") from error


def _invalid(why: str) -> InvalidMessage:
    return InvalidMessage(
        "a row cannot be exchanged", why=why, remedy="Check that both sides speak syncauth.v1"
    )
