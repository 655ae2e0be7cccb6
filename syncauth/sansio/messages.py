"""
The messages of the sync protocol `syncauth.v1`: one JSON object per WebSocket text frame.

A message's kind stands in its field `type`. The heavy part of `push` and `changes`, the sections
with their rows, is kept as undecoded JSON (`msgspec.Raw`): whoever moves a message need not look
into it, a resend sends exactly the same bytes, and the digest of a batch is the digest of these
bytes.

A *section* holds changes of one kind to one table. Its rows are flat lists, so that they can be
handed to SQLite as they are:

    kind      who sends it   a row
    insert    device         key…, entry, hlc, ends, value…          (ends: life replaced, or null)
    update    device         key…, entry, hlc, life, value…, delta…  (deltas: integers to be added)
    delete    device         key…, entry, hlc, life
    row       server         key…, lives, stamp, stamps, value…      (the whole row as it is now)
    gone      server         key…, lives, stamp                      (a tombstone)
    exit      server         key…                                    (it has left this partition)

`entry` is the outbox number of the change, `hlc` the integer of its hybrid logical clock. A *stamp*
is the text of 16 hexadecimal digits of an HLC and the 16 of the device id, compared as text. A
*life* has the same form; `lives` is one life, followed by its aliases, separated by spaces.
`stamps` is null, or a JSON text that maps the columns which differ from `stamp` to their own
stamps. Values are encoded by `syncauth.rows.values`.

This module must never do I/O and never look into a row.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from syncauth.errors import InvalidMessage

SUBPROTOCOL: Final = "syncauth.v1"
LONGEST_WHY: Final = 200

SectionKind = Literal["insert", "update", "delete", "row", "gone", "exit"]

DeviceId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{16}\Z")]
"""Exactly 16 hexadecimal digits in lower case: stamps end in it, and are compared as text."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A number that counts something, or a time in ms: from 0 to the largest integer of SQLite."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Changes of one kind to one table; see the module for the layout of a row.

    `partition` is, in a push, where the device knows the row to be ("" means the user's own); in
    `changes` it is the partition that the rows belong to. `columns` names the values of each row in
    their order, without the key; `deltas` the counter columns whose values are to be added.
    """

    table: str
    kind: SectionKind
    rows: list[list[Any]]
    columns: list[str] = []
    deltas: list[str] = []
    partition: str = ""


class BatchMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch by its number and the digest of its bytes."""

    batch: Count
    digest: str


class TableShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table as one side knows it.

    Key columns in order, all other columns, and which of them count.
    """

    table: str
    key: list[str]
    columns: list[str]
    counters: list[str] = []


FRAME_OVERHEAD: Final = 1_000_000
"""Bytes that a frame may have beyond a full batch."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the server allows: rows and bytes of a batch, and batches on their way at once."""

    batch_rows: Count
    batch_bytes: Count
    window: Count


class Superseded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change that lost to a newer write; an empty list of columns means the whole change."""

    entry: Count
    columns: list[str] = []


class Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change that the server did not accept, and why.

    Nothing else of the batch is touched by it.
    """

    entry: Count
    code: str
    reason: str


class CutStamps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stamps too far ahead.

    Entry `entries[i]` was stamped `first + i` by the server, in their order.
    """

    first: Count
    entries: list[Count]


class BatchResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What became of a batch: every entry that is not named was applied as sent.

    `rows` holds the server's present state (sections of kind `row`, `gone` or `exit`) of the rows
    that a refusal names, but for living ones that have no room: these come whole with the next
    page. A refused row that the server does not have comes as `exit`.
    """

    batch: Count
    digest: str
    superseded: list[Superseded] = []
    refused: list[Refused] = []
    cut: CutStamps | None = None
    rows: list[Section] = []


# --- from the device -----------------------------------------------------------------------------


class Hello(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="hello"
):
    """The first message: who I am, how far I am, what I hold.

    `acked` is the highest batch whose result is committed here, `highest` the highest in flight;
    either is null where there is none. A higher pair (fencing, connection) of the same device ends
    the older socket. `compare` asks for a comparison: until the first checkpoint the device's own
    rows are sent, too, and no page of a partition reaches from below to above the version named.
    `history` is the server's history that the file follows, "" while it follows none; a device that
    knows nothing of histories leaves it out, and is told none.
    """

    device: DeviceId
    incarnation: str
    fencing: Count
    connection: Count
    acked: BatchMark | None
    highest: BatchMark | None
    checkpoints: dict[str, Count]
    tables: list[TableShape]
    compare: dict[str, Count] = {}
    history: str | None = None


class Renew(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="renew"):
    """A newer access token of the same user and session, for the open socket."""

    token: str

    def __repr__(self) -> str:
        """Never show the token (I10)."""
        return "Renew(…)"


class Push(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="push"):
    """One batch; `sections` is a list of `Section`, `acked` as in `Hello`."""

    batch: Count
    acked: Count
    sections: msgspec.Raw


class Subscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="subscribe"):
    """The tables that the device wants from now on, in place of those of `Hello`."""

    tables: list[TableShape]


