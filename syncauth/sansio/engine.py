"""
The engine: takes one input at a time and decides what follows, for all users of one App.

`decide` is pure: it reads the engine and returns a `Decision`, changing nothing. The driver makes
the decision's writes durable, then calls `adopt`, which cannot fail, then publishes its events and
starts its effects: durable first, then true, then visible, then outside. If the commit fails,
nothing was adopted.

Session and connection are two machines that know nothing of each other. They meet here, in
`_couple`, and nowhere else:

    session            the connection                            the open socket
    logged_out         stopped                                   is closed
    refresh_expired    paused (relogin_required)                 is closed, before the hook runs
    active             runs, unless another reason pauses it     is offered a newer access token
    refreshing         runs; a new socket waits for the token    stays, pushes while its life lasts
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncauth.events import Event
from syncauth.models import ConnectionState, PauseReason, SessionState, Status
from syncauth.sansio import (
    flow_rules,
    hook_rules,
    inputs,
    link_rules,
    login_rules,
    refresh_rules,
    session_rules,
    token_rules,
    user_rules,
)
from syncauth.sansio.accounts import Account
from syncauth.sansio.connection import CONNECTION_TABLE, ConnectionTrigger
from syncauth.sansio.draft import Draft
from syncauth.sansio.effects import Effect, EndRefresh, RevokeWaiting, StoreWrite, Transition
from syncauth.sansio.inputs import Input
from syncauth.sansio.records import Moment
from syncauth.sansio.roster import Common, Roster, Seat
from syncauth.sansio.session import SESSION_TABLE, SessionTrigger
from syncauth.sansio.statemachine import StateMachine

DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one input; `drafts` and `common` are for `Engine.adopt` alone.

    `history` is kept beside the writes, if that can be done.
    """

    writes: tuple[StoreWrite, ...]
    effects: tuple[Effect, ...]
    events: tuple[Event, ...]
    history: tuple[Transition, ...]
    drafts: tuple[Draft, ...]
    common: Common


class _Seat:
    """One user's place: the data and the two machines."""

    def __init__(self, account: Account, session: SessionState) -> None:
        """Start with the session in a state and the connection stopped."""
        self.account = account
        self.session: StateMachine[SessionState, SessionTrigger] = SESSION_TABLE.machine(session)
        self.connection: StateMachine[ConnectionState, ConnectionTrigger] = (
            CONNECTION_TABLE.machine(ConnectionState.STOPPED)
        )


