"""
How the driver reaches one open replica: every call runs in the replica's own thread, in order.

An effect becomes one call; its answer, or the error it raised, becomes one input. This module
decides nothing and knows no SQL.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from syncauth.errors import StorageError, SyncAuthError
from syncauth.interfaces import Acknowledged, Replica
from syncauth.sansio import effects, inputs
from syncauth.sansio.inputs import Input
from syncauth.sansio.messages import Changes, Checkpoint
from syncauth.sansio.records import ReplicaState

_Result = TypeVar("_Result")

log = logging.getLogger("syncauth")

ReplicaEffect = (
    effects.CutBatch
    | effects.LoadInFlight
    | effects.AcknowledgeBatches
    | effects.ApplyChanges
    | effects.ReadReplica
    | effects.PrepareReplica
)
Post = Callable[[Input], None]


class Worker(Protocol):
    """A thread that runs blocking calls one after the other, as they were submitted."""

    def submit(self, call: Callable[[], _Result]) -> Future[_Result]:
        """Queue a call and return at once."""
        ...


class ReplicaPort:
    """One open replica and its thread."""

    def __init__(self, replica: Replica, worker: Worker, loop: asyncio.AbstractEventLoop) -> None:
        """Bind the replica to its thread and to the loop that gets the answers."""
        self._replica = replica
        self._worker = worker
        self._loop = loop

    async def begin_connection(self) -> tuple[int, ReplicaState]:
        """Durably raise the connection number and read the state, after all calls before."""

        def begin() -> tuple[int, ReplicaState]:
            return self._replica.begin_connection(), self._replica.state()

        return await asyncio.wrap_future(self._worker.submit(begin))

    async def state(self) -> ReplicaState:
        """Read the state behind everything submitted before."""
        return await asyncio.wrap_future(self._worker.submit(self._replica.state))

    def start(self, effect: ReplicaEffect, post: Post) -> None:
        """Submit the effect; what comes of it is posted on the loop."""

        def run() -> None:
            try:
                answer = carry_out(self._replica, effect)
            except SyncAuthError as error:
                answer = inputs.ReplicaFailed(effect.ticket, error)
            except Exception as error:  # whatever it is, the engine must not wait for ever
                log.exception("an effect on the replica failed")
                what = "the replica failed in a way that nobody foresaw"
                failed = StorageError(
                    what, why=type(error).__name__, remedy="Report it with the log"
                )
                answer = inputs.ReplicaFailed(effect.ticket, failed)
            self._loop.call_soon_threadsafe(post, answer)

        self._worker.submit(run)


def carry_out(replica: Replica, effect: ReplicaEffect) -> Input:
    """Make the call that an effect stands for and return its answer; raises `SyncAuthError`."""
    ticket = effect.ticket
    match effect:
        case effects.CutBatch():
            cut = replica.cut(rows=effect.rows, size=effect.size)
            return inputs.BatchCut(ticket, cut.batch, cut.state, cut.refused)
        case effects.LoadInFlight():
            return inputs.InFlightLoaded(ticket, tuple(replica.batches_in_flight(0)))
        case effects.AcknowledgeBatches():
            done = replica.acknowledge(effect.results)
            return inputs.BatchesAcknowledged(ticket, done.state, done.refused)
        case effects.ApplyChanges():
            done = receive(replica, effect.changes)
            return inputs.ChangesApplied(
                ticket, effect.changes, done.state, done.refused, done.restored
            )
        case effects.ReadReplica():
            return inputs.ReplicaRead(ticket, replica.state())
        case effects.PrepareReplica():
            return inputs.ReplicaPrepared(ticket, prepare(replica, effect))


def receive(replica: Replica, message: Changes | Checkpoint) -> Acknowledged:
    """Apply a page or record a checkpoint."""
    if isinstance(message, Checkpoint):
        return replica.reach(message)
    return replica.apply(message)


def prepare(replica: Replica, effect: effects.PrepareReplica) -> ReplicaState:
    """Keep the clock offset, and history and device id if the server told other ones.

    The history comes first: what this connection brings belongs to it.
    """
    state = replica.state()
    if effect.history and state.history != effect.history:
        replica.follow_history(effect.history)
    replica.set_clock_offset(effect.offset_ms)
    state = replica.state()
    if state.device != effect.device:
        state = replica.adopt_device(effect.device)
    return state
