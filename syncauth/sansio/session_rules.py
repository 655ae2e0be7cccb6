"""
What happens to a session: login, renewal, the end, logout. Each rule changes one draft.

A rule fires the machine, replaces the account's data and asks for writes and effects; it never
looks at the connection, which `engine.py` couples afterwards. Sources of the rules: RFC 6749
section 6 and RFC 9700 section 4.14 (rotation), and the failures of clients that ended sessions by a
clock of their own.
"""

from __future__ import annotations

from typing import Final

from syncauth.events import (
    LoggedIn,
    LoggedOut,
    RefreshDeferred,
    SessionUncertain,
    SyncErrorRaised,
    TokensRenewed,
)
from syncauth.models import (
    Deferred,
    Login,
    Misconfigured,
    PauseReason,
    Refused,
    ReloginReason,
    Renewed,
    SessionState,
)
from syncauth.sansio import backoff, tokens
from syncauth.sansio.accounts import Account, Episode
from syncauth.sansio.draft import Draft
from syncauth.sansio.effects import (
    FinishErasing,
    PutExpired,
    PutLogin,
    PutLogout,
    PutMark,
    PutTokens,
    RequestRefresh,
    RevokeWaiting,
)
from syncauth.sansio.inputs import RefreshAnswered
from syncauth.sansio.session import SessionTrigger

ATTEMPT_FLOOR_SECONDS: Final = 1.0
MISCONFIGURED_RETRY_SECONDS: Final = 300.0
STORE_RETRY_SECONDS: Final = 1.0
STORE_FAILED: Final = "storage_failed"
DOUBTFUL_ANSWERS: Final = 3
DOUBTFUL_SECONDS: Final = 120.0


def logged_in(draft: Draft, login: Login) -> None:
    """Take the tokens of a login: a new epoch begins, an episode ends."""
    draft.fire(SessionTrigger.LOG_IN)
    epoch = draft.account.epoch + 1
    draft.write(PutLogin(login, epoch, draft.now.wall))
    replaced = draft.account.tokens is not None
    draft.reset_refresh()
    draft.change(
        epoch=epoch,
        device_id=login.device_id,
        profile=login.profile,
        current=True,
        tokens=login.tokens,
        received_at=draft.now.monotonic,
        rejected=False,
        online=True,
        episode=None,
        paused=draft.account.paused - {PauseReason.MISCONFIGURED},
        connect_attempts=0,
        connect_at=None,
    )
    draft.tell(LoggedIn(login.user_id, draft.now.wall))
    if replaced:
        draft.do(RevokeWaiting())


def logged_out(draft: Draft, *, forget: bool) -> None:
    """Erase the tokens first and take a new epoch.

    What is still out comes back to nobody (I7, I8).
    """
    draft.fire(SessionTrigger.LOG_OUT)
    epoch = draft.account.epoch + 1
    draft.write(PutLogout(draft.account.user_id, epoch, forget))
    forget_session(draft, epoch)
    draft.tell(LoggedOut(draft.account.user_id, draft.now.wall))
    draft.do(FinishErasing())
    if not forget:
        draft.do(RevokeWaiting())


def forget_session(draft: Draft, epoch: int) -> None:
    """Keep nothing in memory of a session that is no more."""
    draft.reset_refresh()
    paused = draft.account.paused - {PauseReason.MISCONFIGURED}
    draft.change(
        epoch=epoch, current=False, tokens=None, rejected=False, episode=None, paused=paused
    )


def want_refresh(draft: Draft, trigger: SessionTrigger) -> None:
    """Ask for a renewed pair: join the request that is out, wait for the back-off, or start one."""
    draft.fire(trigger)
    if trigger is SessionTrigger.ACCESS_REJECTED:
        draft.change(rejected=True)
    attempt_refresh(draft)


def attempt_refresh(draft: Draft) -> None:
    """Start a request if none is out and its time has come; else plan its time."""
    refresh, now = draft.account.refresh, draft.now.monotonic
    if refresh.ticket is not None:
        return
    earliest = now if refresh.started_at is None else refresh.started_at + ATTEMPT_FLOOR_SECONDS
    if refresh.attempts and refresh.retry_at is not None:
        earliest = max(earliest, refresh.retry_at)
    if now < earliest:
        draft.change_refresh(retry_at=earliest)
    elif not draft.now.durable:
        _put_off(draft)
    else:
        _start_refresh(draft)


def _put_off(draft: Draft) -> None:
    """The mark of a refresh cannot be kept now: nothing is sent, and it is tried again soon."""
    draft.change_refresh(retry_at=draft.now.monotonic + STORE_RETRY_SECONDS)
    if draft.account.last_error != STORE_FAILED:
        why = "the credential store takes no writes, so that no token can be renewed"
        draft.change(last_error=STORE_FAILED)
        user, wall = draft.account.user_id, draft.now.wall
        draft.tell(SyncErrorRaised(user, wall, code=STORE_FAILED, why=why, stopped=False))


def _start_refresh(draft: Draft) -> None:
    account = draft.account
    if account.tokens is None:
        message = "a session that refreshes has tokens"
        raise AssertionError(message)
    refresh_id = account.refresh.refresh_id or draft.identifier()
    ticket = draft.ticket()
    now = draft.now.monotonic
    draft.change_refresh(refresh_id=refresh_id, ticket=ticket, started_at=now, retry_at=None)
    draft.write(PutMark(account.user_id, account.epoch, account.tokens.refresh, refresh_id))
    draft.do(RequestRefresh(ticket, account.tokens.refresh, refresh_id))


