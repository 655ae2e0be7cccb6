"""Every value that Extended JSON can carry comes back as it was, with its type, in both forms."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from syncauth.ejson import Binary, ObjectId, decode, encode
from syncauth.errors import InvalidDocument

_texts = st.text(st.characters(codec="utf-8"), max_size=20)
_keys = _texts.filter(lambda text: not text.startswith("$"))
_hours = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
_dates = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis wants a bound without a zone
    max_value=datetime(9998, 12, 31),  # noqa: DTZ001 - as above
    timezones=_hours,
).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
_decimals = st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=34).map(tuple),
    st.integers(-6176, 6111),
)
_subtypes = st.integers(1, 255).filter(lambda subtype: subtype != 4)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | _texts
    | st.binary(max_size=40)
    | st.builds(Binary, st.binary(max_size=40), _subtypes)
    | st.uuids()
    | _decimals
    | _dates
    | st.text("0123456789abcdef", min_size=24, max_size=24).map(ObjectId)
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_keys, inner, max_size=5),
    max_leaves=20,
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["$oid", "$date", "$binary", "$numberLong", "$numberDecimal", "$uuid", "base64"]
            )
            | st.text(max_size=5),
            inner,
            max_size=3,
        )
    ),
    max_leaves=20,
)


def through_json(document: Any) -> Any:
    """Write the document as the text that travels, and read it again."""
    return msgspec.json.decode(msgspec.json.encode(document))


def kinds(value: Any) -> Any:
    """Return the types within a value, so that 1, 1.0 and True do not pass for each other."""
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    if isinstance(value, list):
        return [kinds(item) for item in value]
    return type(value), math.copysign(1, value) if isinstance(value, float) else None


@given(_values, st.booleans())
def test_values_come_back(value: Any, relaxed: bool) -> None:
    """What was encoded, sent as JSON and decoded is equal, and of the same types."""
    again = decode(through_json(encode(value, relaxed=relaxed)))

    assert again == value
    assert kinds(again) == kinds(value)


@given(_json)
def test_any_document_is_read_or_refused(document: Any) -> None:
    """Whatever JSON arrives, it gives a value that can be sent again, or the one typed error."""
    try:
        value = decode(document)
    except InvalidDocument:
        return

    assert decode(encode(value)) == value


def test_numbers_that_are_not_equal_to_themselves_come_back() -> None:
    """NaN, as float and as decimal, is NaN again in both forms."""
    for relaxed in (False, True):
        again = decode(through_json(encode([math.nan, Decimal("NaN")], relaxed=relaxed)))

        assert [type(item) for item in again] == [float, Decimal]
        assert all(item.is_nan() if isinstance(item, Decimal) else item != item for item in again)  # noqa: PLR0124


DOCUMENTS = [
    pytest.param(1, {"$numberInt": "1"}, 1, id="int32"),
    pytest.param(2**31, {"$numberLong": "2147483648"}, 2**31, id="int64"),
    pytest.param(1.0, {"$numberDouble": "1.0"}, 1.0, id="double"),
    pytest.param(math.inf, {"$numberDouble": "Infinity"}, {"$numberDouble": "Infinity"}, id="inf"),
    pytest.param(Decimal("1E+3"), {"$numberDecimal": "1E+3"}, {"$numberDecimal": "1E+3"}, id="dec"),
    pytest.param(
        datetime(2012, 12, 24, 12, 15, 30, 501000, UTC),
        {"$date": {"$numberLong": "1356351330501"}},
        {"$date": "2012-12-24T12:15:30.501Z"},
        id="date",
    ),
    pytest.param(
        datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
        {"$date": {"$numberLong": "-1000"}},
        {"$date": {"$numberLong": "-1000"}},
        id="date before 1970",
    ),
    pytest.param(
        b"\x00\xff",
        {"$binary": {"base64": "AP8=", "subType": "00"}},
        {"$binary": {"base64": "AP8=", "subType": "00"}},
        id="bytes",
    ),
    pytest.param(
        uuid.UUID("73ffd264-44b3-4c69-90e8-e7d1dfc035d4"),
        {"$binary": {"base64": "c//SZESzTGmQ6OfR38A11A==", "subType": "04"}},
        {"$binary": {"base64": "c//SZESzTGmQ6OfR38A11A==", "subType": "04"}},
        id="uuid",
    ),
    pytest.param(
        ObjectId("57E193D7A9CC81B4027498B5"),
        {"$oid": "57e193d7a9cc81b4027498b5"},
        {"$oid": "57e193d7a9cc81b4027498b5"},
        id="object id",
    ),
    pytest.param((True, None), [True, None], [True, None], id="tuple"),
    pytest.param({"$set": {"a": "b"}}, {"$set": {"a": "b"}}, {"$set": {"a": "b"}}, id="operator"),
]
"""Value, canonical form, relaxed form: examples of the specification of Extended JSON 2.0.0."""


@pytest.mark.parametrize(("value", "canonical", "relaxed"), DOCUMENTS)
def test_documents_are_those_of_the_specification(value: Any, canonical: Any, relaxed: Any) -> None:
    """The forms are, key by key, those that other implementations write and read."""
    assert encode(value) == canonical
    assert encode(value, relaxed=True) == relaxed


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (
            {"$uuid": "73ffd264-44b3-4c69-90e8-e7d1dfc035d4"},
            uuid.UUID(int=0x73FFD26444B34C6990E8E7D1DFC035D4),
        ),
        ({"$date": "2012-12-24T13:15:30+01:00"}, datetime(2012, 12, 24, 12, 15, 30, tzinfo=UTC)),
        ({"$date": 1000}, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ({"$undefined": True}, None),
        ({"$numberDouble": "-0.0"}, 0.0),
        ({"$numberInt": "1", "other": 2}, {"$numberInt": "1", "other": 2}),
    ],
)
def test_other_spellings_are_read(document: Any, value: Any) -> None:
    """Forms that this module does not write, but others do, are read."""
    assert decode(document) == value


def nested(depth: int) -> list[Any]:
    """Return lists within lists."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


