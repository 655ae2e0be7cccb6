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

from syncauth.errors import StorageError, SyncAuthError
from syncauth.events import Event, ReloginRequired
from syncauth.interfaces import (
    Clock,
    CredentialStore,
    IdentityProvider,
    Randomness,
    StaleWrite,
    SyncTransport,
)
from syncauth.models import Deferred
from syncauth.replica_port import ReplicaPort
from syncauth.sansio import effects, inputs
from syncauth.sansio.effects import Effect, Settle
from syncauth.sansio.engine import Decision, Engine
from syncauth.sansio.inputs import Input, Moment
from syncauth.sockets import SocketRun

ENTROPY_BYTES: Final = 32
STORAGE_RETRY_SECONDS: Final = 1.0
ERASE_RETRY_SECONDS: Final = 1.0

log = logging.getLogger("syncauth")


class Driver:
    """Feeds the engine and carries out what it decides, on one event loop."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        randomness: Randomness,
        store: CredentialStore,
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
        self._provider = provider
        self._transport = transport
        self._publish_event = publish
        self._hook = hook
        self._inputs: deque[Input] = deque()
        self._arrived = asyncio.Event()
        self._not_before = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: dict[effects.Ticket, SocketRun] = {}
        self._replicas: dict[str, ReplicaPort] = {}
        self._settling: dict[int, asyncio.Future[str | None]] = {}
        self._next_call = 0

    # --- the loop --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self.step(await self._next_input())  # the app, the network or a deadline; one queue

    def step(self, happening: Input) -> None:
        """Take one input to its end: durable first, then true, then visible, then outside."""
        decision = self.engine.decide(happening, self._moment())
        if not self._commit(happening, decision):
            return
        self.engine.adopt(decision)
        for event in decision.events:
            self._publish_event(event)
        for effect in decision.effects:
            self._start(effect)

    async def _next_input(self) -> Input:
        while not self._inputs:
            self._arrived.clear()
            deadline = self.engine.next_deadline()
            if deadline is None:
                await self._arrived.wait()
                continue
            wait = max(deadline, self._not_before) - self._clock.now()
            if wait <= 0:
                return inputs.DeadlineReached()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), wait)
        return self._inputs.popleft()

    def _moment(self) -> Moment:
        entropy = self._randomness.token(ENTROPY_BYTES)
        return Moment(self._clock.now(), self._clock.wall(), entropy)

    def _commit(self, happening: Input, decision: Decision) -> bool:
        """Make the writes durable; if that fails nothing of the decision happens."""
        if not decision.writes:
            return True
        try:
            self._store.commit(decision.writes)
        except StaleWrite:
            self.post(inputs.SessionsReread(tuple(self._store.load())))
        except StorageError as error:
            log.warning("the credential store refused a write: %s", error)
            self._not_before = self._clock.now() + STORAGE_RETRY_SECONDS
            self._give_back(happening, error)
        else:
            return True
        return False

    def _give_back(self, happening: Input, error: StorageError) -> None:
        """Answer what waits for a decision that could not be made durable.

        A renewal will be repeated.
        """
        match happening:
            case inputs.LogInAnswered(request=request):
                self.post(inputs.LogInAnswered(request, error))
            case inputs.LogOutRequested(request=request):
                self._settle(Settle(request, error=error))
            case inputs.RefreshAnswered(ticket=ticket):
                self.post(inputs.RefreshAnswered(ticket, Deferred(why=str(error))))
            case _:
                pass

    # --- for the App -----------------------------------------------------------------------------

    def post(self, happening: Input) -> None:
        """Queue an input; to be called on the loop."""
        self._inputs.append(happening)
        self._arrived.set()

    async def ask(self, make: Callable[[int], Input]) -> str | None:
        """Post an input that carries a request number, and wait until the engine settles it."""
        self._next_call += 1
        request = self._next_call
        settled: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._settling[request] = settled
        try:
            self.post(make(request))
            return await settled
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
        task.add_done_callback(self._ended)
        return task

    async def aclose(self) -> None:
        """End every task and wait for it; a handler that closes the App is let go on."""
        for run in self._sockets.values():
            run.close(1000, "closing")
        ending = self._tasks - {asyncio.current_task()}
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
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
                self.spawn(self._authenticate(effect))
            case effects.RequestRefresh():
                self.spawn(self._refresh(effect))
            case effects.RevokeWaiting():
                self.spawn(self._revoke())
            case effects.RereadSessions():
                self.post(inputs.SessionsReread(tuple(self._store.load())))
            case effects.CallReloginHook():
                self.spawn(self._call_hook(effect.event))
            case effects.FinishErasing():
                self.spawn(self._finish_erasing())
            case _:
                self._replicas[effect.ticket.user_id].start(effect, self.post)

    def _settle(self, effect: Settle) -> None:
        waiting = self._settling.get(effect.request)
        if waiting is None or waiting.done():
            return
        if effect.error is not None:
            waiting.set_exception(effect.error)
        else:
            waiting.set_result(effect.user_id)

    async def _run_socket(self, wanted: effects.OpenSocket) -> None:
        begin = self._replicas[wanted.ticket.user_id].begin_connection
        run = SocketRun(wanted, begin=begin, transport=self._transport, post=self.post)
        self._sockets[wanted.ticket] = run
        try:
            await run.run()
        finally:
            del self._sockets[wanted.ticket]

    async def _authenticate(self, wanted: effects.Authenticate) -> None:
        try:
            login = await self._provider.log_in(wanted.credentials)
        except SyncAuthError as error:
            self.post(inputs.LogInAnswered(wanted.request, error))
        else:
            self.post(inputs.LogInAnswered(wanted.request, login))

    async def _refresh(self, wanted: effects.RequestRefresh) -> None:
        answer = await self._provider.refresh(wanted.refresh_token, wanted.refresh_id)
        self.post(inputs.RefreshAnswered(wanted.ticket, answer))

    async def _revoke(self) -> None:
        for number, token in self._store.waiting_revocations():
            confirmed = await self._provider.revoke(token)
            self.post(inputs.RevokeAnswered(number, confirmed))

    async def _call_hook(self, event: ReloginRequired) -> None:
        """Call the app's handler; whatever it does, the engine learns that it is over."""
        try:
            await self._hook(event)
        except Exception:
            log.exception("on_relogin_required raised; it is called again after request_relogin()")
        finally:
            self.post(inputs.HookReturned(event.user_id, event.episode))

    async def _finish_erasing(self) -> None:
        """Truncate the store's log; while another process reads, try again."""
        while not self._store.finish_erasing():  # noqa: ASYNC110 - nobody tells when it has read
            await asyncio.sleep(ERASE_RETRY_SECONDS)
