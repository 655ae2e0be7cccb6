"""
Slowing down whoever tries too often: a bounded table of token buckets.

A limit slows down one key (an account from one address, say); it never locks an account out and
never touches a session that lives. This module must never read a clock: the time comes with every
call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

MOST_BUCKETS: Final = 10_000
"""Beyond this the bucket that was used longest ago is forgotten, which makes it full again."""


class RateLimit:
    """Buckets that hold `burst` calls and fill up by `per_minute` calls a minute."""

    def __init__(self, *, burst: int, per_minute: int) -> None:
        """Begin with every bucket full."""
        self._burst = float(burst)
        self._per_second = per_minute / 60
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, now: float) -> float:
        """Take one call out of the key's bucket.

        Returns 0.0 if there was one, else the seconds until there is; then nothing was taken. `now`
        is monotonic.
        """
        level = self._level(key, now)
        allowed = level >= 1
        self._put(key, level - 1 if allowed else level, now)
        return 0.0 if allowed else (1 - level) / self._per_second

    def give_back(self, key: Hashable, now: float) -> None:
        """Return a call that turned out to be rightful."""
        self._put(key, self._level(key, now) + 1, now)

    def __len__(self) -> int:
        """Return how many buckets are remembered."""
        return len(self._buckets)

    def _level(self, key: Hashable, now: float) -> float:
        level, since = self._buckets.get(key, (self._burst, now))
        return min(self._burst, level + (now - since) * self._per_second)

    def _put(self, key: Hashable, level: float, now: float) -> None:
        self._buckets[key] = (level, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
