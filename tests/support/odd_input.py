"""What fuzz tests give to parsers: any bytes and texts, any JSON, altered documents, deep nesting; and the judge."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

SECRET = "do-not-print-0f9a8b7c6d5e4f3a2b1c"
"""Stands where tokens, passwords and keys do; no error may hold it."""

DEEP = 100_000
NESTED = [b"[" * DEEP, b'{"a":' * DEEP, b"[" * DEEP + b"]" * DEEP]

_odd = st.sampled_from(
    [
        SECRET,
        "",
        "\x00",
        "\u2028",
        "💥",
        "1e999",
        "-1",
        "NaN",
        "\ufeff",
        "a" * 5000,
        "http://[",
        "https://a:b@c:99999/%",
    ]
)
texts = _odd | st.text(max_size=30)
numbers = (
    st.integers()
    | st.sampled_from(
        [0, -1, 2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**300, 10**400, -(10**400)]
    )
    | st.floats(allow_nan=False, allow_infinity=False)
)
names = st.text(max_size=8) | st.sampled_from(["type", "kind", "keys", "exp", "\x00", "a" * 5000])
"""Of the members of objects: an error may name these, so no secret is among them."""

scalars = st.none() | st.booleans() | numbers | texts
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=15,
)


def to_bytes(document: Any) -> bytes:
    """Write a document as JSON, lone surrogates escaped."""
    return json.dumps(document).encode()


@st.composite
def altered(draw: st.DrawFn, *originals: Any) -> Any:
    """Take one of the documents, and replace, remove or add something in it, or leave it as it is."""
    document = [copy.deepcopy(draw(st.sampled_from(originals)))]
    for _ in range(draw(st.integers(0, 3))):
        place, key = draw(st.sampled_from(_places(document)))
        change = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if change == "replace":
            place[key] = draw(documents)
        elif change == "remove" and place is not document:
            del place[key]
        elif isinstance(place[key], dict):
            place[key][draw(names)] = draw(documents)
        elif isinstance(place[key], list):
            place[key].append(draw(documents))
    return document[0]


def _places(document: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    steps = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(steps):
        found.append((document, key))
        if isinstance(value, dict | list):
            found += _places(value)
    return found


def frames(*originals: Any) -> st.SearchStrategy[bytes]:
    """Give bytes as they may arrive: altered documents, cut ones, any JSON, any bytes."""
    whole = altered(*originals).map(to_bytes)
    cut = st.tuples(whole, st.integers(0, 40)).map(lambda both: both[0][: -both[1] or None])
    return whole | cut | documents.map(to_bytes) | st.binary(max_size=60) | st.sampled_from(NESTED)


def judge(call: Callable[[], Any], *allowed: type[Exception], hides: str = SECRET) -> Any:
    """Call, and return what it gives or None for an allowed error, which must not tell the secret."""
    try:
        return call()
    except allowed as error:
        told: BaseException | None = error
        while told is not None:
            for text in (str(told), repr(told)):
                assert hides not in text, type(told).__name__
            told = told.__cause__
        return None
