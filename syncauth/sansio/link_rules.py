"""
The life of a link: wanted, opened, welcomed, judged, lost.

What an error of the server or the end of a socket means is looked up in `sync_errors`; these rules
carry the verdict out. They move the connection machine; where the session is concerned they call
its rules.
"""

from __future__ import annotations

from typing import Final

from syncauth.errors import InvalidMessage, SyncAuthError, SyncStopped, UsageError
from syncauth.models import (
    ConnectionState,
    PauseReason,
    ReloginReason,
    Secret,
    SessionState,
)
from syncauth.sansio import backoff, flow_rules, refresh_rules, sync_errors
from syncauth.sansio.accounts import Link, SyncWaiter
from syncauth.sansio.connection import ConnectionTrigger
from syncauth.sansio.draft import Draft
from syncauth.sansio.effects import CloseSocket, OpenSocket, PrepareReplica, Send
from syncauth.sansio.inputs import (
    MessageReceived,
    ReplicaFailed,
    ReplicaPrepared,
    SocketLost,
    SocketOpened,
)
from syncauth.sansio.messages import (
    Changes,
    Checkpoint,
    Error,
    Goodbye,
    Hello,
    PushResult,
    Renew,
    Renewed,
    Welcome,
)
from syncauth.sansio.session import SessionTrigger

NORMAL_CLOSE: Final = 1000
RELOGIN_REASONS: Final = {
    "session_revoked": ReloginReason.REVOKED,
    "user_disabled": ReloginReason.USER_DISABLED,
    "user_removed": ReloginReason.USER_REMOVED,
}
_RUNNING: Final = (
    ConnectionState.CONNECTING,
    ConnectionState.CATCHING_UP,
    ConnectionState.LIVE,
)


def open_link(draft: Draft) -> None:
    """Open a socket with the access token, or see to it that there will be one."""
    account = draft.account
    if account.usable(draft.now.monotonic) and account.tokens is not None:
        ticket = draft.ticket()
        draft.change(link=Link(ticket, account.tokens.access))
        draft.do(OpenSocket(ticket, account.tokens.access))
    elif draft.session is SessionState.ACTIVE:
        refresh_rules.want_refresh(draft, SessionTrigger.REFRESH_DUE)


def close_link(draft: Draft, reason: str) -> None:
    """Close the socket; the link is gone when `SocketLost` says so."""
    link = draft.account.link
    if link is not None and not link.closing:
        draft.change_link(closing=True)
        draft.do(CloseSocket(link.ticket, NORMAL_CLOSE, reason))


def opened(draft: Draft, answer: SocketOpened) -> None:
    """The socket is open: say hello."""
    if not flow_rules.is_current(draft, answer.ticket):
        return
    state = answer.state
    draft.change_link(opened=True)
    draft.know(state)
    draft.change(online=True)
    hello = Hello(
        device=state.device,
        incarnation=state.incarnation,
        fencing=state.fencing,
        connection=answer.connection,
        acked=state.acked,
        highest=state.in_flight[-1] if state.in_flight else None,
        checkpoints=dict(state.checkpoints),
        tables=list(state.tables),
        compare=dict(state.compare),
        history=state.history,
    )
    draft.do(Send(answer.ticket, hello))


def begin_again(draft: Draft) -> None:
    """Connect anew, at once, where what this link has told the server no longer holds."""
    account = draft.account
    link, replica = account.link, account.replica
    if link is None or not link.opened or link.closing or replica is None or not replica.again:
        return
    draft.change(connect_at=draft.now.monotonic)
    draft.fire(ConnectionTrigger.LOST)
    close_link(draft, "the tables are to be named anew")


def received(draft: Draft, answer: MessageReceived) -> None:
    """Carry out what a message of the server asks for."""
    if not flow_rules.is_current(draft, answer.ticket):
        return
    message = answer.message
    if isinstance(message, Error):
        _error(draft, message)
    elif isinstance(message, Goodbye):
        draft.change_link(retry_after=_seconds(message.retry_after))
    elif draft.link.welcomed == isinstance(message, Welcome):
        broken = sync_errors.judge("bad_message", "stop")
        _carry_out(draft, broken, "the server broke the order of hello and welcome", None)
    else:
        _take(draft, message)


