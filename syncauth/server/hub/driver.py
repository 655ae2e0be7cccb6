"""
Runs the hub on the event loop: hands over its inputs and carries out its effects.

Calls of the store go to the store thread in the order in which they were asked for, and their
answers come back in that order. This module decides nothing, and must never log a value of a row
or a token.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import traceback
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from syncauth.interfaces import Clock, Randomness
from syncauth.sansio.messages import Limits, ServerMessage
from syncauth.server.accounts.foreign_access import ForeignAccess
from syncauth.server.accounts.issuer import Claims, Issuer, TokenFault
from syncauth.server.hub import inputs
from syncauth.server.hub.calls import StoreCalls
from syncauth.server.hub.effects import (
    CheckSessions,
    Close,
    Failed,
    PushBatch,
    Send,
    StoreCall,
    VerifyToken,
)
from syncauth.server.hub.hub import Hub
from syncauth.server.hub.peer import Stage
from syncauth.server.operations.ids import CURRENT, NOBODY, Ids, working_for
from syncauth.server.operations.metrics import Metrics
from syncauth.server.operations.tracing import NoTracing, Tracing
from syncauth.server.settings.config import ServerLimits
from syncauth.server.stores.interface import AccountStore
from syncauth.server.stores.rows_interface import Judged, Page, RowStore
from syncauth.server.stores.thread import StoreThread

LOGGER: Final = logging.getLogger("syncauth.server.hub.hub")

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


class Watch(NamedTuple):
    """What counts, and what traces."""

    metrics: Metrics
    tracing: Tracing


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
        foreign: ForeignAccess | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Take the parts; `rows` and `accounts` are used in `thread` only. `watch` sees all."""
        told = Limits(limits.batch_rows, limits.batch_bytes, limits.window)
        self._hub = Hub(
            told,
            thread.run_blocking(lambda: rows.shapes),
            sockets=limits.sockets,
            sockets_per_user=limits.sockets_per_user,
        )
        self._calls = StoreCalls(rows, accounts)
        self._thread = thread
        self._issuer = issuer
        self._clock = clock
        self._randomness = randomness
        self._metrics, self._tracing = watch or Watch(Metrics(), NoTracing())
        self._foreign = foreign
        self._checks: set[asyncio.Task[None]] = set()
        self._outlets: dict[int, Outlet] = {}
        self._ids: dict[int, Ids] = {}
        self._page: Page | None = None  # that was read last
        self._opened = 0
        self._waiting: deque[inputs.Input] = deque()
        self._serving = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # kept here: not every loop's handle can tell
        self._empty = asyncio.Event()
        self._empty.set()
        self._ended = False
        stages = {each.value: functools.partial(self._hub.count, each) for each in Stage}
        meaning = "Open sockets that the hub serves, by how far they are."
        self._metrics.watch_by("sockets", meaning, "state", stages)

    # --- sockets ---------------------------------------------------------------------------------

    def open(self, outlet: Outlet, claims: Claims) -> int | None:
        """Take in a socket that is about to be accepted; None if there is no room for it.

        Returns its number, which is never used twice. What is sent to it before it is accepted waits in the outlet.
        """
        if self._ended or not self._hub.has_room(claims.user_id):
            return None  # nobody would ever serve or close a socket that comes after the end
        self._opened += 1
        self._outlets[self._opened] = outlet
        self._ids[self._opened] = CURRENT.get()
        self._empty.clear()
        self.post(
            inputs.SocketOpened(self._opened, claims.user_id, claims.session_id, claims.expires_at)
        )
        return self._opened

    def closed(self, socket: int) -> None:
        """Forget a socket that has ended."""
        del self._outlets[socket], self._ids[socket]
        self.post(inputs.SocketClosed(socket))
        if not self._outlets:
            self._empty.set()

    def revoked(self, session_ids: Sequence[str]) -> None:
        """Look at sessions that this process has just ended."""
        self._metrics.revoked(len(session_ids))
        self.post(inputs.SessionsRevoked(tuple(session_ids)))

    async def drain(self, retry_after: float, per_second: int) -> None:
        """Send all devices away; returns when all sockets have ended.

        They may come back after `retry_after` seconds, so many in each second.
        """
        self.post(inputs.DrainWanted(round(retry_after * 1000), per_second))
        await self._empty.wait()

    def end(self) -> None:
        """Do nothing from now on; to be called when the sockets have ended."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        for check in self._checks:
            check.cancel()

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
                self._serve(self._waiting.popleft())
        finally:
            self._serving = False
        self._plan()

    def _serve(self, happening: inputs.Input) -> None:
        """Serve one input; what fails must not keep others from being served, nor the timer from being set."""
        calls: list[StoreCall] = []
        for effect in self._hub.take(happening, self._clock.wall()):
            if isinstance(effect, StoreCall):
                calls.append(effect)
            elif isinstance(effect, Failed):
                self._log_failure(type(happening).__name__, effect.error)
            else:
                self._try_to_carry_out(effect)
        if calls:
            self._call(calls)

    def _try_to_carry_out(self, effect: Send | Close | VerifyToken) -> None:
        try:
            self._carry_out(effect)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this socket's alone
            self._log_failure(type(effect).__name__, error)
            self.post(inputs.StoreFailed(effect.socket))

    def _plan(self) -> None:
        """Wake up when the hub wants it, or sooner: then it is asked again."""
        deadline = self._hub.next_deadline()
        if deadline is None:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + min(max(0.0, deadline - self._clock.wall()), LONGEST_SLEEP)
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = loop.call_at(at, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.post(inputs.DeadlineReached())

    def _carry_out(self, effect: Send | Close | VerifyToken) -> None:
        match effect:
            case Send():
                if effect.socket in self._outlets:
                    self._metrics.sent(effect.message, self._page)
                    self._outlets[effect.socket].send(effect.message)
            case Close():
                self._metrics.closed(effect.reason)
                if effect.socket in self._outlets:
                    self._outlets[effect.socket].close(effect.code, effect.reason)
            case VerifyToken() if self._foreign is not None and self._foreign.concerns(
                effect.token
            ):
                check = asyncio.create_task(self._check_foreign(self._foreign, effect))
                self._checks.add(check)
                check.add_done_callback(self._checks.discard)
            case VerifyToken():
                outcome = self._issuer.verify_access(effect.token, self._clock.wall())
                self.post(inputs.TokenChecked(effect.socket, outcome))

    async def _check_foreign(self, foreign: ForeignAccess, effect: VerifyToken) -> None:
        """Check a token of another issuer, whose keys may have to be fetched.

        The hub has one token of a socket checked at a time, so that order is kept. The status is
        read before the permissions are: one who is kept out is cut and not renewed.
        """
        try:
            outcome = await foreign.check(effect.token)
        except Exception as error:  # noqa: BLE001 - whatever it is, the hub waits for an answer
            self._log_failure("VerifyToken", error)
            outcome = TokenFault.UNCHECKED
        if isinstance(outcome, Claims):
            self.post(inputs.SessionsRevoked((outcome.session_id,)))
        self.post(inputs.TokenChecked(effect.socket, outcome))

    # --- the store -------------------------------------------------------------------------------

    def _call(self, calls: Sequence[StoreCall]) -> None:
        """Have calls answered; those that go with a batch in one go, so that no answer comes between them."""
        together = any(isinstance(call, PushBatch) for call in calls)
        for group in [calls] if together else [[call] for call in calls]:
            whose = [self._whose(call) for call in group]
            self._thread.start(functools.partial(self._answer_all, group, whose), self._answered)

    def _whose(self, call: StoreCall) -> Ids:
        if isinstance(call, CheckSessions):
            return NOBODY
        return self._ids.get(call.socket, NOBODY)

    def _answer_all(
        self, calls: Sequence[StoreCall], whose: Sequence[Ids]
    ) -> list[inputs.StoreAnswer]:
        return [self._answer(call, ids) for call, ids in zip(calls, whose, strict=True)]

    def _answer(self, call: StoreCall, ids: Ids) -> inputs.StoreAnswer:
        """Make a call for whom it is, in the store thread; a failure is an answer, too."""
        with working_for(ids):
            return self._judge(call) if isinstance(call, PushBatch) else self._try(call)

    def _judge(self, call: PushBatch) -> inputs.StoreAnswer:
        """Judge a batch, measured and traced."""
        started = self._clock.now()
        ids = CURRENT.get()
        names = {f"syncauth.{name}": value for name, value in ids.told().items()}
        with self._tracing.span("syncauth.batch", ids.trace, names) as span:
            answer = self._try(call)
            span.note({"syncauth.batch": call.push.batch})
            if not isinstance(answer, inputs.BatchJudged):
                span.fail("internal")
                return answer
            self._metrics.judged(answer.answer, self._clock.now() - started)
            if isinstance(answer.answer, Judged):
                span.note({"syncauth.changes": answer.answer.changes})
            else:
                span.fail(type(answer.answer).__name__)
        return answer

    def _try(self, call: StoreCall) -> inputs.StoreAnswer:
        new_device = self._randomness.token(DEVICE_BYTES).hex()
        try:
            return self._calls.answer(call, new_device=new_device, now=self._clock.wall())
        except Exception as error:  # noqa: BLE001 - whatever it is, the hub waits for an answer
            self._log_failure(type(call).__name__, error)
        if isinstance(call, CheckSessions):
            return inputs.SessionsChecked({})
        return inputs.StoreFailed(call.socket)

    def _log_failure(self, what: str, error: Exception) -> None:
        # Neither the message nor the values of the frames: both may hold what a row holds.
        where = "".join(traceback.format_tb(error.__traceback__))
        LOGGER.error("%s failed: %s\n%s", what, type(error).__name__, where)

    def _answered(self, answers: Sequence[inputs.StoreAnswer]) -> None:
        for answer in answers:
            if isinstance(answer, inputs.PageRead) and isinstance(answer.answer, Page):
                self._page = answer.answer
            self.post(answer)
        self._page = None