def refresh_answered(draft: Draft, answer: RefreshAnswered) -> None:
    """Take the judgement of the provider's adapter.

    One that is not of the request that is out is dropped.
    """
    if draft.account.refresh.ticket != answer.ticket:
        draft.output.dropped += 1
        return
    draft.change_refresh(ticket=None)
    match answer.answer:
        case Renewed():
            _renewed(draft, answer.answer)
        case Deferred():
            _deferred(draft, answer.answer)
        case Misconfigured():
            _misconfigured(draft, answer.answer)
        case Refused():
            draft.fire(SessionTrigger.REFRESH_REFUSED)
            end_session(draft, answer.answer.reason)


def _renewed(draft: Draft, answer: Renewed) -> None:
    account = draft.account
    if account.tokens is None:
        message = "a session that refreshes has tokens"
        raise AssertionError(message)
    draft.fire(SessionTrigger.TOKENS_RENEWED)
    now = draft.now
    draft.write(
        PutTokens(account.user_id, account.epoch, account.tokens.refresh, answer.tokens, now.wall)
    )
    started_at = account.refresh.started_at
    draft.reset_refresh()
    draft.change_refresh(started_at=started_at)
    draft.change(
        tokens=answer.tokens,
        received_at=now.monotonic,
        rejected=False,
        online=True,
        paused=account.paused - {PauseReason.MISCONFIGURED},
    )
    draft.tell(TokensRenewed(account.user_id, now.wall))


def _deferred(draft: Draft, answer: Deferred) -> None:
    account, now = draft.account, draft.now
    usable = account.usable(now.monotonic)
    attempts = account.refresh.attempts + 1
    wait = backoff.delay(attempts, draft.fraction(), answer.retry_after)
    draft.fire(
        SessionTrigger.REFRESH_DEFERRED if usable else SessionTrigger.REFRESH_DEFERRED_UNUSABLE
    )
    draft.change_refresh(attempts=attempts, retry_at=now.monotonic + wait)
    draft.change(online=answer.online)
    draft.tell(RefreshDeferred(account.user_id, now.wall, answer.why, answer.online, wait))
    _count_doubt(draft, answer)


def _count_doubt(draft: Draft, answer: Deferred) -> None:
    """Tell the app once, after minutes of answers that only something in between gives."""
    refresh, now = draft.account.refresh, draft.now
    if not answer.doubtful:
        draft.change_refresh(doubtful=0, uncertain_told=False)
        return
    since = refresh.doubtful_since if refresh.doubtful else now.monotonic
    count = refresh.doubtful + 1
    draft.change_refresh(doubtful=count, doubtful_since=since)
    lasting = now.monotonic - since >= DOUBTFUL_SECONDS
    if count >= DOUBTFUL_ANSWERS and lasting and not refresh.uncertain_told:
        draft.change_refresh(uncertain_told=True)
        draft.tell(SessionUncertain(draft.account.user_id, now.wall, answer.why, count))


def _misconfigured(draft: Draft, answer: Misconfigured) -> None:
    account, now = draft.account, draft.now
    draft.fire(SessionTrigger.REFRESH_MISCONFIGURED)
    retry_at = now.monotonic + MISCONFIGURED_RETRY_SECONDS
    draft.change_refresh(attempts=account.refresh.attempts + 1, retry_at=retry_at)
    told = PauseReason.MISCONFIGURED in account.paused
    draft.change(online=True, paused=account.paused | {PauseReason.MISCONFIGURED})
    if not told:
        draft.change(last_error="misconfigured")
        draft.tell(
            SyncErrorRaised(
                account.user_id, now.wall, code="misconfigured", why=answer.why, stopped=True
            )
        )


def end_session(draft: Draft, reason: ReloginReason) -> None:
    """Begin an episode; the machine has been moved to refresh_expired by the caller."""
    account = draft.account
    if account.tokens is not None:
        draft.write(
            PutExpired(
                account.user_id,
                account.epoch,
                account.tokens.refresh,
                draft.identifier(),
                reason,
                draft.now.wall,
            )
        )
    draft.reset_refresh()
    episode = Episode(draft.identifier(), reason, draft.now.wall)
    paused = account.paused - {PauseReason.MISCONFIGURED}
    draft.change(tokens=None, rejected=False, episode=episode, paused=paused)


def revoked(draft: Draft, reason: ReloginReason) -> None:
    """The server told on the open socket that the session has ended."""
    if draft.session not in (SessionState.ACTIVE, SessionState.REFRESHING):
        return
    if draft.now.durable:
        draft.fire(SessionTrigger.SESSION_REVOKED)
        end_session(draft, reason)
    else:  # the next refresh is told the same, when that can be kept
        want_refresh(draft, SessionTrigger.ACCESS_REJECTED)


def network_is_back(draft: Draft) -> None:
    """End the back-off early; called at any sign of the network."""
    if draft.account.refresh.attempts:
        draft.change_refresh(retry_at=draft.now.monotonic)


def refresh_due_at(account: Account, session: SessionState) -> float | None:
    """Return the monotonic second at which the session wants to act, or None."""
    refresh = account.refresh
    if session not in (SessionState.ACTIVE, SessionState.REFRESHING) or refresh.ticket is not None:
        return None
    if refresh.retry_at is not None:
        return refresh.retry_at
    if session is SessionState.REFRESHING:
        return None
    if account.tokens is None:
        return None
    return tokens.refresh_at(account.received_at, account.tokens.life)
