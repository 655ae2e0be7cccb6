"""Who is slowed down: accounts, addresses and sessions, and nobody beside them."""

from __future__ import annotations

import pytest

from syncauth.server.accounts.pace import LONGEST_KEY, Pace, network_of
from syncauth.server.settings.config import ServerLimits
from tests.support.clocks import SetClock

HOME, OFFICE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def clock() -> SetClock:
    """A clock that stands until a test moves it."""
    return SetClock()


def pace(clock: SetClock, **limits: int) -> Pace:
    """Return full buckets with these limits."""
    return Pace(ServerLimits(**limits), clock)


def test_an_account_is_slowed_down_from_one_address_alone(clock: SetClock) -> None:
    """Who guesses from one address keeps nobody from logging in from another."""
    limits = pace(clock, login_burst=2, logins_per_minute=60)

    tries = [limits.login("ann", OFFICE) for _ in range(3)]

    assert tries[:2] == [None, None]
    assert tries[2] is not None
    assert (tries[2].status, tries[2].retry_after) == (429, pytest.approx(1.0))
    assert limits.login("ann", HOME) is None
    assert limits.login("bob", OFFICE) is None


def test_failures_of_one_address_count_together(clock: SetClock) -> None:
    """One guess at each of many accounts is as many guesses; right ones are given back."""
    limits = pace(clock, failure_burst=3, failures_per_minute=60)
    for place in range(20):
        assert limits.login(f"right{place}", OFFICE) is None
        limits.proved(f"right{place}", OFFICE)

    answers = [limits.login(f"guess{place}", OFFICE) for place in range(4)]

    assert [answer is None for answer in answers] == [True, True, True, False]
    assert limits.login("guess4", HOME) is None


def test_a_login_that_one_limit_refuses_costs_the_other_nothing(clock: SetClock) -> None:
    """Knocking at one account that is slowed down does not slow down the whole office."""
    limits = pace(clock, login_burst=1, logins_per_minute=1, failure_burst=3, failures_per_minute=1)
    for _ in range(50):
        limits.login("ann", OFFICE)

    assert limits.login("bob", OFFICE) is None
    assert limits.login("eve", OFFICE) is None


def test_mail_is_limited_per_account_wherever_it_is_asked_for(clock: SetClock) -> None:
    """A mailbox is not filled from many addresses."""
    limits = pace(clock, login_burst=2, logins_per_minute=60)

    answers = [limits.mail("ann@example.com", f"192.0.2.{place}") for place in range(3)]

    assert [answer is None for answer in answers] == [True, True, False]


def test_invented_tokens_count_as_failures(clock: SetClock) -> None:
    """A token from a mail that is wrong costs what a wrong password costs; a right one nothing."""
    limits = pace(clock, failure_burst=2, failures_per_minute=60)
    for _ in range(10):
        assert limits.guess(HOME) is None
        limits.guessed(HOME)

    assert [limits.guess(HOME) is None for _ in range(3)] == [True, True, False]
    assert limits.login("ann", HOME) is not None


def test_a_session_is_slowed_down_by_itself(clock: SetClock) -> None:
    """Whoever refreshes one session without end is slowed down there; from elsewhere it lives on."""
    limits = pace(clock, refresh_burst=2, refreshes_per_minute=60)

    answers = [limits.refresh("one", HOME) for _ in range(3)]

    assert [answer is None for answer in answers] == [True, True, False]
    assert limits.refresh("one", OFFICE) is None
    assert limits.refresh("two", HOME) is None
    clock.pass_time(1.001)
    assert limits.refresh("one", HOME) is None


def test_long_names_are_cut(clock: SetClock) -> None:
    """What is remembered of a name is bounded, and giving back finds it again."""
    limits = pace(clock, login_burst=1, logins_per_minute=1)
    name = "a" * LONGEST_KEY

    assert limits.login(name + "b", HOME) is None
    assert limits.login(name + "c", HOME) is not None
    limits.proved(name + "d", HOME)
    assert limits.login(name, HOME) is None


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a name", "a name"),
    ],
)
def test_an_ipv6_network_is_one_address(address: str, counted: str) -> None:
    """Who has one IPv6 address has 2^64 of them: they count as one."""
    assert network_of(address) == counted
