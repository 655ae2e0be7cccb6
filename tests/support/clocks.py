"""A clock for tests of the server: it stands until the test moves it."""

from __future__ import annotations


class SetClock:
    """Wall clock and monotonic clock in one."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.25

    def now(self) -> float:
        """Return monotonic seconds."""
        return self.seconds

    def wall(self) -> float:
        """Return wall-clock seconds."""
        return self.seconds

    def pass_time(self, seconds: float) -> None:
        """Move on."""
        self.seconds += seconds
