"""
What can happen to the hub: sockets open, speak and close; the store answers; time passes.

A socket's number is never used twice, so that an answer for a socket that has ended is recognised
and dropped; the answers for one socket come in the order of its calls. This vocabulary is closed;
it has no behaviour.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from syncauth.sansio.messages import ClientMessage
from syncauth.server.accounts.issuer import Claims, TokenFault
from syncauth.server.stores.interface import SessionStatus
from syncauth.server.stores.rows_interface import (
    Access,
    Greeting,
    Judged,
    OutOfOrder,
    Page,
    Problem,
    SessionOver,
)


@dataclass(frozen=True, slots=True)
class SocketOpened:
    """A socket was accepted with a verified token; `expires_at` in wall-clock seconds."""

    socket: int
    user_id: str
    session_id: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """The device sent a message that could be read."""

    socket: int
    message: ClientMessage


@dataclass(frozen=True, slots=True)
class FrameRefused:
    """The device sent what cannot be read; `code` is `bad_message` or `message_too_big`."""

    socket: int
    code: str
    why: str


@dataclass(frozen=True, slots=True)
class SocketClosed:
    """The socket is gone."""

    socket: int


@dataclass(frozen=True, slots=True)
class TokenChecked:
    """The token of a `Renew` was verified, or why it is not accepted."""

    socket: int
    outcome: Claims | TokenFault


@dataclass(frozen=True, slots=True)
class SessionsRevoked:
    """These sessions were just ended here; what became of each is still to be asked."""

    session_ids: Collection[str]


@dataclass(frozen=True, slots=True)
class Greeted:
    """The store took the device in, or not."""

    socket: int
    answer: Greeting | SessionOver | Problem


@dataclass(frozen=True, slots=True)
class BatchJudged:
    """The store judged a batch, or why not; `order` is that of the call."""

    socket: int
    answer: Judged | OutOfOrder | SessionOver | Problem
    order: int


@dataclass(frozen=True, slots=True)
class PageRead:
    """The store read a page, or why not."""

    socket: int
    answer: Page | Problem


@dataclass(frozen=True, slots=True)
class ResultsForgotten:
    """The store has forgotten what the device confirmed."""

    socket: int


@dataclass(frozen=True, slots=True)
class PermissionsRead:
    """What the user may read and write now, by partition."""

    socket: int
    partitions: Mapping[str, Access]


@dataclass(frozen=True, slots=True)
class SessionsChecked:
    """What those sessions are that are not active, as far as it could be read."""

    statuses: Mapping[str, SessionStatus]


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """A call for this socket raised an exception, which the driver has logged."""

    socket: int


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """Time has passed; what is due is for the hub to know."""


@dataclass(frozen=True, slots=True)
class DrainWanted:
    """The server is about to end; devices may come back after `retry_after` ms, so many in a second."""

    retry_after: int
    per_second: int = 500


StoreAnswer = (
    Greeted
    | BatchJudged
    | PageRead
    | ResultsForgotten
    | PermissionsRead
    | SessionsChecked
    | StoreFailed
)
SocketInput = (
    MessageReceived
    | FrameRefused
    | SocketClosed
    | TokenChecked
    | Greeted
    | PageRead
    | ResultsForgotten
    | PermissionsRead
    | StoreFailed
)
"""What concerns a socket alone, and is dropped when it has ended."""

Input = (
    SocketOpened
    | SocketInput
    | BatchJudged
    | SessionsRevoked
    | SessionsChecked
    | DeadlineReached
    | DrainWanted
)
