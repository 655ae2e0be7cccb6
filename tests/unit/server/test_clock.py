"""The server's real clock and randomness keep what their protocols promise."""

from __future__ import annotations

from syncauth.interfaces import Clock, Randomness
from syncauth.server.clock import SystemClock, SystemRandomness


def test_monotonic_time_never_goes_back() -> None:
    """Readings of `now` never fall."""
    clock: Clock = SystemClock()
    readings = [clock.now() for _ in range(1000)]

    assert readings == sorted(readings)


def test_wall_time_is_seconds_since_the_epoch() -> None:
    """`wall` is in seconds, not milliseconds, and after the year 2023."""
    assert 1_700_000_000 < SystemClock().wall() < 10_000_000_000


def test_randomness_is_of_the_asked_size_and_range() -> None:
    """Tokens have the size that was asked for and differ; fractions are in their range."""
    randomness: Randomness = SystemRandomness()
    tokens = {randomness.token(16) for _ in range(100)}

    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {16}
    assert all(0 <= randomness.fraction() < 1 for _ in range(100))