def _take(draft: Draft, message: Welcome | Renewed | Changes | Checkpoint | PushResult) -> None:
    match message:
        case Welcome():
            _welcomed(draft, message)
        case Renewed():
            _token_taken(draft, message)
        case Changes() | Checkpoint():
            flow_rules.changes_received(draft, message)
        case PushResult():
            flow_rules.result_received(draft, message.result)


def _welcomed(draft: Draft, welcome: Welcome) -> None:
    """Prepare the replica, take the results that were lost, resend what the server has not."""
    draft.fire(ConnectionTrigger.WELCOMED)
    now = draft.now
    draft.change(connect_attempts=0, connect_at=None, online=True, written=True, last_error=None)
    draft.change_link(
        welcomed=True, limits=welcome.limits, push_until=now.monotonic + welcome.life / 1000
    )
    offset = welcome.time - round(now.wall * 1000)
    draft.work(PrepareReplica(draft.link.ticket, welcome.device, offset, welcome.history))
    if welcome.results:
        flow_rules.acknowledge(draft, tuple(welcome.results))
    flow_rules.reload(draft)
    refresh_rules.network_is_back(draft)
    offer_token(draft)


def prepared(draft: Draft, answer: ReplicaPrepared) -> None:
    """Clock offset and device id are durable."""
    draft.worked(answer.state)


def offer_token(draft: Draft) -> None:
    """Hand a newer access token to the open socket."""
    account = draft.account
    link, tokens = account.link, account.tokens
    if link is None or not link.welcomed or link.closing or tokens is None:
        return
    if tokens.access != link.token and account.usable(draft.now.monotonic):
        draft.change_link(token=tokens.access)
        draft.do(Send(link.ticket, Renew(tokens.access.reveal())))


def renew_for_push(draft: Draft) -> None:
    """Renew a token whose told life has ended while there is something to push (I3)."""
    account, link = draft.account, draft.account.link
    if (
        link is None
        or not link.welcomed
        or link.closing
        or draft.session is not SessionState.ACTIVE
    ):
        return
    ended = draft.now.monotonic >= link.push_until
    waiting = account.written or bool(link.queue)
    if ended and waiting and account.tokens is not None and account.tokens.access == link.token:
        refresh_rules.want_refresh(draft, SessionTrigger.REFRESH_DUE)


def _token_taken(draft: Draft, renewed: Renewed) -> None:
    was_blocked = draft.link.blocked
    draft.change_link(push_until=draft.now.monotonic + renewed.life / 1000, blocked=False)
    if was_blocked:
        flow_rules.reload(draft)


def _error(draft: Draft, error: Error) -> None:
    verdict = sync_errors.judge(error.code, error.action)
    if verdict.action == "renew_token":
        _renew(draft, rejected=error.code != "token_expiring")
        return
    if error.last is not None:
        # While the link is blocked everything in flight is sent again after the renewal anyway.
        if not draft.link.blocked:
            flow_rules.reload(draft)
        return
    _carry_out(draft, verdict, error.message, _seconds(error.retry_after))


def _renew(draft: Draft, *, rejected: bool) -> None:
    """The server wants a newer token: offer the one we have, or get one."""
    account, link = draft.account, draft.link
    if rejected:
        draft.change_link(blocked=True)
    if account.tokens is not None and account.tokens.access != link.token:
        offer_token(draft)
    elif draft.session in (SessionState.ACTIVE, SessionState.REFRESHING):
        trigger = SessionTrigger.ACCESS_REJECTED if rejected else SessionTrigger.REFRESH_DUE
        refresh_rules.want_refresh(draft, trigger)