ITSELF: list[Any] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(2**63, id="too large an integer"),
        pytest.param(datetime(2020, 1, 1), id="date without a zone"),  # noqa: DTZ001
        pytest.param(Decimal("1" * 35), id="too many digits"),
        pytest.param(Decimal("1E+7000"), id="too large an exponent"),
        pytest.param(Decimal("sNaN"), id="signalling"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param({1: 2}, id="key that is no text"),
        pytest.param({"$oid": "x"}, id="object like a wrapper"),
        pytest.param({1, 2}, id="set"),
        pytest.param(object(), id="object"),
        pytest.param(nested(101), id="too deep"),
        pytest.param(ITSELF, id="contains itself"),
    ],
)
def test_values_without_a_form_are_refused(value: Any) -> None:
    """What would not come back is refused when it is encoded, wherever it stands."""
    with pytest.raises(InvalidDocument) as refused:
        encode({"a": [value]} if value is not ITSELF else value)

    assert refused.value.path.startswith("$")


@pytest.mark.parametrize(
    "document",
    [
        {"$oid": "xyz"},
        {"$oid": 1},
        {"$numberInt": "2147483648"},
        {"$numberInt": 1},
        {"$numberLong": "9223372036854775808"},
        {"$numberLong": "1" * 5000},
        {"$numberDouble": "one"},
        {"$numberDecimal": "1" * 40},
        {"$numberDecimal": "abc"},
        {"$binary": "AP8="},
        {"$binary": {"base64": "?", "subType": "00"}},
        {"$binary": {"base64": "AP8=", "subType": "04"}},
        {"$date": "yesterday"},
        {"$date": {"$numberLong": "9223372036854775807"}},
        {"$date": True},
        {"$uuid": "1"},
        {"$undefined": False},
        {"$minKey": 1},
        2**64,
        math.nan,
        nested(101),
        {"a": (1,)},
    ],
    ids=repr,
)
def test_broken_documents_are_refused(document: Any) -> None:
    """A wrapper that holds something else is an error that shows no value, not an object."""
    with pytest.raises(InvalidDocument) as refused:
        decode(document)

    assert "xyz" not in str(refused.value)


def test_the_place_is_told() -> None:
    """The error leads to the place, so that a large document can be mended."""
    with pytest.raises(InvalidDocument) as refused:
        decode({"items": [1, {"price": {"$numberInt": "x"}}]})

    assert refused.value.path == "$.items[1].price"


def test_a_depth_of_one_hundred_is_allowed() -> None:
    """The deepest document that BSON allows travels."""
    assert decode(encode(nested(100))) == nested(100)


@pytest.mark.parametrize("subtype", [0, 4, 256, -1])
def test_binary_of_plain_subtypes_is_refused(subtype: int) -> None:
    """Subtypes that have a type of their own in Python are not made as Binary."""
    with pytest.raises(InvalidDocument):
        Binary(b"", subtype)
