"""
What concerns more than one user: logins, who is current, logouts, removals, and what others stored.

As long as anybody is logged in somebody is the current user: a logout of the current one makes the
first other one current. A login under way is data here, not a state; a logout of whomever drops it
(I8). These rules never look at the connection.
"""

from __future__ import annotations

from typing import Final

from syncauth.errors import NotLoggedInError, SyncAuthError
from syncauth.events import LoggedIn, UserSwitched
from syncauth.models import Login, PauseReason, Renewed, SessionState
from syncauth.sansio import backoff, inputs, refresh_rules, session_rules, start_rules
from syncauth.sansio.accounts import Account
from syncauth.sansio.draft import Draft
from syncauth.sansio.effects import (
    Authenticate,
    DropRevocation,
    PutCurrent,
    PutRevocation,
    RevokeWaiting,
)
from syncauth.sansio.records import StoredUser
from syncauth.sansio.roster import Roster

ANONYMOUS: Final = "anon-user"
_LIVE: Final = (SessionState.ACTIVE, SessionState.REFRESHING)


def started(roster: Roster, start: inputs.Started) -> None:
    """Take up what the last run left."""
    for stored in start.users:
        _appear(roster, stored)
    if start.revocations:
        roster.output.effects.append(RevokeWaiting())


def log_in(roster: Roster, wanted: inputs.LogInRequested) -> None:
    """Present credentials, or take the anonymous user who is here already."""
    if wanted.credentials.reuse:
        for draft in roster.all():
            if draft.session in _LIVE and _is_anonymous(draft.account):
                _make_current(roster, draft)
                roster.settle(wanted.request, result=draft.account.user_id)
                return
    roster.change(logins=roster.common.logins | {wanted.request})
    roster.output.effects.append(Authenticate(wanted.request, wanted.credentials))


def login_answered(roster: Roster, answer: inputs.LogInAnswered) -> None:
    """Take a login, or, if a logout came in between, see that its session is revoked (I8)."""
    dropped = answer.request not in roster.common.logins
    roster.change(logins=roster.common.logins - {answer.request})
    if isinstance(answer.outcome, SyncAuthError):
        roster.settle(answer.request, error=answer.outcome)
    elif dropped:
        roster.output.writes.append(PutRevocation(answer.outcome.tokens.refresh))
        roster.output.effects.append(RevokeWaiting())
        what = "the login was dropped because of a logout meanwhile"
        roster.settle(answer.request, error=NotLoggedInError(what, remedy="Log in again"))
    else:
        _login(roster, answer.request, answer.outcome)


def switch(roster: Roster, wanted: inputs.SwitchRequested) -> None:
    """Make a user current who has not logged out."""
    draft = roster.draft(wanted.user_id) if roster.known(wanted.user_id) else None
    if draft is None or draft.session is SessionState.LOGGED_OUT:
        error = NotLoggedInError("this user is not logged in", remedy="Call App.log_in")
        roster.settle(wanted.request, error=error)
        return
    _make_current(roster, draft)
    roster.settle(wanted.request)


def log_out(roster: Roster, wanted: inputs.LogOutRequested) -> None:
    """Log out, and remove if that is wanted; a login under way, of whomever, is dropped."""
    roster.change(logins=frozenset())
    if not roster.known(wanted.user_id):  # another process has removed it: there is nothing to do
        roster.settle(wanted.request)
        return
    draft = roster.draft(wanted.user_id)
    if draft.account.removed:
        draft.change(when_stopped=(*draft.account.when_stopped, wanted.request))
        return
    was_current = draft.account.current
    session_rules.logged_out(
        draft, forget=wanted.forget, remove=wanted.remove, discard=wanted.discard
    )
    draft.change(when_stopped=(*draft.account.when_stopped, wanted.request))
    others = (each for each in roster.all() if each.session is not SessionState.LOGGED_OUT)
    successor = next(others, None) if was_current else None
    if successor is not None:
        successor.write(PutCurrent(successor.account.user_id))
        successor.change(current=True)
        user, wall = successor.account.user_id, roster.now.wall
        successor.tell(UserSwitched(user, wall, previous=wanted.user_id))


def of_nobody(roster: Roster, happening: inputs.UserInput) -> None:
    """Answer who waits in the name of a user who was removed meanwhile; count what came too late."""
    match happening:
        case inputs.ReplicaClosing():  # its sync has stopped
            roster.settle(happening.request)
        case inputs.TokenWanted() | inputs.SyncWanted() | inputs.ProfileRead():
            error = NotLoggedInError("this user was removed", remedy="Call App.log_in")
            roster.settle(happening.request, error=error)
        case _:
            roster.output.dropped += 1