def lost(draft: Draft, answer: SocketLost) -> None:
    """The socket has ended: by our wish, or to be judged."""
    link = draft.account.link
    if link is None or link.ticket != answer.ticket:
        draft.output.dropped += 1
        return
    waiters = tuple(SyncWaiter(each.request, None, 1) for each in draft.account.waiters)
    draft.change(link=None, waiters=waiters)
    if link.closing:
        return
    if answer.status is not None:
        verdict = sync_errors.judge_handshake(answer.status)
    elif answer.code is not None:
        verdict = sync_errors.judge_close(answer.code)
    elif answer.kind == "storage":
        verdict = sync_errors.judge("storage_failed", "retry")
    else:
        verdict = sync_errors.judge_network(answer.kind)
        draft.change(online=draft.account.online and answer.kind == "closed")
    if verdict.action == "renew_token":
        _reject(draft, link.token)
    patience = link.retry_after if answer.retry_after is None else answer.retry_after
    _carry_out(draft, verdict, answer.why, patience)


def _reject(draft: Draft, token: Secret) -> None:
    """The server did not take this token: renew it, unless a newer one is there already."""
    tokens = draft.account.tokens
    same = tokens is not None and tokens.access == token
    if same and draft.session in (SessionState.ACTIVE, SessionState.REFRESHING):
        refresh_rules.want_refresh(draft, SessionTrigger.ACCESS_REJECTED)


def _carry_out(
    draft: Draft, verdict: sync_errors.Verdict, why: str, retry_after: float | None
) -> None:
    match verdict.action:
        case "relogin":
            reason = RELOGIN_REASONS.get(verdict.code, ReloginReason.REVOKED)
            refresh_rules.revoked(draft, reason)
        case "client_reset":
            pause(draft, PauseReason.CLIENT_RESET)
        case "stop":
            pause(draft, PauseReason.INCOMPATIBLE)
        case "retry" | "renew_token":
            back_off(draft, retry_after, why)
        case _:
            pass
    if verdict.shown:
        stopped = verdict.action in ("client_reset", "stop")
        flow_rules.tell_error(draft, verdict.code, why, stopped=stopped)


def pause(draft: Draft, reason: PauseReason) -> None:
    """Hold the connection for a named reason; the coupling in `engine.py` moves the machine."""
    draft.change(paused=draft.account.paused | {reason})


def back_off(draft: Draft, retry_after: float | None, why: str) -> None:
    """Close what is open and plan the next attempt."""
    if draft.connection not in _RUNNING:
        return
    attempts = draft.account.connect_attempts + 1
    wait = backoff.delay(attempts, draft.fraction(), retry_after)
    draft.change(connect_attempts=attempts, connect_at=draft.now.monotonic + wait)
    draft.fire(ConnectionTrigger.LOST)
    close_link(draft, why)


def network_is_back(draft: Draft) -> None:
    """End the back-off early."""
    if draft.connection is ConnectionState.BACKING_OFF:
        draft.change(connect_at=draft.now.monotonic)


def retry(draft: Draft) -> None:
    """Connect again when the time has come."""
    at = draft.account.connect_at
    due = at is not None and draft.now.monotonic >= at
    if draft.connection is ConnectionState.BACKING_OFF and due:
        draft.change(connect_at=None)
        draft.fire(ConnectionTrigger.RETRY)


def replica_failed(draft: Draft, answer: ReplicaFailed) -> None:
    """An effect on the replica raised and did nothing: show it, and come back later."""
    draft.change(working=draft.account.working - 1, written=True)
    verdict = sync_errors.judge(_code_of(answer.error), "retry")
    _carry_out(draft, verdict, str(answer.error), None)


def _code_of(error: SyncAuthError) -> str:
    """Return the catalogue's name for an error of the replica."""
    if isinstance(error, SyncStopped):
        return error.code
    if isinstance(error, InvalidMessage):
        return "bad_message"
    if isinstance(error, UsageError):
        return "schema_mismatch"
    return "storage_failed"


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
