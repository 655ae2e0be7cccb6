"""
Any order of what can happen to two users' tokens, here and in another process, told to the engine (I4).

The outside is a model: a store that compares before it sets, a lock for each user, a provider that may be slow, and
another process that takes the same lock and writes to the same store. Each input goes the way of the driver: decide,
commit, adopt; a write that came too late is followed by a look at the store. What must hold at every moment: a
request to the provider is out only while its lock is held, one for each user, and each lock that was asked for is
given back once. In the end everybody who waited was answered, once. The machines never raise.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from syncauth.interfaces import StaleWrite
from syncauth.models import (
    Credentials,
    Deferred,
    Login,
    Misconfigured,
    Profile,
    Refused,
    ReloginReason,
    Renewed,
    Secret,
    TokenPair,
)
from syncauth.sansio import effects, inputs
from syncauth.sansio.effects import Ticket
from syncauth.sansio.engine import Decision, Engine
from syncauth.sansio.inputs import Input
from syncauth.sansio.records import Moment
from tests.support.model_store import ModelStore

USERS = ("ann", "bob")
OTHER = Ticket("another process", 0, 0)
WAIT_SECONDS = 10.0

users = st.sampled_from(USERS)
lives = st.sampled_from([1.0, 30.0, 1800.0])


class OneRefresh(RuleBasedStateMachine):
    """One engine, its model of the outside, and another process."""

    @initialize(repeat_safe=st.booleans())
    def start(self, repeat_safe: bool) -> None:
        self.engine = Engine(repeat_safe=repeat_safe)
        self.store = ModelStore()
        self.now, self.wall, self.number = 1000.0, 1_800_000_000.0, 0
        self.logins: list[int] = []
        self.wanted: deque[Ticket] = deque()
        self.locks: dict[str, Ticket] = {}
        self.held: list[inputs.RefreshHeld] = []
        self.requests: list[effects.RequestRefresh] = []
        self.ended: Counter[Ticket] = Counter()
        self.asked: Counter[Ticket] = Counter()
        self.waiting: set[int] = set()
        self.cancelled: set[int] = set()
        self.settled: Counter[int] = Counter()
        self.step(inputs.Started((), revocations=False))

    # --- the way of the driver -------------------------------------------------------------------

    def step(self, happening: Input) -> None:
        decision = self.engine.decide(happening, self._moment())
        try:
            self.store.commit(decision.writes)
        except StaleWrite as late:
            self.step(inputs.SessionsReread(self.store.load(), late.user_id))
            decision = self.engine.decide(happening, self._moment(durable=False))
            assert not decision.writes
        self._carry_out(decision)

    def _moment(self, *, durable: bool = True) -> Moment:
        self.number += 1
        return Moment(self.now, self.wall, self.number.to_bytes(32, "big"), durable)

    def _carry_out(self, decision: Decision) -> None:
        self.engine.adopt(decision)
        for effect in decision.effects:
            match effect:
                case effects.Authenticate():
                    self.logins.append(effect.request)
                case effects.HoldRefresh():
                    self.asked[effect.ticket] += 1
                    self.wanted.append(effect.ticket)
                case effects.EndRefresh():
                    self._given_back(effect.ticket)
                case effects.RequestRefresh():
                    assert self.locks[effect.ticket.user_id] == effect.ticket
                    self.requests.append(effect)
                case effects.Settle():
                    self.settled[effect.request] += 1

    def _given_back(self, ticket: Ticket) -> None:
        self.ended[ticket] += 1
        if self.locks.get(ticket.user_id) == ticket:
            del self.locks[ticket.user_id]

    def _pair(self, life: float) -> TokenPair:
        self.number += 1
        return TokenPair(Secret(f"access {self.number}"), Secret(f"refresh {self.number}"), life)

    def _request(self) -> int:
        self.number += 1
        self.waiting.add(self.number)
        return self.number

    # --- the app ---------------------------------------------------------------------------------

    @rule(reuse=st.booleans())
    def log_in(self, reuse: bool) -> None:
        self.step(inputs.LogInRequested(self._request(), Credentials.anonymous(reuse=reuse)))

    @precondition(lambda self: self.logins)
    @rule(user=users, life=lives)
    def login_answered(self, user: str, life: float) -> None:
        login = Login(user, "d" * 24, self._pair(life), Profile())
        self.step(inputs.LogInAnswered(self.logins.pop(0), login))

    @rule(user=users, remove=st.booleans())
    def log_out(self, user: str, remove: bool) -> None:
        if any(each.user_id == user for each in self.engine.accounts()):
            request = self._request()
            self.step(inputs.LogOutRequested(request, user, forget=False, remove=remove))

    @rule(user=users)
    def switch(self, user: str) -> None:
        self.step(inputs.SwitchRequested(self._request(), user))

    @rule(user=users, renew=st.booleans(), rejected=st.booleans())
    def want(self, user: str, renew: bool, rejected: bool) -> None:
        stored = self.store.users.get(user)
        token = stored.tokens.access if rejected and stored and stored.tokens else None
        until = self.now + WAIT_SECONDS
        self.step(inputs.TokenWanted(self._request(), user, until, token, renew))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(sorted(self.waiting)))
        if not self.settled[request]:
            self.cancelled.add(request)
        self.step(inputs.RequestCancelled(request))

    @rule(seconds=st.sampled_from([0.5, 2.0, 30.0, 400.0, 2000.0]))
    def time_passes(self, seconds: float) -> None:
        end = self.now + seconds
        for _ in range(10_000):
            deadline = self.engine.next_deadline()
            if deadline is None or deadline > end:
                break
            self._advance(max(deadline, self.now) - self.now)
            self.step(inputs.DeadlineReached())
        else:
            message = "a deadline that was served comes again at once"
            raise AssertionError(message)
        self._advance(end - self.now)

    def _advance(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds

    @rule(seconds=st.sampled_from([-4000.0, 60.0, 4000.0]))
    def clock_jumps(self, seconds: float) -> None:
        self.wall += seconds
        self.step(inputs.ClockJumped(seconds))

    @rule()
    def network_changes(self) -> None:
        self.step(inputs.NetworkChanged())

    # --- the lock and the provider ---------------------------------------------------------------

    @precondition(lambda self: self.wanted)
    @rule()
    def try_to_hold(self) -> None:
        ticket = self.wanted.popleft()
        if ticket.user_id in self.locks:
            self.wanted.append(ticket)
            return
        self.locks[ticket.user_id] = ticket
        fence, stored = self.store.raise_fence(ticket.user_id)
        self.held.append(inputs.RefreshHeld(ticket, stored, fence))

    @precondition(lambda self: self.held)
    @rule()
    def lock_is_told(self) -> None:
        self.step(self.held.pop(0))

    @precondition(lambda self: self.wanted)
    @rule()
    def store_fails(self) -> None:
        ticket = self.wanted.popleft()
        self.ended[ticket] += 1
        self.step(inputs.RefreshNotHeld(ticket))

    @precondition(lambda self: self.requests)
    @rule(
        kind=st.sampled_from(["renewed", "same", "refused", "deferred", "unsent", "wrong"]),
        life=lives,
    )
    def provider_answers(self, kind: str, life: float) -> None:
        request = self.requests.pop(0)
        fresh = self._pair(life)
        answer: Any = {
            "renewed": Renewed(fresh),
            "same": Renewed(replace(fresh, refresh=request.refresh_token)),
            "refused": Refused(ReloginReason.EXPIRED, "over"),
            "deferred": Deferred("no answer", online=False),
            "unsent": Deferred("busy", retry_after=60.0, sent=False),
            "wrong": Misconfigured("invalid_client"),
        }[kind]
        self.step(inputs.RefreshAnswered(request.ticket, answer))

    # --- another process -------------------------------------------------------------------------

    @rule(
        user=users,
        life=lives,
        deed=st.sampled_from(["login", "logout", "removal", "end", "renewal"]),
    )
    def another_process_writes(self, user: str, life: float, deed: str) -> None:
        """It holds the user's lock where it has to: nobody renews while another one does."""
        if deed in {"end", "renewal"}:
            if user in self.locks:
                return
            self.store.raise_fence(user)
        self.number += 1
        self.store.write_elsewhere(
            user, deed, self._pair(life), self.wall, f"episode {self.number}"
        )

    @rule(user=users)
    def another_process_takes_or_gives_the_lock(self, user: str) -> None:
        if self.locks.get(user) == OTHER:
            del self.locks[user]
        else:
            self.locks.setdefault(user, OTHER)

    @rule()
    def store_is_noticed(self) -> None:
        self.step(inputs.SessionsReread(self.store.load()))

    # --- what must hold --------------------------------------------------------------------------

    @invariant()
    def at_most_one_request_is_out(self) -> None:
        out = Counter(request.ticket.user_id for request in self.requests)
        assert all(count == 1 for count in out.values())
        for request in self.requests:
            assert self.locks[request.ticket.user_id] == request.ticket

    @invariant()
    def each_lock_is_given_back_once(self) -> None:
        assert all(count == 1 for count in self.asked.values())
        assert all(count == 1 for count in self.ended.values())
        assert set(self.ended) <= set(self.asked)

    @invariant()
    def at_most_one_user_is_current(self) -> None:
        assert sum(each.current for each in self.engine.accounts()) <= 1

    @invariant()
    def nobody_is_settled_twice(self) -> None:
        assert all(count == 1 for count in self.settled.values())

    def teardown(self) -> None:
        """Let everything come to its end: whoever waited was answered, every lock is free."""
        if not hasattr(self, "engine"):
            return
        self.locks = {user: ticket for user, ticket in self.locks.items() if ticket != OTHER}
        for request in self.logins:
            self.step(
                inputs.LogInAnswered(request, Login("ann", "d" * 24, self._pair(1800.0), Profile()))
            )
        self.time_passes(WAIT_SECONDS + 1)
        for _ in range(1000):
            if self.held:
                self.lock_is_told()
            elif self.requests:
                self.provider_answers("deferred", 1.0)
            elif self.wanted:
                self.try_to_hold()
            else:
                break
        assert not self.locks
        assert self.asked == self.ended
        answered = {request for request in self.waiting if self.settled[request]}
        assert self.waiting - self.cancelled <= answered


OneRefresh.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
test_one_refresh_at_a_time = OneRefresh.TestCase