class Engine:
    """Decides for all users of one App; see the module for the order in which it is to be used."""

    def __init__(self, *, repeat_safe: bool = True, warn_before: float = 3 * DAY_SECONDS) -> None:
        """Start with nobody; the first input is `Started`.

        `repeat_safe` is the identity provider's; `warn_before` how many seconds before the known
        end of a refresh token the app is told.
        """
        self._seats: dict[str, Seat] = {}
        self._common = Common()
        self._repeat_safe = repeat_safe
        self._warn_before = warn_before

    # --- reading ---------------------------------------------------------------------------------

    @property
    def dropped(self) -> int:
        """How many answers were dropped because their ticket was no longer current (I7)."""
        return self._common.dropped

    def accounts(self) -> tuple[Account, ...]:
        """Return all accounts as they are."""
        return tuple(
            seat.account for seat in tuple(self._seats.values()) if not seat.account.removed
        )

    def account(self, user_id: str) -> Account | None:
        """Return the account of a user as it is, to any thread; None for one who is not there."""
        seat = self._seats.get(user_id)
        return None if seat is None or seat.account.removed else seat.account

    def session(self, user_id: str) -> SessionState:
        """Return the state of a user's session; `logged_out` for one who was never seen."""
        seat = self._seats.get(user_id)
        return SessionState.LOGGED_OUT if seat is None else seat.session.state

    def status(self, user_id: str) -> Status:
        """Return a frozen picture of one user, who must be known."""
        seat = self._seats[user_id]
        account, replica = seat.account, seat.account.replica
        return Status(
            session=seat.session.state,
            connection=seat.connection.state,
            paused=account.paused,
            request_out=account.refresh.fence is not None,
            online=account.online,
            pending=account.pending,
            in_flight=replica.in_flight_changes if replica else 0,
            dead_letters=replica.dead_letters if replica else 0,
            checkpoints=dict(replica.checkpoints) if replica else {},
            last_error=account.last_error,
        )

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which `DeadlineReached` is wanted, or None."""
        times = [self._common.revoke_at]
        for seat in self._seats.values():
            times.append(refresh_rules.due_at(seat.account, seat.session.state))
            times += (token_rules.due_at(seat.account), seat.account.warn_at)
            if seat.connection.state is ConnectionState.BACKING_OFF:
                times.append(seat.account.connect_at)
        return min((time for time in times if time is not None), default=None)

    # --- deciding --------------------------------------------------------------------------------

    def decide(self, happening: Input, now: Moment) -> Decision:
        """Return what follows from this input, changing nothing."""
        roster = Roster(self._seats, self._common, now)
        return _Deciding(roster, self._repeat_safe, self._warn_before).decide(happening)

    def adopt(self, decision: Decision) -> None:
        """Make a decision true; its writes are durable by now."""
        self._common = decision.common
        for draft in decision.drafts:
            user = draft.account.user_id
            seat = self._seats.get(user)
            if seat is None:
                seat = self._seats[user] = _Seat(draft.account, draft.started_in)
            seat.account = draft.account
            for trigger in draft.moves:
                if isinstance(trigger, SessionTrigger):
                    seat.session.fire(trigger)
                else:
                    seat.connection.fire(trigger)
            if draft.account.removed and draft.account.sync_stopped:
                del self._seats[user]


class _Deciding:
    """One call of `Engine.decide`."""

    def __init__(self, roster: Roster, repeat_safe: bool, warn_before: float) -> None:  # noqa: FBT001 - handed on
        self._roster = roster
        self._repeat_safe = repeat_safe
        self._warn_before = warn_before

    def decide(self, happening: Input) -> Decision:
        self._dispatch(happening)
        roster, output = self._roster, self._roster.output
        for draft in roster.drafts.values():
            self._plan_warning(draft, happening)
            hook_rules.settle_stopped(draft)
            self._couple(draft)
            flow_rules.pump(draft)
            flow_rules.keep_count(draft)
            token_rules.settle(draft)
            hook_rules.after_stop(draft, hook_registered=roster.common.hook_registered)
        dropped = roster.common.dropped + output.dropped
        roster.change(next_request=output.next_request, dropped=dropped)
        return Decision(
            tuple(output.writes),
            tuple(output.effects),
            tuple(output.events),
            tuple(output.history),
            tuple(roster.drafts.values()),
            roster.common,
        )

    def _dispatch(self, happening: Input) -> None:  # noqa: C901 - one case for each input
        roster = self._roster
        match happening:
            case inputs.Started():
                login_rules.started(roster, happening)
            case inputs.LogInRequested():
                login_rules.log_in(roster, happening)
            case inputs.LogInAnswered():
                login_rules.login_answered(roster, happening)
            case inputs.LogOutRequested():
                login_rules.log_out(roster, happening)
            case inputs.SwitchRequested():
                login_rules.switch(roster, happening)
            case inputs.RequestCancelled():
                self._cancelled(happening.request)
            case inputs.SessionsReread():
                login_rules.reread(roster, happening)
            case inputs.HookRegistered():
                roster.change(hook_registered=True)
                roster.all()
            case inputs.NetworkChanged():
                self._network_changed()
            case inputs.DeadlineReached():
                self._deadline()
            case inputs.ClockJumped():
                self._clock_jumped(happening.seconds)
            case inputs.RevokeAnswered():
                login_rules.revoke_answered(roster, happening)
            case inputs.RefreshHeld():
                if not login_rules.refresh_held(roster, happening):
                    roster.output.effects.append(EndRefresh(happening.ticket))
            case inputs.RefreshAnswered():
                self._refresh_answered(happening)
            case _:
                self._of_user(happening)

    def _of_user(self, happening: inputs.UserInput) -> None:
        user = inputs.user_of(happening)
        if self._roster.known(user):
            user_rules.decide(self._roster.draft(user), happening)
        else:
            login_rules.of_nobody(self._roster, happening)

    def _refresh_answered(self, answer: inputs.RefreshAnswered) -> None:
        """Take the answer, of whomever it is, and give the lock back with the same decision."""
        user = answer.ticket.user_id
        if self._roster.known(user):
            draft = self._roster.draft(user)
            user_rules.refresh_answered(draft, answer, repeat_safe=self._repeat_safe)
        else:
            login_rules.refreshed_of_nobody(self._roster, answer)
        self._roster.output.effects.append(EndRefresh(answer.ticket))

    def _cancelled(self, request: int) -> None:
        """Let a login under way come to nothing, and wait for nothing in its place."""
        self._roster.change(logins=self._roster.common.logins - {request})
        for draft in self._roster.all():
            left = tuple(each for each in draft.account.waiters if each.request != request)
            draft.change(waiters=left)
            token_rules.give_up(draft, request)

    def _network_changed(self) -> None:
        for draft in self._roster.all():
            user_rules.network_is_back(draft)
            user_rules.act_on_time(draft)

    def _deadline(self) -> None:
        roster = self._roster
        for draft in roster.all():
            user_rules.act_on_time(draft)
            session_rules.warn(draft)
        revoke_at = roster.common.revoke_at
        if revoke_at is not None and roster.now.monotonic >= revoke_at:
            roster.change(revoke_at=None)
            roster.output.effects.append(RevokeWaiting())

    def _clock_jumped(self, seconds: float) -> None:
        """The machine slept: its tokens have aged, and the network may be another one."""
        for draft in self._roster.all():
            if seconds > 0:
                draft.change(received_at=draft.account.received_at - seconds)
        self._network_changed()

    def _plan_warning(self, draft: Draft, happening: Input) -> None:
        """Plan the warning anew with every new end, and when the clock by which it ends has jumped.

        A refresh token that stays has the end of which the app may have been told already.
        """
        fresh = draft.account.refresh_ends_at != draft.started_with.refresh_ends_at
        jumped = isinstance(happening, inputs.ClockJumped) and draft.account.warn_at is not None
        if fresh or jumped or draft.appears:
            session_rules.plan_warning(draft, self._warn_before)

    # --- the coupling of the two machines --------------------------------------------------------

    def _couple(self, draft: Draft) -> None:
        """Bring the connection where the session wants it.

        See the table at the top of this module.
        """
        expired = draft.session is SessionState.REFRESH_EXPIRED
        relogin = {PauseReason.RELOGIN_REQUIRED}
        paused = draft.account.paused
        draft.change(paused=paused | relogin if expired else paused - relogin)
        stopped = draft.connection is ConnectionState.STOPPED
        if draft.account.replica is None or draft.session is SessionState.LOGGED_OUT:
            if not stopped:
                draft.fire(ConnectionTrigger.STOP)
            link_rules.close_link(draft, "stopped")
        elif draft.account.paused:
            if draft.connection is not ConnectionState.PAUSED:
                draft.fire(ConnectionTrigger.PAUSE)
                draft.change(uncounted=True)
            link_rules.close_link(draft, "paused")
        else:
            self._run(draft)

    def _run(self, draft: Draft) -> None:
        """The connection may run.

        Start it, hand over a newer token, ask for one where it is needed.
        """
        if draft.connection is ConnectionState.STOPPED:
            draft.fire(ConnectionTrigger.START)
        elif draft.connection is ConnectionState.PAUSED:
            draft.change(connect_attempts=0)
            draft.fire(ConnectionTrigger.RESUME)
        renewed = any(trigger in token_rules.RENEWING for trigger in draft.moves)
        if renewed and draft.account.connect_attempts <= 1:
            link_rules.network_is_back(draft)
        link_rules.retry(draft)
        if draft.connection is ConnectionState.CONNECTING and draft.account.link is None:
            link_rules.open_link(draft)
        link_rules.begin_again(draft)
        link_rules.offer_token(draft)
        link_rules.renew_for_push(draft)
