"""Virtual time: a heap of what is to happen, and nothing that happens by itself."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

START = 1_700_000_000.0


class Clockwork:
    """Runs what was planned in the order of its time; equal times in the order of planning."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    @property
    def wall(self) -> float:
        """The true wall clock."""
        return START + self.now

    def at(self, time: float, work: Callable[[], None]) -> None:
        """Plan work for a time."""
        self._count += 1
        heapq.heappush(self._planned, (max(time, self.now), self._count, work))

    def after(self, seconds: float, work: Callable[[], None]) -> None:
        """Plan work for a while from now."""
        self.at(self.now + seconds, work)

    def run(self, until: float) -> None:
        """Let time pass up to a time."""
        while self._planned and self._planned[0][0] <= until:
            self.now, _, work = heapq.heappop(self._planned)
            work()
        self.now = until

    def run_until(self, condition: Callable[[], bool], limit: float = 3600.0) -> None:
        """Let time pass, one happening after the other, until a condition holds."""
        end = self.now + limit
        while not condition():
            assert self._planned and self._planned[0][0] <= end, "it never happens"
            self.now, _, work = heapq.heappop(self._planned)
            work()
