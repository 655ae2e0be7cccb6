"""
What the hub can ask for: messages and ends of sockets, a token's check, calls of the store, a line in the log.

All effects are carried out in the order in which they were asked for. A `StoreCall` is one call
in the store thread and is always answered, by an input that carries it. This vocabulary is
closed; it has no behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syncauth.models import Secret
from syncauth.sansio.messages import Hello, Push, ServerMessage, TableShape
from syncauth.server.stores.rows_interface import PageLimits


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message."""

    socket: int
    message: ServerMessage


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket with a code of RFC 6455 section 7.4; the last effect for this socket."""

    socket: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Log a failure of a rule; the socket that it served has been ended."""

    error: Exception


@dataclass(frozen=True, slots=True)
class VerifyToken:
    """Check an access token; answered by `TokenChecked`."""

    socket: int
    token: Secret


@dataclass(frozen=True, slots=True)
class Greet:
    """Check the tables of a device and take it in."""

    socket: int
    user_id: str
    session_id: str
    hello: Hello


@dataclass(frozen=True, slots=True)
class PushBatch:
    """Judge a batch; `tables` are those of the device, and `received` the versions that it has committed.

    `order` counts the batches of all devices.
    """

    socket: int
    user_id: str
    session_id: str
    device: str
    tables: Sequence[TableShape]
    received: Mapping[str, int]
    push: Push
    order: int


@dataclass(frozen=True, slots=True)
class ReadPage:
    """Read what came after the cursors."""

    socket: int
    device: str
    tables: Sequence[TableShape]
    cursors: Mapping[str, int]
    compared: Mapping[str, int]
    limits: PageLimits


@dataclass(frozen=True, slots=True)
class ForgetResults:
    """Forget the results up to batch `acked`, which the device has committed."""

    socket: int
    device: str
    acked: int


@dataclass(frozen=True, slots=True)
class ReadPermissions:
    """Read what the user may read and write now."""

    socket: int
    user_id: str


@dataclass(frozen=True, slots=True)
class CheckSessions:
    """Read what these sessions are good for."""

    session_ids: Sequence[str]


StoreCall = Greet | PushBatch | ReadPage | ForgetResults | ReadPermissions | CheckSessions
Effect = Send | Close | Failed | VerifyToken | StoreCall
