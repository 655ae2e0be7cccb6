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

from msgspec import Struct
from msgspec.structs import replace

from syncauth.errors import NotLoggedInError, SyncAuthError
from syncauth.events import Event
from syncauth.models import ConnectionState, Login, PauseReason, SessionState, Status
from syncauth.sansio import (
    backoff,
    flow_rules,
    hook_rules,
    inputs,
    link_rules,
    session_rules,
    start_rules,
    user_rules,
)
from syncauth.sansio.accounts import Account
from syncauth.sansio.connection import CONNECTION_TABLE, ConnectionTrigger
from syncauth.sansio.draft import Draft, Output
from syncauth.sansio.effects import (
    Authenticate,
    DropRevocation,
    Effect,
    PutRevocation,
    RevokeWaiting,
    Settle,
    StoreWrite,
)
from syncauth.sansio.inputs import Input, Moment
from syncauth.sansio.session import SESSION_TABLE, SessionTrigger
from syncauth.sansio.statemachine import StateMachine


class Common(Struct, frozen=True):
    """What belongs to no single user."""

    logins: frozenset[int] = frozenset()
    hook_registered: bool = False
    revoke_at: float | None = None
    revoke_attempts: int = 0
    next_request: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one input; `drafts` and `common` are for `Engine.adopt` alone."""

    writes: tuple[StoreWrite, ...]
    effects: tuple[Effect, ...]
    events: tuple[Event, ...]
    drafts: tuple[Draft, ...]
    common: Common


class Seat:
    """One user's place in the engine: the data and the two machines."""

    def __init__(self, account: Account, session: SessionState) -> None:
        """Start with the session in a state and the connection stopped."""
        self.account = account
        self.session: StateMachine[SessionState, SessionTrigger] = SESSION_TABLE.machine(session)
        self.connection: StateMachine[ConnectionState, ConnectionTrigger] = (
            CONNECTION_TABLE.machine(ConnectionState.STOPPED)
        )


class Engine:
    """Decides for all users of one App; see the module for the order in which it is to be used."""

    def __init__(self) -> None:
        """Start with nobody; the first input is `Started`."""
        self._seats: dict[str, Seat] = {}
        self._common = Common()

    # --- reading ---------------------------------------------------------------------------------

    @property
    def dropped(self) -> int:
        """How many answers were dropped because their ticket was no longer current (I7)."""
        return self._common.dropped

    def accounts(self) -> tuple[Account, ...]:
        """Return all accounts as they are."""
        return tuple(seat.account for seat in self._seats.values())

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
            request_out=account.refresh.ticket is not None,
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
            times.append(session_rules.refresh_due_at(seat.account, seat.session.state))
            if seat.connection.state is ConnectionState.BACKING_OFF:
                times.append(seat.account.connect_at)
        return min((time for time in times if time is not None), default=None)

    # --- deciding --------------------------------------------------------------------------------

    def decide(self, happening: Input, now: Moment) -> Decision:
        """Return what follows from this input, changing nothing."""
        return _Deciding(self._seats, self._common, now).decide(happening)

    def adopt(self, decision: Decision) -> None:
        """Make a decision true; its writes are durable by now."""
        self._common = decision.common
        for draft in decision.drafts:
            user = draft.account.user_id
            seat = self._seats.get(user)
            if seat is None:
                seat = self._seats[user] = Seat(draft.account, draft.started_in)
            seat.account = draft.account
            for trigger in draft.moves:
                if isinstance(trigger, SessionTrigger):
                    seat.session.fire(trigger)
                else:
                    seat.connection.fire(trigger)


