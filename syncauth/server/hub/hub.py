"""
The hub: everything the server decides about open sync sockets, as inputs and effects.

A socket begins with `hello`, is welcomed when the store has taken the device in, and then pushes
batches and is sent pages until it ends (`flow_rules`). Two sockets of one device exclude each
other (`copy_rules`). The token and the session behind it
are enforced on the open socket (`token_rules`). The hub must never do I/O, read a clock or
await: `take` is the only way in, and what comes out is carried out by `driver`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Final

from syncauth.sansio.messages import Limits, TableShape
from syncauth.sansio.sync_errors import Close as CloseCode
from syncauth.server.hub import (
    copy_rules as copies,
    flow_rules as flow,
    inputs,
    token_rules as tokens,
)
from syncauth.server.hub.effects import CheckSessions, Close, Effect
from syncauth.server.hub.peer import Peer, Stage, TokenLife
from syncauth.server.hub.roster import Roster
from syncauth.server.hub.turn import FAILED, Turn

RECHECK_SECONDS: Final = 1.0
"""How soon a session that another process ended is noticed."""


class Hub:
    """All sockets of one process."""

    def __init__(
        self,
        limits: Limits,
        shapes: Sequence[TableShape],
        *,
        sockets: int = 10_000,
        sockets_per_user: int = 100,
        recheck_seconds: float = RECHECK_SECONDS,
    ) -> None:
        """Begin without sockets; `limits` and `shapes` are what `welcome` tells."""
        self._most = sockets
        self._most_per_user = sockets_per_user
        self._recheck_seconds = recheck_seconds
        self._limits = limits
        self._shapes = tuple(shapes)
        self._roster = Roster()
        self._checks: deque[bool] = (
            deque()
        )  # those under way, in their order: whether of all sessions
        self._check_at = 0.0
        self._drain: inputs.DrainWanted | None = None
        self._sent_away = 0

    def take(self, happening: inputs.Input, now: float) -> list[Effect]:
        """Let something happen, and return what is to be done about it, in this order.

        `now` is wall-clock seconds by the server's clock. A rule that fails ends the socket that it served; what was
        decided for others stands.
        """
        turn = Turn(now, self._roster, self._limits, self._shapes)
        # The wall clock may have been set back; the recheck does not wait for it to come again.
        self._check_at = min(self._check_at, now + self._recheck_seconds)
        try:
            self._take(turn, happening)
        except Exception as error:  # noqa: BLE001 - whatever it is, others must not suffer for it
            turn.fail(getattr(happening, "socket", None), error)
            if isinstance(happening, inputs.SocketOpened) and not self._roster.get(
                happening.socket
            ):
                turn.do(Close(happening.socket, CloseCode.INTERNAL, "internal"))
        return turn.effects

    def _take(self, turn: Turn, happening: inputs.Input) -> None:
        match happening:
            case inputs.SocketOpened():
                self._opened(turn, happening)
            case inputs.BatchJudged():
                flow.judged(turn, happening)
            case inputs.SessionsRevoked(session_ids):
                self._check(turn, self._roster.sessions() & {*session_ids})
            case inputs.SessionsChecked(statuses):
                self._checks.popleft()
                tokens.sessions_checked(turn, statuses)
            case inputs.DeadlineReached():
                tokens.serve_deadlines(turn)
                self._recheck(turn)
            case inputs.DrainWanted():
                self._drain = happening
                for each in self._roster.everybody():
                    turn.serve(each, self._send_away)
            case _:
                peer = self._roster.get(happening.socket)
                if peer is not None:  # else it concerns a socket that has ended
                    _of_socket(turn, peer, happening)

    def has_room(self, user_id: str) -> bool:
        """Tell whether one more socket of this user may be opened."""
        in_all, own = len(self._roster), self._roster.count_of(user_id)
        return in_all < self._most and own < self._most_per_user

    def count(self, stage: Stage) -> int:
        """Return how many sockets are at a stage."""
        return sum(each.stage is stage for each in self._roster.everybody())

    def next_deadline(self) -> float | None:
        """Return the wall-clock second at which `DeadlineReached` is to come; None for never."""
        first = self._roster.next_deadline()
        if first is None or True in self._checks or not len(self._roster):
            return first
        return min(first, self._check_at)

    def _opened(self, turn: Turn, happening: inputs.SocketOpened) -> None:
        if not len(self._roster):
            self._check_at = turn.now + self._recheck_seconds
        peer = Peer(
            happening.socket,
            happening.user_id,
            happening.session_id,
            token=TokenLife.taken(happening.expires_at, turn.now),
            opened_at=turn.now,
        )
        self._roster.add(peer)
        self._send_away(turn, peer)

    def _send_away(self, turn: Turn, peer: Peer) -> None:
        """Send a socket away if the server is about to end: one after the other they come back."""
        if self._drain is None:
            return
        why = "the server is about to end and will be back"
        turn_to_come = 1000 * self._sent_away // self._drain.per_second
        self._sent_away += 1
        wait = self._drain.retry_after + turn_to_come
        turn.dismiss(peer, "server_restarting", why, retry_after=wait)

    def _recheck(self, turn: Turn) -> None:
        """Ask what all sessions are good for, if it is time; the next time is a while from now.

        Looks at single sessions put that off in no way: they come as often as somebody logs out or renews a token.
        """
        if turn.now >= self._check_at and True not in self._checks:
            self._check_at = turn.now + self._recheck_seconds
            self._check(turn, self._roster.sessions(), of_all=True)

    def _check(self, turn: Turn, session_ids: Collection[str], *, of_all: bool = False) -> None:
        """Ask what these sessions are good for."""
        if session_ids:
            self._checks.append(of_all)
            turn.do(CheckSessions(sorted(session_ids)))


def _of_socket(turn: Turn, peer: Peer, happening: inputs.SocketInput) -> None:
    """Serve what concerns one socket."""
    match happening:
        case inputs.MessageReceived():
            flow.received(turn, peer, happening.message)
        case inputs.FrameRefused():
            turn.end(peer, happening.code, happening.why)
        case inputs.SocketClosed():
            turn.roster.remove(peer)
            copies.is_gone(turn, peer)
        case inputs.TokenChecked():
            tokens.token_checked(turn, peer, happening.outcome)
        case inputs.Greeted():
            flow.greeted(turn, peer, happening.answer)
        case inputs.PageRead():
            flow.page_read(turn, peer, happening.answer)
        case inputs.ResultsForgotten():
            peer.forgetting = False
            turn.do(peer.forget_results())
        case inputs.PermissionsRead():
            tokens.permissions_read(turn, peer, happening.partitions)
        case inputs.StoreFailed():
            turn.end(peer, "internal", FAILED)
