"""
The driver: runs the engine. One queue of inputs, one consumer; it owns all tasks and timers.

For every input the same five steps in the same order: decide, commit, adopt, publish, start.
Durable first, then true, then visible, then outside. The driver decides nothing about sessions or
sync. It must never await anything between `decide` and `adopt`, and never an effect, a handler or
the network at all: these run in tasks of their own, and what comes of them is the next input.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from syncauth.errands import Errands, report
from syncauth.errors import Closed, StorageError
from syncauth.events import Event, ReloginRequired
from syncauth.interfaces import (
    Clock,
    CredentialStore,
    IdentityProvider,
    Randomness,
    RefreshLocks,
    StaleWrite,
    SyncTransport,
)
from syncauth.models import Deferred, Login
from syncauth.replica_port import ReplicaPort
from syncauth.sansio import effects, inputs
from syncauth.sansio.effects import Effect, Settle
from syncauth.sansio.engine import Decision, Engine
from syncauth.sansio.inputs import Input
from syncauth.sansio.records import Moment
from syncauth.sockets import SocketRun

ENTROPY_BYTES: Final = 32
CLOCK_CHECK_SECONDS: Final = 5.0
STORE_ATTEMPTS: Final = 5
JUMP_SECONDS: Final = 5.0
"""Clocks that drift apart by less, in the time between two looks, have not jumped."""

log = logging.getLogger("syncauth")


def lasting(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run work to its end, whoever waits for it and gives up: that of closing, which no driver outlives."""
    return asyncio.create_task(work)


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for work until it is done, also if whoever waits is cancelled meanwhile."""
    task = lasting(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()


class Driver:
    """Feeds the engine and carries out what it decides, on one event loop."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        randomness: Randomness,
        store: CredentialStore,
        locks: RefreshLocks,
        provider: IdentityProvider,
        transport: SyncTransport,
        publish: Callable[[Event], None],
        hook: Callable[[ReloginRequired], Awaitable[None]],
    ) -> None:
        """Take the parts; `publish` must not block, `hook` is awaited in a task of its own."""
        self.engine = engine
        self._clock = clock
        self._randomness = randomness
        self._store = store
        self._transport = transport
        self._publish_event = publish
        self._errands = Errands(
            store=store, locks=locks, provider=provider, hook=hook, post=self.post
        )
        self._inputs: deque[Input] = deque()
        self._arrived = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: dict[effects.Ticket, SocketRun] = {}
        self._replicas: dict[str, ReplicaPort] = {}
        self._settling: dict[int, asyncio.Future[Any]] = {}
        self._unkept: dict[effects.Ticket, int] = {}
        self._next_call = 0
        self._apart = clock.wall() - clock.now()
        self._ended: Closed | None = None

    # --- the loop --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled; after a failure of its own nothing goes on, and nobody waits for it."""
        try:
            while True:
                self.step(await self._next_input())  # the app, the network or a deadline; one queue
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            report("syncauth", error)
            self._errands.end_all()
            why = f"an error that nobody foresaw: {type(error).__name__}"
            self._end(why, remedy="Report it with the log, close the App and open a new one")

    def step(self, happening: Input) -> None:
        """Take one input to its end: durable first, then true, then visible, then outside."""
        decision = self.engine.decide(happening, self._moment())
        try:
            if decision.writes:
                self._store.commit(decision.writes, decision.history)
        except StaleWrite as late:
            error = self._reread(stale=late.user_id)
            if error is None or not self._give_back(happening, error):
                self._step_without_store(happening)
        except StorageError as error:
            log.warning("the credential store refused a write: %s", error)
            if not self._give_back(happening, error):
                self._step_without_store(happening)
        else:
            self._carry_out(decision)

    def _step_without_store(self, happening: Input) -> None:
        """Decide once more, with all put off that would have to be made durable."""
        decision = self.engine.decide(happening, self._moment(durable=False))
        if not decision.writes:
            self._carry_out(decision)

    def _keep_history(self, decision: Decision) -> None:
        """Keep what nothing has to be written with, if that can be done."""
        if decision.history and not decision.writes:
            try:
                self._store.commit((), decision.history)
            except StorageError as error:
                log.info("the history of the session was not kept: %s", error)

    def _carry_out(self, decision: Decision) -> None:
        self._keep_history(decision)
        self.engine.adopt(decision)
        for event in decision.events:
            self._publish_event(event)
        for effect in decision.effects:
            self._start(effect)

    async def _next_input(self) -> Input:
        """Wait for what happens next, and look at the clocks at least every few seconds.

        Timers stand still while the machine sleeps, so that nothing else would tell that it woke.
        """
        while not self._inputs:
            jump = self._clock_jump()
            if jump is not None:
                return jump
            self._arrived.clear()
            deadline = self.engine.next_deadline()
            wait = CLOCK_CHECK_SECONDS
            if deadline is not None:
                wait = min(wait, deadline - self._clock.now())
            if wait <= 0:
                return inputs.DeadlineReached()
            # Not `wait_for`: until Python 3.12 it loses a cancellation that comes with an input.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._arrived.wait()
        return self._inputs.popleft()

    def _clock_jump(self) -> inputs.ClockJumped | None:
        """Compare wall and monotonic clock with how they stood before."""
        apart = self._clock.wall() - self._clock.now()
        jumped, self._apart = apart - self._apart, apart
        return inputs.ClockJumped(jumped) if abs(jumped) > JUMP_SECONDS else None

    def _moment(self, *, durable: bool = True) -> Moment:
        entropy = self._randomness.token(ENTROPY_BYTES)
        return Moment(self._clock.now(), self._clock.wall(), entropy, durable)

    def store_noticed(self) -> None:
        """Somebody may have written to the credential store; to be called on the loop."""
        try:
            changed = self._ended is None and self._store.changed()
        except StorageError as error:
            log.warning("the credential store cannot be read: %s", error)
        else:
            if changed:
                self._reread()

    def _reread(self, *, stale: str | None = None) -> StorageError | None:
        """Another process has written to the credential store: adopt that first, or return why not."""
        try:
            users = tuple(self._store.load())
        except StorageError as error:
            log.warning("the credential store cannot be read: %s", error)
            return error
        self.step(inputs.SessionsReread(users, stale))
        return None

    def _give_back(self, happening: Input, error: StorageError) -> bool:
        """Answer what cannot be put off; False for all else. A renewal or revocation is repeated."""
        match happening:
            case inputs.LogInAnswered(request=request, outcome=outcome):
                if isinstance(outcome, Login):
                    self.spawn(self._errands.revoke_unkept(outcome.tokens.refresh))
                self.post(inputs.LogInAnswered(request, error))
            case (
                inputs.LogInRequested(request=request)
                | inputs.LogOutRequested(request=request)
                | inputs.SwitchRequested(request=request)
                | inputs.ProfileRead(request=request)
            ):
                self._settle(Settle(request, error=error))
            case inputs.RefreshAnswered():
                self._keep_answer(happening, error)
            case inputs.RevokeAnswered(revocation=number):
                self.post(inputs.RevokeAnswered(number, confirmed=False))
            case _:
                return False
        return True

    def _keep_answer(self, answer: inputs.RefreshAnswered, error: StorageError) -> None:
        """Try some times more to store a renewed pair, which the issuer may not give a second time."""
        self._unkept[answer.ticket] = self._unkept.get(answer.ticket, 0) + 1
        if self._unkept[answer.ticket] <= STORE_ATTEMPTS:
            self.spawn(self._errands.later(answer))
        else:
            del self._unkept[answer.ticket]
            self.post(inputs.RefreshAnswered(answer.ticket, Deferred(why=str(error))))

    # --- for the App -----------------------------------------------------------------------------

    def now(self) -> float:
        """Return the monotonic seconds by which deadlines are told."""
        return self._clock.now()

    def post(self, happening: Input) -> None:
        """Queue an input; to be called on the loop. What has ended takes none."""
        if self._ended is None:
            self._inputs.append(happening)
            self._arrived.set()

    async def ask(self, make: Callable[[int], Input]) -> Any:
        """Post an input that carries a request number, and wait until the engine settles it.

        Raises:
            Closed: the App was closed, before or meanwhile.
        """
        if self._ended is not None:
            raise self._ended
        self._next_call += 1
        request = self._next_call
        settled: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._settling[request] = settled
        try:
            self.post(make(request))
            return await settled
        except asyncio.CancelledError:
            self.post(inputs.RequestCancelled(request))
            raise
        finally:
            del self._settling[request]

    def attach(self, user_id: str, port: ReplicaPort) -> None:
        """Use this replica for the user from now on."""
        self._replicas[user_id] = port

    def detach(self, user_id: str) -> None:
        """Use this user's replica no longer."""
        del self._replicas[user_id]

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work in a task that is kept until it ends and cancelled when the driver closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    async def aclose(self, spare: asyncio.Task[Any] | None = None) -> None:
        """End every task but `spare`, the handler that closes the App, and wait for them."""
        for run in self._sockets.values():
            run.close(1000, "closing")
        ending = self._tasks - {spare}
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        self._errands.end_all()
        self._end("it was closed", remedy="Make a new App")

    def _end(self, why: str, remedy: str) -> None:
        """Take nothing more, and let nobody wait for what will not come."""
        self._ended = Closed("this App does nothing more", why=why, remedy=remedy)
        for waiting in self._settling.values():
            if not waiting.done():
                waiting.set_exception(self._ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of syncauth failed", exc_info=task.exception())

    # --- starting effects ------------------------------------------------------------------------

    def _start(self, effect: Effect) -> None:  # noqa: C901 - one case for each effect
        match effect:
            case Settle():
                self._settle(effect)
            case effects.Send():
                if effect.ticket in self._sockets:
                    self._sockets[effect.ticket].send(effect.message)
            case effects.CloseSocket():
                if effect.ticket in self._sockets:
                    self._sockets[effect.ticket].close(effect.code, effect.reason)
            case effects.OpenSocket():
                self.spawn(self._run_socket(effect))
            case effects.Authenticate():
                self.spawn(self._errands.log_in(effect))
            case effects.HoldRefresh():
                self.spawn(self._errands.hold_refresh(effect.ticket))
            case effects.EndRefresh():
                self._unkept.pop(effect.ticket, None)
                self._errands.end_refresh(effect.ticket)
            case effects.RequestRefresh():
                self.spawn(self._errands.refresh(effect))
            case effects.RevokeWaiting():
                self.spawn(self._errands.revoke())
            case effects.CallReloginHook():
                self.spawn(self._errands.call_hook(effect.event))
            case effects.FinishErasing():
                self.spawn(self._errands.finish_erasing())
            case _:
                self._replicas[effect.ticket.user_id].start(effect, self.post)

    def _settle(self, effect: Settle) -> None:
        waiting = self._settling.get(effect.request)
        if waiting is None or waiting.done():
            return
        if effect.error is not None:
            waiting.set_exception(effect.error)
        else:
            waiting.set_result(effect.result)

    async def _run_socket(self, wanted: effects.OpenSocket) -> None:
        begin = self._replicas[wanted.ticket.user_id].begin_connection
        run = SocketRun(wanted, begin=begin, transport=self._transport, post=self.post)
        self._sockets[wanted.ticket] = run
        try:
            await run.run()
        finally:
            del self._sockets[wanted.ticket]
