"""Whatever arrives on the sync socket, on either side, is a message or the one typed error."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, strategies as st

from syncauth.errors import InvalidMessage
from syncauth.rows.stamps import RowStamps, check_lives, check_stamp
from syncauth.rows.values import decode_rows
from syncauth.sansio import messages
from tests.support.odd_input import SECRET, documents, frames, judge, texts, to_bytes
from tests.support.source import ROOT

WIRE = ROOT / "fixtures" / "wire" / "v1"
KNOWN = [json.loads(path.read_text("utf-8")) for path in sorted(WIRE.glob("*.json"))]
FRAMES = [json.loads(each["frame"]) for each in KNOWN]
SECTIONS = [each["sections"] for each in FRAMES if "sections" in each]
CELLS = st.one_of(
    documents,
    st.dictionaries(st.sampled_from(["b", "t", "f", "x"]), texts, max_size=2),
    st.sampled_from([{"b": "AA=="}, {"t": "/w=="}, {"f": "inf"}, {"f": []}, {"b": "AA==\n"}]),
)


@given(frames(*FRAMES))
@example(to_bytes({"type": SECRET}))
@example(to_bytes({"type": "received", "x" * 5000: 1}))
def test_any_frame_is_a_message_or_refused(frame: bytes) -> None:
    """Both sides read every frame or raise `InvalidMessage`; what was read can be sent again."""
    for decode in (messages.decode_from_client, messages.decode_from_server):
        message = judge(lambda decode=decode: decode(frame), InvalidMessage)  # type: ignore[misc]
        if message is not None:
            assert decode(messages.encode(message)) == message
            sections = getattr(message, "sections", None)
            if sections is not None:
                judge(lambda raw=sections: messages.decode_sections(raw), InvalidMessage)  # type: ignore[misc]


@given(frames(*SECTIONS))
@example(to_bytes([{"table": "t", "kind": SECRET, "rows": []}]))
def test_any_sections_are_read_or_refused(raw: bytes) -> None:
    """The sections of a batch or page, and the values in their rows, are read or refused as one."""
    sections = judge(lambda: messages.decode_sections(raw), InvalidMessage)
    for section in sections or []:
        width = max(map(len, section.rows), default=0)
        judge(lambda rows=section.rows, wide=width: decode_rows(rows, wide), InvalidMessage)  # type: ignore[misc]


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=4))
def test_any_value_of_a_row_is_known_or_refused(rows: list[list[Any]]) -> None:
    """A tagged value that is none of the protocol is refused, and its content is not told."""
    decoded = judge(lambda: decode_rows(rows, 2), InvalidMessage)

    assert decoded is None or len(decoded) == len(rows)


@given(documents, frames({"text": "0" * 32, "done": "1" * 32}), texts)
def test_any_stamps_are_read_or_refused(document: Any, overrides: bytes, text: str) -> None:
    """Stamps, lives and the stamps of columns have their form, or the row is refused."""
    for each in (document, text, "0" * 32):
        judge(lambda one=each: check_stamp(one), InvalidMessage)  # type: ignore[misc]
        judge(lambda one=each: check_lives(one), InvalidMessage)  # type: ignore[misc]
    told = overrides.decode("utf-8", "replace")
    read = judge(lambda: RowStamps.read("0" * 32, told), InvalidMessage)

    assert read is None or all(isinstance(stamp, str) for stamp in read.overrides.values())
