"""The rate limit slows one key down and forgets what it need not remember."""

from __future__ import annotations

import pytest

from syncauth.server.accounts.rate_limit import MOST_BUCKETS, RateLimit


def test_burst_is_free_then_the_pace_holds() -> None:
    """A burst passes at once; the next call is told when to come, and passes then."""
    limit = RateLimit(burst=3, per_minute=60)

    assert [limit.take("a", 0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limit.take("a", 0.0) == pytest.approx(1.0)
    assert limit.take("a", 0.5) == pytest.approx(0.5)
    assert limit.take("a", 1.001) == 0.0


def test_refused_call_costs_nothing() -> None:
    """Who keeps knocking does not wait longer for it: no lock-out."""
    limit = RateLimit(burst=1, per_minute=60)
    limit.take("a", 0.0)

    for _ in range(1000):
        assert limit.take("a", 0.5) > 0.0

    assert limit.take("a", 1.001) == 0.0


def test_keys_do_not_touch_each_other() -> None:
    """One key that is used up leaves another one free."""
    limit = RateLimit(burst=1, per_minute=1)
    limit.take("a", 0.0)

    assert limit.take("b", 0.0) == 0.0


def test_rightful_call_is_given_back() -> None:
    """A call that is given back costs nothing, and the bucket never holds more than the burst."""
    limit = RateLimit(burst=2, per_minute=1)
    for _ in range(10):
        assert limit.take("a", 0.0) == 0.0
        limit.give_back("a", 0.0)
    limit.give_back("a", 0.0)

    assert [limit.take("a", 0.0) == 0.0 for _ in range(3)] == [True, True, False]


def test_table_is_bounded() -> None:
    """However many keys come, only so many are remembered, and the ones used last are kept."""
    limit = RateLimit(burst=1, per_minute=1)
    for number in range(MOST_BUCKETS + 100):
        limit.take(number, 0.0)

    assert len(limit) == MOST_BUCKETS
    assert limit.take(MOST_BUCKETS + 99, 0.0) > 0.0
