"""
How changes flow over a welcomed link: cut, push, acknowledge, apply, answer `wait_synced`.

Nothing is pushed after the life that the server told has run out, nor while it refuses the token
(I3); batches leave in the order of their numbers, as many at once as the window allows, and are
judged in that order. A rule here moves a link and the connection machine; it never touches a
session.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from syncauth.errors import Closed
from syncauth.events import (
    CaptureRestored,
    ChangeRejected,
    ChangesReceived,
    SyncErrorRaised,
    Uploaded,
)
from syncauth.models import ConnectionState, DeadLetter, SessionState
from syncauth.sansio.accounts import SyncWaiter
from syncauth.sansio.connection import ConnectionTrigger
from syncauth.sansio.draft import Draft
from syncauth.sansio.effects import (
    AcknowledgeBatches,
    ApplyChanges,
    CutBatch,
    LoadInFlight,
    ReadReplica,
    Send,
    Settle,
    Ticket,
)
from syncauth.sansio.inputs import (
    BatchCut,
    BatchesAcknowledged,
    ChangesApplied,
    InFlightLoaded,
    ReplicaRead,
    SyncWanted,
)
from syncauth.sansio.messages import (
    BatchResult,
    Changes,
    Checkpoint,
    Push,
    Received,
    Subscribe,
)
from syncauth.sansio.records import ReplicaState


def may_push(draft: Draft) -> bool:
    """Tell whether a push may start now (I3)."""
    link = draft.account.link
    if link is None or not link.welcomed or link.closing or link.blocked:
        return False
    if draft.session not in (SessionState.ACTIVE, SessionState.REFRESHING):
        return False
    return draft.now.monotonic < link.push_until


def pump(draft: Draft) -> None:
    """Send what is ready, and cut the next batch when the window has room for it."""
    link = draft.account.link
    if not may_push(draft) or link is None or link.limits is None:
        return
    queue, outstanding = list(link.queue), list(link.outstanding)
    while queue and len(outstanding) < link.limits.window:
        batch = queue.pop(0)
        outstanding.append(batch.number)
        sections = msgspec.Raw(batch.sections)
        draft.do(Send(link.ticket, Push(batch.number, acked(draft), sections)))
    draft.change_link(queue=tuple(queue), outstanding=tuple(outstanding))
    room = len(queue) + len(outstanding) < link.limits.window
    if room and draft.account.written and not link.cutting and not link.loading:
        draft.change(written=False, uncounted=False)
        draft.change_link(cutting=True)
        draft.work(CutBatch(link.ticket, link.limits.batch_rows, link.limits.batch_bytes))


def written(draft: Draft) -> None:
    """Somebody has committed to the replica."""
    draft.change(written=True, uncounted=True, uploading=True)


def keep_count(draft: Draft) -> None:
    """While nothing can be cut, read at least how much waits, once at a time."""
    account = draft.account
    if account.uncounted and account.working == 0 and account.replica is not None:
        draft.work(ReadReplica(draft.ticket()))
        draft.change(uncounted=False)


def reload(draft: Draft) -> None:
    """Send again, in their order, all batches in flight.

    What is judged by then is no longer among them.
    """
    if not draft.link.loading:
        draft.change_link(queue=(), outstanding=(), loading=True)
        draft.work(LoadInFlight(draft.link.ticket))


def acked(draft: Draft) -> int:
    """Return the highest batch whose result is committed here; 0 for none."""
    replica = draft.account.replica
    return replica.acked.batch if replica is not None and replica.acked is not None else 0


def batch_cut(draft: Draft, answer: BatchCut) -> None:
    """A batch is durable in flight: queue it, if the link that wanted it is still there."""
    _take_state(draft, answer.state)
    _tell_refused(draft, answer.refused)
    if answer.batch is not None and answer.state.pending:
        draft.change(written=True)
    if is_current(draft, answer.ticket):
        queue = draft.link.queue if answer.batch is None else (*draft.link.queue, answer.batch)
        draft.change_link(cutting=False, queue=queue)


def in_flight_loaded(draft: Draft, answer: InFlightLoaded) -> None:
    """The batches to be sent again are here."""
    draft.change(working=draft.account.working - 1)
    if is_current(draft, answer.ticket) and draft.link.loading:
        draft.change_link(loading=False, queue=answer.batches)


def result_received(draft: Draft, result: BatchResult) -> None:
    """The server judged a batch: make it durable, and room in the window.

    A repeated answer is dropped.
    """
    outstanding = draft.link.outstanding
    if result.batch not in outstanding:
        draft.output.dropped += 1
        return
    draft.change_link(outstanding=tuple(each for each in outstanding if each != result.batch))
    acknowledge(draft, (result,))


def acknowledge(draft: Draft, results: tuple[BatchResult, ...]) -> None:
    """Make results durable."""
    draft.work(AcknowledgeBatches(draft.link.ticket, results))


def batches_acknowledged(draft: Draft, answer: BatchesAcknowledged) -> None:
    """Results are durable here.

    Tell the app what was refused, and the server that it may forget them.
    """
    _take_state(draft, answer.state)
    _tell_refused(draft, answer.refused)
    if answer.state.pending:  # a refusal may have made entries unsent again
        draft.change(written=True)
    link = draft.account.link
    if is_current(draft, answer.ticket) and link is not None and not link.outstanding:
        confirm(draft)


def changes_received(draft: Draft, message: Changes | Checkpoint) -> None:
    """A page or a checkpoint came: apply it."""
    draft.work(ApplyChanges(draft.link.ticket, message))


def changes_applied(draft: Draft, answer: ChangesApplied) -> None:
    """A page or checkpoint is durable: confirm it, and see how far we are."""
    message = answer.message
    _take_state(draft, answer.state)
    _tell_refused(draft, answer.refused)
    now, user = draft.now.wall, draft.account.user_id
    if isinstance(message, Changes):
        draft.tell(ChangesReceived(user, now, dict(message.cursors)))
    if answer.restored:
        draft.tell(CaptureRestored(user, now, answer.restored))
        draft.change(written=True)
    if not is_current(draft, answer.ticket):
        return
    confirm(draft)
    if isinstance(message, Checkpoint):
        draft.change_link(answered=draft.link.answered + 1)
        _settle_waiters(draft)
    complete = isinstance(message, Checkpoint) or message.complete
    if complete and draft.connection is ConnectionState.CATCHING_UP:
        draft.fire(ConnectionTrigger.CAUGHT_UP)
    elif not complete and draft.connection is ConnectionState.LIVE:
        draft.fire(ConnectionTrigger.FELL_BEHIND)


def replica_read(draft: Draft, answer: ReplicaRead) -> None:
    """The state was read afresh."""
    _take_state(draft, answer.state)


def confirm(draft: Draft) -> None:
    """Tell the server what is committed here."""
    replica = draft.account.replica
    if replica is not None:
        message = Received(dict(replica.checkpoints), acked(draft))
        draft.do(Send(draft.link.ticket, message))


def sync_wanted(draft: Draft, wanted: SyncWanted) -> None:
    """`wait_synced`.

    Ask the server on this link, or let the first answer of the next link serve.
    """
    link = draft.account.link
    if link is None or not link.welcomed or link.closing:
        waiter = SyncWaiter(wanted.request, None, 1)
    else:
        asked = link.asked + 1
        draft.change_link(asked=asked)
        tables = draft.account.replica.tables if draft.account.replica is not None else ()
        draft.do(Send(link.ticket, Subscribe(list(tables))))
        waiter = SyncWaiter(wanted.request, link.ticket.request, asked)
    draft.change(waiters=(*draft.account.waiters, waiter))


def end_waiting(draft: Draft) -> None:
    """Nothing is received any more: whoever waits for it is told so."""
    for waiter in draft.account.waiters:
        error = Closed("the replica was closed", remedy="Open it again and wait anew")
        draft.do(Settle(waiter.request, error=error))
    draft.change(waiters=())


def _settle_waiters(draft: Draft) -> None:
    link, left = draft.link, []
    for waiter in draft.account.waiters:
        needed = waiter.needed if waiter.link == link.ticket.request else 1
        if link.answered >= needed:
            draft.do(Settle(waiter.request))
        else:
            left.append(waiter)
    draft.change(waiters=tuple(left))


def is_current(draft: Draft, ticket: Ticket) -> bool:
    """Tell whether this ticket is of the link that is there now.

    One that is not is counted (I7).
    """
    link = draft.account.link
    if link is not None and link.ticket == ticket and not link.closing:
        return True
    draft.output.dropped += 1
    return False


def _take_state(draft: Draft, state: ReplicaState) -> None:
    draft.worked(state)
    if state.pending or state.in_flight_changes:
        draft.change(uploading=True)
    elif draft.account.uploading and not draft.account.written:
        draft.change(uploading=False)
        draft.tell(Uploaded(draft.account.user_id, draft.now.wall))


def _tell_refused(draft: Draft, refused: Iterable[DeadLetter]) -> None:
    for letter in refused:
        draft.tell(ChangeRejected(draft.account.user_id, draft.now.wall, letter))


def tell_error(draft: Draft, code: str, why: str, *, stopped: bool) -> None:
    """Show the app an error of sync."""
    draft.change(last_error=code)
    draft.tell(
        SyncErrorRaised(draft.account.user_id, draft.now.wall, code=code, why=why, stopped=stopped)
    )