def refreshed_of_nobody(roster: Roster, answer: inputs.RefreshAnswered) -> None:
    """See that a pair which came after its user's removal is revoked (I8)."""
    roster.output.dropped += 1
    if isinstance(answer.answer, Renewed) and roster.now.durable:
        roster.output.writes.append(PutRevocation(answer.answer.tokens.refresh))
        roster.output.effects.append(RevokeWaiting())


def reread(roster: Roster, what: inputs.SessionsReread) -> None:
    """Adopt what other processes stored, user by user; who is not there was removed."""
    before = _current(roster)
    for stored in what.users:
        if roster.known(stored.user_id):
            draft = roster.draft(stored.user_id)
            start_rules.adopt_stored(draft, stored)
            if what.stale == stored.user_id:
                start_rules.drop_request(draft)
        else:
            _appear(roster, stored)
            if stored.state is SessionState.ACTIVE:
                roster.draft(stored.user_id).tell(LoggedIn(stored.user_id, roster.now.wall))
    there = {stored.user_id for stored in what.users}
    for draft in roster.all():
        if draft.account.user_id not in there and not draft.account.removed:
            start_rules.removed_elsewhere(draft)
    _tell_switch(roster, before)


def refresh_held(roster: Roster, held: inputs.RefreshHeld) -> bool:
    """Begin the refresh if the store is as we know it; False if there is nothing to begin.

    A newer pair that another process has stored meanwhile is adopted in its place.
    """
    user = held.ticket.user_id
    if not roster.known(user) or roster.draft(user).account.refresh.ticket != held.ticket:
        roster.output.dropped += 1
        return False
    draft = roster.draft(user)
    if held.stored is None:
        start_rules.removed_elsewhere(draft)
    else:
        start_rules.adopt_session(draft, held.stored)
    if held.stored is None or draft.account.refresh.ticket != held.ticket:
        return False
    refresh_rules.held(draft, held.fence, held.stored.refresh_id)
    return draft.account.refresh.ticket is not None


def revoke_answered(roster: Roster, answer: inputs.RevokeAnswered) -> None:
    """Forget what was revoked; plan when the rest is tried again."""
    if answer.confirmed:
        roster.output.writes.append(DropRevocation(answer.revocation))
        roster.change(revoke_attempts=0)
        return
    attempts = roster.common.revoke_attempts + 1
    fraction = int.from_bytes(roster.now.entropy[16:24], "big") / 2**64
    at = roster.now.monotonic + backoff.delay(attempts, fraction)
    roster.change(revoke_attempts=attempts, revoke_at=at)


def _appear(roster: Roster, stored: StoredUser) -> None:
    """Take up a user whom this process has not seen before, and a refresh that was begun."""
    account = start_rules.account_of(stored, roster.now)
    draft = roster.open(account, start_rules.session_of(stored))
    if draft.session is SessionState.REFRESHING:
        refresh_rules.attempt_refresh(draft)


def _tell_switch(roster: Roster, before: str | None) -> None:
    """Tell who has become current elsewhere, unless it was by the login that is told anyway."""
    now = _current(roster)
    if now is None or now == before:
        return
    events = roster.output.events
    if not any(isinstance(each, LoggedIn) and each.user_id == now for each in events):
        roster.draft(now).tell(UserSwitched(now, roster.now.wall, previous=before))


def _current(roster: Roster) -> str | None:
    """Return who is current, or None."""
    current = (each.account.user_id for each in roster.all() if each.account.current)
    return next(current, None)


def _login(roster: Roster, request: int, login: Login) -> None:
    for other in roster.all():
        other.change(current=False)
    if roster.known(login.user_id):
        draft = roster.draft(login.user_id)
    else:
        account = Account(login.user_id, login.device_id, 0, current=True, profile=login.profile)
        draft = roster.open(account, SessionState.LOGGED_OUT)
    session_rules.logged_in(draft, login)
    draft.change(paused=draft.account.paused - {PauseReason.INCOMPATIBLE})
    roster.settle(request, result=login.user_id)


def _make_current(roster: Roster, draft: Draft) -> None:
    if draft.account.current:
        return
    previous = None
    for other in roster.all():
        if other.account.current:
            previous = other.account.user_id
        other.change(current=False)
    draft.change(current=True)
    draft.write(PutCurrent(draft.account.user_id))
    draft.tell(UserSwitched(draft.account.user_id, roster.now.wall, previous=previous))


def _is_anonymous(account: Account) -> bool:
    """Tell whether this is the only way the user can log in: one who was linked is nobody's guest."""
    return [each.provider_type for each in account.profile.identities] == [ANONYMOUS]
