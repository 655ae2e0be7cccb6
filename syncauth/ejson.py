"""
Extended JSON v2: Python values as JSON documents that keep their types, and back.

Arguments and results of server functions travel in this form (MongoDB Extended JSON, version 2.0.0). In the
canonical form every number and every type beyond JSON is wrapped, such as `{"$numberInt": "1"}`; the relaxed form
leaves numbers and dates readable. `decode` reads both.

    None, bool, str, list, dict with str keys     as JSON has them; a tuple becomes a list
    int                                           `$numberInt` within 32 bits, `$numberLong` within 64
    float                                         `$numberDouble`, also NaN, Infinity and -0.0
    decimal.Decimal                               `$numberDecimal`: at most 34 digits
    datetime.datetime, aware                      `$date`, in UTC and cut to milliseconds
    bytes, uuid.UUID, Binary                      `$binary` of subtype 00, of subtype 04, of another
    ObjectId                                      `$oid`

Whatever does not survive is refused with `InvalidDocument`, which names the place and the kind, never the value.
This module must never guess: an object with exactly the keys of a wrapper is that type or an error, and any other
object, such as `{"$set": …}`, is an object.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from syncauth.errors import InvalidDocument

DEEPEST: Final = 100
"""Lists and objects within each other, as in BSON."""

INT32: Final = range(-(2**31), 2**31)
INT64: Final = range(-(2**63), 2**63)
DECIMAL_DIGITS: Final = 34
DECIMAL_EXPONENTS: Final = range(-6176, 6112)
LONGEST_NUMBER: Final = 64
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)
BYTES_SUBTYPE: Final = 0
UUID_SUBTYPE: Final = 4
UUID_BYTES: Final = 16

_OBJECT_ID: Final = re.compile(r"[0-9a-fA-F]{24}")
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_DOUBLE: Final = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?|NaN|-?Infinity")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)")
_SUBTYPE: Final = re.compile(r"[0-9a-fA-F]{1,2}")


@dataclass(frozen=True, slots=True)
class ObjectId:
    """A BSON object id: 24 hexadecimal digits, kept in lower case."""

    digits: str

    def __post_init__(self) -> None:
        """Check the digits; raises `InvalidDocument`."""
        if not isinstance(self.digits, str) or not _OBJECT_ID.fullmatch(self.digits):
            raise _refusal("$", "an object id has 24 hexadecimal digits")
        object.__setattr__(self, "digits", self.digits.lower())

    def __str__(self) -> str:
        """Return the digits."""
        return self.digits


@dataclass(frozen=True, slots=True)
class Binary:
    """BSON binary data of a subtype that is neither plain bytes (0) nor a UUID (4)."""

    data: bytes
    subtype: int

    def __post_init__(self) -> None:
        """Check the subtype; raises `InvalidDocument`."""
        if self.subtype not in range(256) or self.subtype in (BYTES_SUBTYPE, UUID_SUBTYPE):
            raise _refusal(
                "$", "its subtype is 1 to 255 and not 4: use bytes or uuid.UUID for these"
            )


def encode(value: Any, *, relaxed: bool = False) -> Any:
    """Return the JSON document of a value: None, bool, str, int, float, lists and dicts of these.

    Raises:
        InvalidDocument: the value, or one within it, has no Extended JSON form, or would be read as another.
    """
    return _encode(value, relaxed, "$", 0)


def decode(document: Any) -> Any:
    """Return the value of a JSON document in either form, or in a mixture of both.

    Raises:
        InvalidDocument: it is no JSON document, is nested too deeply, or a wrapper in it holds what does not belong.
    """
    return _decode(document, "$", 0)


def _encode(value: Any, relaxed: bool, path: str, depth: int) -> Any:  # noqa: FBT001 - internal
    # bool before int: it is one, to Python.
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int):
        return _encode_integer(int(value), relaxed, path)
    if isinstance(value, float):
        return _encode_double(float(value), relaxed)
    if isinstance(value, Mapping | list | tuple):
        return _encode_nested(value, relaxed, path, depth)
    return _encode_special(value, relaxed, path)


def _encode_special(value: Any, relaxed: bool, path: str) -> Any:  # noqa: FBT001 - internal
    if isinstance(value, ObjectId):
        return {"$oid": value.digits}
    if isinstance(value, datetime):
        return {"$date": _encode_date(value, relaxed, path)}
    if isinstance(value, Decimal):
        return {"$numberDecimal": _decimal_text(value, path)}
    if isinstance(value, uuid.UUID):
        return _binary(value.bytes, UUID_SUBTYPE)
    if isinstance(value, bytes | bytearray | memoryview):
        return _binary(bytes(value), BYTES_SUBTYPE)
    if isinstance(value, Binary):
        return _binary(value.data, value.subtype)
    raise _refusal(path, f"Extended JSON has no form for {type(value).__name__}")


def _encode_nested(
    value: Mapping[Any, Any] | list[Any] | tuple[Any, ...],
    relaxed: bool,  # noqa: FBT001 - internal
    path: str,
    depth: int,
) -> Any:
    if depth >= DEEPEST:
        raise _refusal(path, f"it is nested more than {DEEPEST} deep")
    if not isinstance(value, Mapping):
        return [
            _encode(item, relaxed, f"{path}[{number}]", depth + 1)
            for number, item in enumerate(value)
        ]
    document = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise _refusal(path, "the keys of an object are texts")
        document[_text(key, path)] = _encode(item, relaxed, f"{path}.{key}", depth + 1)
    if frozenset(document) in _WRAPPERS:
        raise _refusal(path, "an object with these keys would be read as another type")
    return document


def _encode_integer(value: int, relaxed: bool, path: str) -> Any:  # noqa: FBT001 - internal
    if value not in INT64:
        raise _refusal(path, "an integer has at most 64 bits")
    if relaxed:
        return value
    return {"$numberInt" if value in INT32 else "$numberLong": str(value)}


def _encode_double(value: float, relaxed: bool) -> Any:  # noqa: FBT001 - internal
    if math.isnan(value):
        return {"$numberDouble": "NaN"}
    if math.isinf(value):
        return {"$numberDouble": "Infinity" if value > 0 else "-Infinity"}
    return value if relaxed else {"$numberDouble": repr(value)}


def _encode_date(value: datetime, relaxed: bool, path: str) -> Any:  # noqa: FBT001 - internal
    if value.tzinfo is None or value.utcoffset() is None:
        raise _refusal(path, "a date needs a time zone, such as datetime.UTC")
    milliseconds = (value - EPOCH) // MILLISECOND
    if relaxed and milliseconds >= 0:
        moment = EPOCH + milliseconds * MILLISECOND
        return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    return {"$numberLong": str(milliseconds)}


def _decimal_text(value: Decimal, path: str) -> str:
    if value.is_infinite():
        return "Infinity" if value > 0 else "-Infinity"
    _, digits, exponent = value.as_tuple()
    if value.is_nan():
        if exponent != "n" or digits:
            raise _refusal(
                path, "a decimal that is not a number carries nothing and does not signal"
            )
        return "NaN"
    if len(digits) > DECIMAL_DIGITS or exponent not in DECIMAL_EXPONENTS:
        raise _refusal(path, f"a decimal has at most {DECIMAL_DIGITS} digits")
    return str(value)


def _binary(data: bytes, subtype: int) -> dict[str, Any]:
    text = base64.b64encode(data).decode("ascii")
    return {"$binary": {"base64": text, "subType": f"{subtype:02x}"}}


def _decode(document: Any, path: str, depth: int) -> Any:
    if not isinstance(document, list | dict):
        return _decode_scalar(document, path)
    if depth >= DEEPEST:
        raise _refusal(path, f"it is nested more than {DEEPEST} deep")
    if isinstance(document, list):
        return [
            _decode(item, f"{path}[{number}]", depth + 1) for number, item in enumerate(document)
        ]
    read = _WRAPPERS.get(frozenset(document))
    if read is not None:
        return read(next(iter(document.values())), path)
    value = {}
    for key, item in document.items():
        if not isinstance(key, str):
            raise _refusal(path, "the keys of an object are texts")
        value[_text(key, path)] = _decode(item, f"{path}.{key}", depth + 1)
    return value


def _decode_scalar(document: Any, path: str) -> Any:
    if document is None or isinstance(document, bool):
        return document
    if isinstance(document, str):
        return _text(document, path)
    if isinstance(document, int):
        if document not in INT64:
            raise _refusal(path, "an integer has at most 64 bits")
        return document
    if not isinstance(document, float):
        raise _refusal(path, f"{type(document).__name__} is no part of JSON")
    if not math.isfinite(document):
        raise _refusal(path, "JSON has no such number: wrap it as $numberDouble")
    return document


def _read_object_id(content: Any, path: str) -> ObjectId:
    return ObjectId(_matching(_OBJECT_ID, content, path, "$oid"))


def _read_int(content: Any, path: str) -> int:
    number = int(_matching(_INTEGER, content, path, "$numberInt"))
    if number not in INT32:
        raise _refusal(path, "$numberInt holds at most 32 bits")
    return number


def _read_long(content: Any, path: str) -> int:
    number = int(_matching(_INTEGER, content, path, "$numberLong"))
    if number not in INT64:
        raise _refusal(path, "$numberLong holds at most 64 bits")
    return number


def _read_double(content: Any, path: str) -> float:
    return float(_matching(_DOUBLE, content, path, "$numberDouble", longest=400))


def _read_decimal(content: Any, path: str) -> Decimal:
    text = _matching(re.compile(r"[-+0-9.eEA-Za-z]+"), content, path, "$numberDecimal")
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise _refusal(path, "$numberDecimal holds no number") from error
    _decimal_text(value, path)
    return value


def _read_binary(content: Any, path: str) -> bytes | uuid.UUID | Binary:
    if not isinstance(content, dict) or set(content) != {"base64", "subType"}:
        raise _refusal(path, "$binary holds base64 and subType")
    subtype = int(_matching(_SUBTYPE, content["subType"], path, "subType"), 16)
    try:
        data = base64.b64decode(content["base64"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise _refusal(path, "$binary holds no base64") from error
    if subtype == BYTES_SUBTYPE:
        return data
    if subtype != UUID_SUBTYPE:
        return Binary(data, subtype)
    if len(data) != UUID_BYTES:
        raise _refusal(path, "a UUID has 16 bytes")
    return uuid.UUID(bytes=data)


def _read_uuid(content: Any, path: str) -> uuid.UUID:
    try:
        return uuid.UUID(_matching(re.compile(r"[0-9a-fA-F-]{32,36}"), content, path, "$uuid"))
    except ValueError as error:
        raise _refusal(path, "$uuid holds no UUID") from error


def _read_date(content: Any, path: str) -> datetime:
    try:
        if isinstance(content, str):
            text = _matching(_DATE, content, path, "$date")
            moment = datetime.fromisoformat(text).astimezone(UTC)
            return EPOCH + (moment - EPOCH) // MILLISECOND * MILLISECOND
        milliseconds = _decode(content, path, DEEPEST - 1)
        if isinstance(milliseconds, int) and not isinstance(milliseconds, bool):
            return EPOCH + milliseconds * MILLISECOND
    except (OverflowError, ValueError) as error:
        raise _refusal(path, "$date lies outside the years 1 to 9999") from error
    raise _refusal(path, "$date holds a text of ISO 8601 or milliseconds")


def _read_undefined(content: Any, path: str) -> None:
    """Read what JavaScript sends for a value that is not there."""
    if content is not True:
        raise _refusal(path, "$undefined holds true")


def _unsupported(_content: Any, path: str) -> Any:
    raise _refusal(
        path, "BSON's timestamps, code, symbols, expressions and key bounds are not read"
    )


_WRAPPERS: Final[dict[frozenset[str], Callable[[Any, str], Any]]] = {
    frozenset(keys): read
    for keys, read in (
        (("$oid",), _read_object_id),
        (("$numberInt",), _read_int),
        (("$numberLong",), _read_long),
        (("$numberDouble",), _read_double),
        (("$numberDecimal",), _read_decimal),
        (("$binary",), _read_binary),
        (("$uuid",), _read_uuid),
        (("$date",), _read_date),
        (("$undefined",), _read_undefined),
        (("$timestamp",), _unsupported),
        (("$code",), _unsupported),
        (("$code", "$scope"), _unsupported),
        (("$symbol",), _unsupported),
        (("$regularExpression",), _unsupported),
        (("$dbPointer",), _unsupported),
        (("$minKey",), _unsupported),
        (("$maxKey",), _unsupported),
    )
}


def _matching(
    pattern: re.Pattern[str], content: Any, path: str, name: str, longest: int = LONGEST_NUMBER
) -> str:
    if not isinstance(content, str) or len(content) > longest or not pattern.fullmatch(content):
        raise _refusal(path, f"{name} does not hold what belongs there")
    return content


def _text(text: str, path: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # Not "from error": it holds the text.
        del error
        raise _refusal(path, "half of a surrogate pair is no text") from None
    return text


def _refusal(path: str, why: str) -> InvalidDocument:
    return InvalidDocument(path=path, why=why)
