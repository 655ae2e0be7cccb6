"""The messages of the wire: every kind has a fixture, and nothing else is accepted."""

from __future__ import annotations

import hashlib
import json
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from syncauth.errors import InvalidMessage
from syncauth.sansio import messages
from syncauth.sansio.messages import (
    BatchResult,
    Changes,
    ClientMessage,
    Push,
    PushResult,
    Section,
    ServerMessage,
    decode_from_client,
    decode_from_server,
    decode_sections,
    digest_of,
    encode,
    encode_sections,
)

FOLDER = Path(__file__).parents[3] / "fixtures" / "wire" / "v1"
FIXTURES = sorted(FOLDER.glob("*.json"))
KINDS = {
    kind.__struct_config__.tag
    for kind in (*typing.get_args(ClientMessage), *typing.get_args(ServerMessage))
}


def load(path: Path) -> dict[str, Any]:
    """Read a fixture."""
    fixture: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return fixture


def decode(fixture: dict[str, Any]) -> ClientMessage | ServerMessage:
    """Decode the frame on the side that receives it."""
    frame = fixture["frame"].encode()
    return decode_from_client(frame) if fixture["from"] == "device" else decode_from_server(frame)


def meaning_of(message: ClientMessage | ServerMessage) -> Any:
    """Return what a message says, without its kind, as plain values."""
    if isinstance(message, Push | Changes):
        plain = {name: getattr(message, name) for name in message.__struct_fields__}
        return plain | {"sections": msgspec.to_builtins(decode_sections(message.sections))}
    plain = msgspec.to_builtins(message)
    plain.pop("type")
    return plain


def test_every_kind_has_a_fixture() -> None:
    """There is exactly one fixture for each kind of message."""
    assert {load(path)["kind"] for path in FIXTURES} == KINDS
    assert [path.stem for path in FIXTURES] == sorted(KINDS)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_frame_means_what_the_fixture_says(path: Path) -> None:
    """A frame is read as its meaning, field by field."""
    fixture = load(path)

    message = decode(fixture)

    assert type(message).__struct_config__.tag == fixture["kind"]
    assert meaning_of(message) == fixture["meaning"]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_message_is_written_as_the_fixture_says(path: Path) -> None:
    """What was read is written again byte for byte."""
    fixture = load(path)

    assert encode(decode(fixture)) == fixture["frame"].encode()


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_other_side_does_not_accept_it(path: Path) -> None:
    """A device's message is none of a server's, and the other way round."""
    fixture = load(path)
    wrong = decode_from_server if fixture["from"] == "device" else decode_from_client

    with pytest.raises(InvalidMessage):
        wrong(fixture["frame"])


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_every_field_is_needed_or_has_a_default(path: Path) -> None:
    """A frame that lacks a field, has one too many, or one of another type is refused."""
    fixture = load(path)
    whole = json.loads(fixture["frame"])
    kind = type(decode(fixture))
    required = [field.encode_name for field in msgspec.structs.fields(kind) if field.required]

    broken = [{**whole, "surplus": 1}, {**whole, "type": "unheard_of"}]
    broken += [{name: value for name, value in whole.items() if name != lost} for lost in required]
    broken += [{**whole, name: 1.5} for name in required if name != "sections"]

    for frame in broken:
        with pytest.raises(InvalidMessage):
            decode({**fixture, "frame": json.dumps(frame)})


def test_nothing_but_one_object_is_accepted() -> None:
    """What is no JSON object in UTF-8 is refused, however deep it is nested."""
    for frame in (b"", b"null", b"[]", b"{", b'{"type":"renew"', b"\xff", b"[" * 100_000):
        with pytest.raises(InvalidMessage):
            decode_from_client(frame)


ODD_DEVICES = ("", "a" * 15, "a" * 17, "A" * 16, "g" * 16, "a" * 16 + "\n", "\u0661" * 16)


@pytest.mark.parametrize("device", ODD_DEVICES, ids=repr)
def test_device_id_is_16_lower_case_hex_digits(device: str) -> None:
    """Stamps end in it and are compared as text: another form would win or lose merges (I9)."""
    for name, read in (("hello", decode_from_client), ("welcome", decode_from_server)):
        whole = json.loads(load(FOLDER / f"{name}.json")["frame"])

        with pytest.raises(InvalidMessage):
            read(json.dumps({**whole, "device": device}))


def _with_number(value: Any, path: tuple[Any, ...], number: int) -> Any:
    """Return a copy of plain values with the one at a path replaced."""
    if not path:
        return number
    copy = value.copy()
    copy[path[0]] = _with_number(value[path[0]], path[1:], number)
    return copy


def _numbers_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all whole numbers in plain values, but for the sections of a batch."""
    if isinstance(value, dict):
        parts = [(name, each) for name, each in value.items() if name not in ("sections", "rows")]
    else:
        parts = list(enumerate(value)) if isinstance(value, list) else []
    found = [each for name, part in parts for each in _numbers_in(part, (*path, name))]
    return [path] if type(value) is int else found


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_numbers_are_what_sqlite_counts_with(path: Path) -> None:
    """Every number of a message is from 0 to 2**63 - 1, wherever it stands; others are refused."""
    fixture = load(path)
    whole = json.loads(fixture["frame"])

    for place in _numbers_in(whole):
        decode({**fixture, "frame": json.dumps(_with_number(whole, place, 2**63 - 1))})
        for number in (-1, 2**63, 2**64, 10**40):
            with pytest.raises(InvalidMessage):
                decode({**fixture, "frame": json.dumps(_with_number(whole, place, number))})


def test_pushed_sections_keep_their_bytes() -> None:
    """A push carries the bytes of its batch unaltered, so that the digest survives the wire."""
    sections = b'[ {"table":"t","kind":"delete","rows":[ ["k",1,2,null] ]} ]'

    received = decode_from_client(encode(Push(1, 0, msgspec.Raw(sections))))

    assert isinstance(received, Push)
    assert digest_of(received.sections) == hashlib.sha256(sections).hexdigest()


def test_decoding_a_push_does_not_look_into_its_sections() -> None:
    """A push whose sections are no sections is decoded; it is refused when they are read."""
    push = decode_from_client(b'{"type":"push","batch":1,"acked":0,"sections":{"x":1}}')

    assert isinstance(push, Push)
    with pytest.raises(InvalidMessage):
        decode_sections(push.sections)


def test_defaults_do_not_travel() -> None:
    """A result that refused nothing is three fields long."""
    result = json.loads(encode(PushResult(BatchResult(7, "00" * 32))))

    assert result == {"type": "push_result", "result": {"batch": 7, "digest": "00" * 32}}


names = st.text(min_size=1, max_size=20)
cells = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
finite_cells = cells.filter(lambda cell: cell not in (float("inf"), float("-inf")))
sections = st.builds(
    Section,
    table=names,
    kind=st.sampled_from(typing.get_args(messages.SectionKind)),
    rows=st.lists(st.lists(finite_cells, max_size=4), max_size=4),
    columns=st.lists(names, max_size=3),
    deltas=st.lists(names, max_size=3),
    partition=st.text(max_size=20),
)


@given(st.lists(sections, max_size=3))
def test_sections_survive_bit_for_bit(some: list[Section]) -> None:
    """Sections are read as they were written, signs of zero and 64-bit integers included."""
    received = decode_sections(encode_sections(some))

    assert repr(received) == repr(some)


def test_a_message_with_a_token_does_not_print_it() -> None:
    """I10: neither `repr` nor `str` nor an f-string shows it."""
    message = messages.Renew("eyJ.secret.text")

    assert "secret" not in f"{message} {message!r} {[message]}"