class _Deciding:
    """One call of `Engine.decide`: the drafts it has opened so far."""

    def __init__(self, seats: dict[str, Seat], common: Common, now: Moment) -> None:
        self._seats = seats
        self._common = common
        self._now = now
        self._output = Output(common.next_request)
        self._drafts: dict[str, Draft] = {}

    def decide(self, happening: Input) -> Decision:
        self._dispatch(happening)
        for draft in self._drafts.values():
            self._couple(draft)
            flow_rules.pump(draft)
            flow_rules.keep_count(draft)
            hook_rules.after_stop(draft, hook_registered=self._common.hook_registered)
        output = self._output
        common = replace(
            self._common,
            next_request=output.next_request,
            dropped=self._common.dropped + output.dropped,
        )
        return Decision(
            tuple(output.writes),
            tuple(output.effects),
            tuple(output.events),
            tuple(self._drafts.values()),
            common,
        )

    def _dispatch(self, happening: Input) -> None:  # noqa: C901 - one case for each input
        match happening:
            case inputs.Started():
                self._started(happening)
            case inputs.LogInRequested():
                self._log_in(happening)
            case inputs.LogInAnswered():
                self._login_answered(happening)
            case inputs.LogOutRequested():
                self._log_out(happening)
            case inputs.RequestCancelled():
                self._cancelled(happening.request)
            case inputs.SessionsReread():
                self._reread(happening)
            case inputs.HookRegistered():
                self._common = replace(self._common, hook_registered=True)
                self._all()
            case inputs.NetworkChanged():
                for draft in self._all():
                    user_rules.network_is_back(draft)
                    user_rules.act_on_time(draft)
            case inputs.DeadlineReached():
                self._deadline()
            case inputs.RevokeAnswered():
                self._revoke_answered(happening)
            case _:
                user_rules.decide(self._draft(inputs.user_of(happening)), happening)

    # --- what concerns more than one user --------------------------------------------------------

    def _started(self, started: inputs.Started) -> None:
        for stored in started.users:
            account = start_rules.account_of(stored, self._now)
            draft = self._open(account, start_rules.session_of(stored))
            if draft.session is SessionState.REFRESHING:
                session_rules.attempt_refresh(draft)
        if started.revocations:
            self._output.effects.append(RevokeWaiting())

    def _log_in(self, wanted: inputs.LogInRequested) -> None:
        self._common = replace(self._common, logins=self._common.logins | {wanted.request})
        self._output.effects.append(Authenticate(wanted.request, wanted.credentials))

    def _login_answered(self, answer: inputs.LogInAnswered) -> None:
        """Take a login, or, if a logout came in between, see that its session is revoked (I8)."""
        dropped = answer.request not in self._common.logins
        self._common = replace(self._common, logins=self._common.logins - {answer.request})
        if isinstance(answer.outcome, SyncAuthError):
            self._settle(answer.request, error=answer.outcome)
        elif dropped:
            self._output.writes.append(PutRevocation(answer.outcome.tokens.refresh))
            self._output.effects.append(RevokeWaiting())
            what = "the login was dropped because of a logout meanwhile"
            self._settle(answer.request, error=NotLoggedInError(what, remedy="Log in again"))
        else:
            self._login(answer.request, answer.outcome)

    def _login(self, request: int, login: Login) -> None:
        for other in self._all():
            other.change(current=False)
        if login.user_id in self._seats:
            draft = self._draft(login.user_id)
        else:
            account = Account(
                login.user_id, login.device_id, 0, current=True, profile=login.profile
            )
            draft = self._open(account, SessionState.LOGGED_OUT)
        session_rules.logged_in(draft, login)
        draft.change(paused=draft.account.paused - {PauseReason.INCOMPATIBLE})
        self._settle(request, user_id=login.user_id)

    def _log_out(self, wanted: inputs.LogOutRequested) -> None:
        """Log out; a login under way, of whomever, is dropped."""
        self._common = replace(self._common, logins=frozenset())
        draft = self._draft(wanted.user_id)
        session_rules.logged_out(draft, forget=wanted.forget)
        draft.change(when_stopped=(*draft.account.when_stopped, wanted.request))

    def _cancelled(self, request: int) -> None:
        """Let a login under way come to nothing, and wait for nothing in its place."""
        self._common = replace(self._common, logins=self._common.logins - {request})
        for draft in self._all():
            left = tuple(each for each in draft.account.waiters if each.request != request)
            draft.change(waiters=left)

    def _reread(self, reread: inputs.SessionsReread) -> None:
        for stored in reread.users:
            if stored.user_id in self._seats:
                start_rules.adopt_stored(self._draft(stored.user_id), stored)
            else:
                account = start_rules.account_of(stored, self._now)
                self._open(account, start_rules.session_of(stored))

    def _revoke_answered(self, answer: inputs.RevokeAnswered) -> None:
        if answer.confirmed:
            self._output.writes.append(DropRevocation(answer.revocation))
            self._common = replace(self._common, revoke_attempts=0)
            return
        attempts = self._common.revoke_attempts + 1
        fraction = int.from_bytes(self._now.entropy[16:24], "big") / 2**64
        at = self._now.monotonic + backoff.delay(attempts, fraction)
        self._common = replace(self._common, revoke_attempts=attempts, revoke_at=at)

    def _deadline(self) -> None:
        for draft in self._all():
            user_rules.act_on_time(draft)
        revoke_at = self._common.revoke_at
        if revoke_at is not None and self._now.monotonic >= revoke_at:
            self._common = replace(self._common, revoke_at=None)
            self._output.effects.append(RevokeWaiting())

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
        renewed = any(trigger in _RENEWING for trigger in draft.moves)
        if renewed and draft.account.connect_attempts <= 1:
            link_rules.network_is_back(draft)
        link_rules.retry(draft)
        if draft.connection is ConnectionState.CONNECTING and draft.account.link is None:
            link_rules.open_link(draft)
        link_rules.begin_again(draft)
        link_rules.offer_token(draft)
        link_rules.renew_for_push(draft)

    # --- drafts ----------------------------------------------------------------------------------

    def _settle(
        self, request: int, *, user_id: str | None = None, error: SyncAuthError | None = None
    ) -> None:
        self._output.effects.append(Settle(request, user_id, error))

    def _all(self) -> list[Draft]:
        return [self._draft(user) for user in self._seats]

    def _draft(self, user_id: str) -> Draft:
        if user_id not in self._drafts:
            seat = self._seats[user_id]
            self._drafts[user_id] = Draft(
                seat.account, seat.session.state, seat.connection.state, self._now, self._output
            )
        return self._drafts[user_id]

    def _open(self, account: Account, session: SessionState) -> Draft:
        stopped = ConnectionState.STOPPED
        draft = Draft(account, session, stopped, self._now, self._output)
        self._drafts[account.user_id] = draft
        return draft


_RENEWING: Final = (
    SessionTrigger.TOKENS_RENEWED,
    SessionTrigger.TOKENS_ADOPTED,
    SessionTrigger.LOG_IN,
    SessionTrigger.LOGGED_IN_ELSEWHERE,
)
