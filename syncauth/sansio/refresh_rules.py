"""
How a pair of tokens is renewed: wanted, held, sent, judged, or put off. Each rule changes one draft.

One process at a time renews a user's pair (I4): it holds the user's refresh lock, reads the store
again, and only then writes the durable mark and sends the request. The lock is given back with the
decision that takes the answer. Sources of the rules: RFC 6749 section 6 and RFC 9700 section 4.14
(rotation), and the failures of clients that ended sessions by a clock of their own. These rules
never look at the connection, which `engine.py` couples afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from syncauth.events import RefreshDeferred, SessionUncertain, SyncErrorRaised, TokensRenewed
from syncauth.models import (
    Deferred,
    Misconfigured,
    PauseReason,
    Refused,
    ReloginReason,
    Renewed,
    SessionState,
)
from syncauth.sansio import backoff, session_rules, tokens
from syncauth.sansio.accounts import Account
from syncauth.sansio.draft import Draft
from syncauth.sansio.effects import (
    HoldRefresh,
    PutMark,
    PutRevocation,
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
        put_off(draft)
    else:
        ticket = draft.ticket()
        draft.change_refresh(ticket=ticket, started_at=now, retry_at=None)
        draft.do(HoldRefresh(ticket))


def held(draft: Draft, fence: int, mark: str | None) -> None:
    """The lock is held and the store is as we know it: mark the refresh durably, then send it.

    `mark` is the refresh id that stands in the store: somebody has begun with it before.
    """
    account, refresh = draft.account, draft.account.refresh
    if not draft.now.durable:
        draft.change_refresh(ticket=None)
        put_off(draft)
        return
    if account.tokens is None or refresh.ticket is None:
        message = "a refresh that is held has tokens and a ticket"
        raise AssertionError(message)
    own = mark is not None and mark == refresh.refresh_id
    refresh_id = mark or draft.identifier()
    maybe_sent = refresh.maybe_sent if own else mark is not None
    draft.change_refresh(refresh_id=refresh_id, fence=fence, maybe_sent=maybe_sent)
    token = account.tokens.refresh
    draft.write(PutMark(account.user_id, account.epoch, token, refresh_id, fence))
    draft.do(RequestRefresh(refresh.ticket, token, refresh_id))


def not_held(draft: Draft) -> None:
    """The store failed before the refresh began."""
    draft.change_refresh(ticket=None)
    put_off(draft)


def put_off(draft: Draft) -> None:
    """The mark of a refresh cannot be kept now: nothing is sent, and it is tried again soon."""
    attempts = draft.account.refresh.attempts + 1
    draft.change_refresh(attempts=attempts, retry_at=draft.now.monotonic + STORE_RETRY_SECONDS)
    if draft.account.last_error != STORE_FAILED:
        why = "the credential store takes no writes, so that no token can be renewed"
        draft.change(last_error=STORE_FAILED)
        user, wall = draft.account.user_id, draft.now.wall
        draft.tell(SyncErrorRaised(user, wall, code=STORE_FAILED, why=why, stopped=False))


def answered(draft: Draft, answer: RefreshAnswered, *, repeat_safe: bool) -> None:
    """Take the judgement of the provider's adapter.

    One that is not of the request that is out is dropped.
    """
    refresh = draft.account.refresh
    if refresh.ticket != answer.ticket:
        draft.output.dropped += 1
        _revoke_late(draft, answer)
        return
    draft.change_refresh(ticket=None)
    match answer.answer:
        case Renewed(user_id=named) if named not in (None, draft.account.user_id):
            # OpenID Connect Core 1.0, section 12.2. No judgement on this user's session; and the
            # pair is not revoked, since its user lives elsewhere.
            why = "the answer has tokens of another user"
            _deferred(draft, Deferred(why, doubtful=True))
        case Renewed():
            _renewed(draft, answer.answer)
        case Deferred():
            _deferred(draft, answer.answer)
        case Misconfigured():
            _misconfigured(draft, answer.answer)
        case Refused():
            lost = refresh.maybe_sent and not repeat_safe
            reason = ReloginReason.ROTATION_ANSWER_LOST if lost else answer.answer.reason
            draft.fire(SessionTrigger.REFRESH_REFUSED, reason.value)
            session_rules.end_session(draft, reason)
    draft.change_refresh(fence=None)


def _revoke_late(draft: Draft, answer: RefreshAnswered) -> None:
    """A pair of a session that has ended meanwhile must not live (I8); the issuer may know it alone.

    While a session of the same epoch goes on, nothing is revoked: some issuers end it as a whole.
    """
    account, renewed = draft.account, answer.answer
    over = account.tokens is None or account.epoch != answer.ticket.epoch
    if not isinstance(renewed, Renewed) or not over or not draft.now.durable:
        return
    if renewed.user_id not in (None, account.user_id):
        return
    if account.tokens is None or account.tokens.refresh != renewed.tokens.refresh:
        draft.write(PutRevocation(renewed.tokens.refresh))
        draft.do(RevokeWaiting())


def _renewed(draft: Draft, answer: Renewed) -> None:
    account, now, pair = draft.account, draft.now, answer.tokens
    if account.tokens is None:
        message = "a session that refreshes has tokens"
        raise AssertionError(message)
    same_end = pair.refresh == account.tokens.refresh
    if same_end:  # it lives from its receipt; what is left of it is no life of its own
        pair = replace(pair, refresh_life=account.tokens.refresh_life)
    draft.fire(SessionTrigger.TOKENS_RENEWED)
    user, epoch, fence = account.user_id, account.epoch, account.refresh.fence
    draft.write(PutTokens(user, epoch, account.tokens.refresh, pair, now.wall, fence))
    started_at = account.refresh.started_at
    draft.reset_refresh()
    draft.change_refresh(started_at=started_at)
    draft.change(
        tokens=pair,
        received_at=now.monotonic,
        refresh_ends_at=account.refresh_ends_at
        if same_end
        else session_rules.ends_at(pair.refresh_life, now.wall),
        rejected=False,
        online=True,
        paused=account.paused - {PauseReason.MISCONFIGURED},
    )
    draft.tell(TokensRenewed(user, now.wall))


def _deferred(draft: Draft, answer: Deferred) -> None:
    account, now = draft.account, draft.now
    usable = account.usable(now.monotonic)
    attempts = account.refresh.attempts + 1
    wait = backoff.delay(attempts, draft.fraction(), answer.retry_after)
    draft.fire(
        SessionTrigger.REFRESH_DEFERRED if usable else SessionTrigger.REFRESH_DEFERRED_UNUSABLE
    )
    maybe_sent = account.refresh.maybe_sent or answer.sent
    draft.change_refresh(attempts=attempts, retry_at=now.monotonic + wait, maybe_sent=maybe_sent)
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


def revoked(draft: Draft, reason: ReloginReason) -> None:
    """The server told on the open socket that the session has ended."""
    if draft.session not in (SessionState.ACTIVE, SessionState.REFRESHING):
        return
    if draft.now.durable:
        draft.fire(SessionTrigger.SESSION_REVOKED, reason.value)
        session_rules.end_session(draft, reason)
    else:  # the next refresh is told the same, when that can be kept
        want_refresh(draft, SessionTrigger.ACCESS_REJECTED)


def network_is_back(draft: Draft) -> None:
    """End the back-off early; called at any sign of the network."""
    if draft.account.refresh.attempts:
        draft.change_refresh(retry_at=draft.now.monotonic)


def due_at(account: Account, session: SessionState) -> float | None:
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