class Received(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="received"):
    """The versions that are committed in the replica, and `acked` as in `Push`."""

    checkpoints: dict[str, Count]
    acked: Count


# --- from the server -----------------------------------------------------------------------------


class Welcome(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="welcome"
):
    """The answer to `Hello`.

    `time` is the server's wall clock in ms, `life` what is left of the access token in ms. `device`
    is the device's id from now on: another one than it named if that one belongs to someone else.
    `last` is the server's last batch of this device; `results` holds those above the acknowledged
    one. `partitions` maps each readable partition to "read" or "write". `history` is the server's
    present one, which a restore of its file changes.
    """

    time: Count
    life: Count
    device: DeviceId
    limits: Limits
    last: Count
    results: list[BatchResult]
    partitions: dict[str, str]
    tables: list[TableShape]
    history: str = ""


class Renewed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="renewed"):
    """The answer to `Renew`.

    Server time and life left in ms, and the permissions as they are now.
    """

    time: Count
    life: Count
    partitions: dict[str, str]


class Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="changes"):
    """A page of rows; `sections` is a list of `Section`.

    `cursors` are the versions reached with this page. `through` is the last batch of this device
    that the rows contain: what was pushed later is to be laid over them. `complete` says that with
    this page all partitions stand at one commit, `commit`, of the server.
    """

    cursors: dict[str, Count]
    through: Count
    commit: Count
    complete: bool
    sections: msgspec.Raw


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="checkpoint"):
    """All partitions stand at these versions, with nothing more to send."""

    checkpoints: dict[str, Count]
    commit: Count


class PushResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="push_result"):
    """The stored result of a batch."""

    result: BatchResult


class Error(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="error"
):
    """A code of the catalogue in `sync_errors`, the action it asks for, and what it is about.

    `last` tells, with `out_of_order`, the server's last batch; `retry_after` is in ms.
    """

    code: str
    message: str
    action: str
    retry_after: Count | None = None
    last: Count | None = None


class Goodbye(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="goodbye"
):
    """The server is about to close the socket; `code` as in `Error`, `retry_after` in ms."""

    code: str
    message: str
    retry_after: Count | None = None


ClientMessage = Hello | Renew | Push | Subscribe | Received
ServerMessage = Welcome | Renewed | Changes | Checkpoint | PushResult | Error | Goodbye

_Decoded = TypeVar("_Decoded")
_encoder = msgspec.json.Encoder()
_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_sections_decoder = msgspec.json.Decoder(list[Section])


def encode(message: ClientMessage | ServerMessage) -> bytes:
    """Return the message as one JSON object in UTF-8."""
    return _encoder.encode(message)


def decode_from_client(frame: bytes | str) -> ClientMessage:
    """Read a message that a device sent.

    Raises:
        InvalidMessage: it is not JSON, of no known kind, or has a field missing, wrong or too many.
    """
    return _decode(_client_decoder, frame)


def decode_from_server(frame: bytes | str) -> ServerMessage:
    """Read a message that the server sent; raises `InvalidMessage` as `decode_from_client` does."""
    return _decode(_server_decoder, frame)


def encode_sections(sections: list[Section]) -> bytes:
    """Return the bytes of a batch or a page.

    The values must have been encoded by `rows.values` before.
    """
    return _encoder.encode(sections)


def decode_sections(raw: bytes | msgspec.Raw) -> list[Section]:
    """Read the sections of a `Push` or `Changes`; raises `InvalidMessage`."""
    return _decode(_sections_decoder, raw)


def digest_of(sections: bytes | msgspec.Raw) -> str:
    """Return the digest of a batch: SHA-256 over the bytes of its sections, in hexadecimal."""
    return hashlib.sha256(sections).hexdigest()


def _decode(decoder: msgspec.json.Decoder[_Decoded], frame: bytes | str | msgspec.Raw) -> _Decoded:
    try:
        return decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = "a sync message cannot be read"
        remedy = "Check that both sides speak syncauth.v1"
        raise InvalidMessage(what, why=_told(str(error)), remedy=remedy) from None


def _told(why: str) -> str:
    """Name the place and what was expected there, never a value that was found; of a long name the beginning."""
    what, at, place = why.rpartition(" - at ")
    what = (what or place).partition(" '")[0][:LONGEST_WHY]
    return f"{what} at {place[:LONGEST_WHY]}" if at else what
