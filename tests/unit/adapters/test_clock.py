"""The machine's clock keeps what the protocol promises."""

from __future__ import annotations

from syncauth.adapters.clock import SystemClock
from syncauth.interfaces import Clock


def test_monotonic_time_never_goes_back() -> None:
    """Readings of `now` never fall, and they do move."""
    clock: Clock = SystemClock()
    readings = [clock.now() for _ in range(10_000)]

    assert readings == sorted(readings)
    assert readings[-1] > readings[0]


def test_wall_time_is_seconds_since_the_epoch() -> None:
    """`wall` is in seconds, not milliseconds, and after the year 2023."""
    assert 1_700_000_000 < SystemClock().wall() < 10_000_000_000
