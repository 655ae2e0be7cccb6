"""
Runs the hub on the event loop: hands over its inputs and carries out its effects.

Calls of the store go to the store thread in the order in which they were asked for, and their
answers come back in that order. This module decides nothing, and must never log a value of a row
or a token.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from syncauth.interfaces import Clock, Randomness
from syncauth.sansio.messages import Limits, ServerMessage
from syncauth.server import hub_inputs as inputs
from syncauth.server.config import ServerLimits
from syncauth.server.hub import Hub
from syncauth.server.hub_effects import (
    CheckSessions,
    Close,
    Effect,
    ForgetResults,
    Greet,
    PushBatch,
    ReadPage,
    ReadPermissions,
    Send,
    StoreCall,
    VerifyToken,
)
from syncauth.server.issuer import Claims, Issuer
from syncauth.server.stores.interface import AccountStore, SessionStatus
from syncauth.server.stores.rows_interface import Greeting, Problem, RowStore, SessionOver
from syncauth.server.stores.thread import StoreThread

LOGGER: Final = logging.getLogger("syncauth.server.hub")

LONGEST_SLEEP: Final = 1.0
"""The wall clock may jump: whoever sleeps by it looks at it again this often."""

DEVICE_BYTES: Final = 8


class Outlet(Protocol):
    """Where messages for one socket go; neither method waits."""

    def send(self, message: ServerMessage) -> None:
        """Send in order."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close after what was sent; nothing is sent afterwards."""
        ...


class HubDriver:
    """The hub of one process, running. All methods are called on the event loop."""

    def __init__(
        self,
        limits: ServerLimits,
        *,
        rows: RowStore,
        accounts: AccountStore,
        thread: StoreThread,
        issuer: Issuer,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        """Take the parts; `rows` and `accounts` are used in `thread` only."""
        told = Limits(limits.batch_rows, limits.batch_bytes, limits.window)
        self._hub = Hub(told, thread.run_blocking(lambda: rows.shapes))
        self._rows = rows
        self._accounts = accounts
        self._thread = thread
        self._issuer = issuer
        self._clock = clock
        self._randomness = randomness
        self._outlets: dict[int, Outlet] = {}
        self._opened = 0
        self._waiting: deque[inputs.Input] = deque()
        self._serving = False
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()
        self._ended = False

    # --- sockets ---------------------------------------------------------------------------------

    def open(self, outlet: Outlet, claims: Claims) -> int:
        """Take in a socket that was accepted; returns its number, which is never used twice."""
        self._opened += 1
        self._outlets[self._opened] = outlet
        self._empty.clear()
        self.post(
            inputs.SocketOpened(self._opened, claims.user_id, claims.session_id, claims.expires_at)
        )
        return self._opened

    def closed(self, socket: int) -> None:
        """Forget a socket that has ended."""
        del self._outlets[socket]
        self.post(inputs.SocketClosed(socket))
        if not self._outlets:
            self._empty.set()

    def revoked(self, session_ids: Sequence[str]) -> None:
        """Look at sessions that this process has just ended."""
        self.post(inputs.SessionsRevoked(tuple(session_ids)))

    async def drain(self, retry_after: float, within: float) -> None:
        """Send all devices away, who may come back after `retry_after` seconds.

        Returns when all sockets have ended, at the latest after `within` seconds.
        """
        self.post(inputs.DrainWanted(round(retry_after * 1000)))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), within)

    def end(self) -> None:
        """Do nothing from now on; to be called when the sockets have ended."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()

    # --- the heart -------------------------------------------------------------------------------

    def post(self, happening: inputs.Input) -> None:
        """Let the hub serve an input, after those that came before it."""
        if self._ended:
            return
        self._waiting.append(happening)
        if self._serving:
            return
        self._serving = True
        try:
            while self._waiting:
                for effect in self._hub.take(self._waiting.popleft(), self._clock.wall()):
                    self._carry_out(effect)
        finally:
            self._serving = False
        self._plan()

    def _plan(self) -> None:
        """Wake up when the hub wants it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._hub.next_deadline()
        if deadline is not None:
            wait = min(max(0.0, deadline - self._clock.wall()), LONGEST_SLEEP)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(wait, self.post, inputs.DeadlineReached())

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send():
                if effect.socket in self._outlets:
                    self._outlets[effect.socket].send(effect.message)
            case Close():
                if effect.socket in self._outlets:
                    self._outlets[effect.socket].close(effect.code, effect.reason)
            case VerifyToken():
                outcome = self._issuer.verify_access(effect.token, self._clock.wall())
                self.post(inputs.TokenChecked(effect.socket, outcome))
            case _:
                self._call(effect)

    # --- the store -------------------------------------------------------------------------------

    def _call(self, call: StoreCall) -> None:
        answer = self._thread.run(self._answer_of(call))
        answer.add_done_callback(lambda done: self._answered(call, done))

    def _answered(self, call: StoreCall, done: asyncio.Future[inputs.StoreAnswer]) -> None:
        error = done.exception()
        if error is None:
            self.post(done.result())
            return
        # Neither the message nor the values of the frames: both may hold what a row holds.
        where = "".join(traceback.format_tb(error.__traceback__))
        LOGGER.error("%s failed: %s\n%s", type(call).__name__, type(error).__name__, where)
        if isinstance(call, CheckSessions):
            self.post(inputs.SessionsChecked({}))
        else:
            self.post(inputs.StoreFailed(call.socket))

    def _answer_of(self, call: StoreCall) -> Callable[[], inputs.StoreAnswer]:
        """Return the work of a call, to be done in the store thread."""
        rows, now = self._rows, self._clock.wall()
        match call:
            case Greet(socket):
                new_device = self._randomness.token(DEVICE_BYTES).hex()
                return lambda: inputs.Greeted(socket, self._greet(call, new_device, now))
            case PushBatch(socket, user_id, session_id, device, push):
                return lambda: inputs.BatchJudged(
                    socket,
                    rows.push(
                        user_id,
                        session_id,
                        device,
                        batch=push.batch,
                        acked=push.acked,
                        sections=bytes(push.sections),
                        now=now,
                    ),
                )
            case ReadPage(socket, device, tables, cursors, limits):
                return lambda: inputs.PageRead(socket, rows.page(device, tables, cursors, limits))
            case ForgetResults(socket, device, acked):
                return lambda: self._forget(socket, device, acked)
            case ReadPermissions(socket, user_id):
                return lambda: inputs.PermissionsRead(socket, rows.permissions(user_id))
            case CheckSessions(session_ids):
                return lambda: inputs.SessionsChecked(self._statuses(session_ids, now))

    def _greet(self, call: Greet, new_device: str, now: float) -> Greeting | SessionOver | Problem:
        problem = self._rows.check_shapes(call.hello.tables)
        if problem is not None:
            return problem
        return self._rows.greet(
            call.user_id, call.session_id, call.hello, new_device=new_device, now=now
        )

    def _forget(self, socket: int, device: str, acked: int) -> inputs.ResultsForgotten:
        self._rows.received(device, acked)
        return inputs.ResultsForgotten(socket)

    def _statuses(self, session_ids: Sequence[str], now: float) -> Mapping[str, SessionStatus]:
        return {each: self._accounts.session_status(each, now) for each in session_ids}
