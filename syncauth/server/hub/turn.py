"""
One turn of the hub: what the rules may look at, and what they ask for.

Every end of a socket goes through here, so that a code of the catalogue is always told before the
close, and what has ended is forgotten at once. This module must never do I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from syncauth.sansio.messages import Error, Goodbye, Limits, ServerMessage, TableShape
from syncauth.sansio.sync_errors import CATALOGUE, Close as CloseCode
from syncauth.server.hub.effects import Close, Effect, Failed, Send
from syncauth.server.hub.peer import Peer
from syncauth.server.hub.roster import Roster
from syncauth.server.stores.interface import SessionStatus
from syncauth.server.stores.rows_interface import Problem, SessionOver

_SESSION_ENDED: Final = {
    SessionStatus.EXPIRED: ("token_expired", "the session has expired"),
    SessionStatus.REVOKED: ("session_revoked", "the session was ended"),
    SessionStatus.USER_DISABLED: ("user_disabled", "the user may not log in now"),
    SessionStatus.USER_REMOVED: ("user_removed", "the user no longer exists"),
}


PAUSE_MS: Final = 1000
"""How long a device that asks for too much is to wait before it comes back."""

FAILED: Final = "the server failed; come back later"

WHY_LENGTH: Final = 1000
"""So much is told of why something failed: it may repeat what the device sent."""


@dataclass(slots=True)
class Turn:
    """`now` is wall-clock seconds; `limits` and `shapes` are what `welcome` tells."""

    now: float
    roster: Roster
    limits: Limits
    shapes: Sequence[TableShape]
    effects: list[Effect] = field(default_factory=list)

    def do(self, effect: Effect | None) -> None:
        """Ask for an effect, if there is one."""
        if effect is not None:
            self.effects.append(effect)

    def send(self, peer: Peer, message: ServerMessage) -> None:
        """Send a message."""
        self.effects.append(Send(peer.socket, message))

    def say_error(self, peer: Peer, code: str, why: str, *, last: int | None = None) -> None:
        """Tell an error of the catalogue, with the action that belongs to it."""
        pause = PAUSE_MS if code == "too_many_requests" else None
        self.send(peer, Error(code, why[:WHY_LENGTH], CATALOGUE[code].action, pause, last))

    def end(self, peer: Peer, code: str, why: str) -> None:
        """Tell an error, close the socket and forget it."""
        self.say_error(peer, code, why)
        self._close(peer, code)

    def end_for(self, peer: Peer, answer: SessionOver | Problem) -> None:
        """End a socket for what the store said."""
        if isinstance(answer, Problem):
            self.end(peer, answer.code, answer.message)
        else:
            self.end_session(peer, answer.status)

    def serve(self, peer: Peer, rule: Callable[[Turn, Peer], object]) -> None:
        """Let a rule serve one socket of many: if it fails, that one ends and the others are served."""
        try:
            rule(self, peer)
        except Exception as error:  # noqa: BLE001 - whatever it is, others must not suffer for it
            self.fail(peer.socket, error)

    def fail(self, socket: int | None, error: Exception) -> None:
        """Have a failure logged, and end the socket that was being served, if it is still there."""
        self.effects.append(Failed(error))
        peer = None if socket is None else self.roster.get(socket)
        if peer is not None:
            self.end(peer, "internal", FAILED)

    def end_session(self, peer: Peer, status: SessionStatus) -> None:
        """End a socket whose session is not active."""
        self.end(peer, *_SESSION_ENDED[status])

    def dismiss(self, peer: Peer, code: str, why: str, *, retry_after: int | None = None) -> None:
        """End a socket without blame; `retry_after` in ms."""
        self.send(peer, Goodbye(code, why, retry_after))
        self._close(peer, code)

    def _close(self, peer: Peer, code: str) -> None:
        self.effects.append(Close(peer.socket, CATALOGUE[code].close or CloseCode.NORMAL, code))
        self.roster.remove(peer)
