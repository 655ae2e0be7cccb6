"""
Measuring the store from outside: how long work waits for its thread, and how long commits take.

This module must never change what is done, nor when.
"""

from __future__ import annotations

import sqlite3

from syncauth.interfaces import Clock
from syncauth.server.operations.metrics import Metrics


class MeasuredLine:
    """Measures the line of the store thread; called in any thread."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        """Begin with an empty line."""
        self._metrics = metrics
        self._clock = clock
        self._came = 0
        self._begun = 0
        metrics.watch("store_line", "Pieces of work that wait for the store's thread.", self.length)

    def length(self) -> int:
        """Return how much waits."""
        return max(0, self._came - self._begun)

    def entered(self) -> float:
        """Note that work has come, and return the time."""
        self._came += 1
        return self._clock.now()

    def left(self, entered: float) -> None:
        """Note that work that came at that time begins now; in the store thread alone."""
        self._begun += 1
        self._metrics.waited(self._clock.now() - entered)


def measured_connection(metrics: Metrics, clock: Clock) -> type[sqlite3.Connection]:
    """Return a class of connections whose `commit` is measured."""

    class MeasuredConnection(sqlite3.Connection):
        """A connection that tells how long its commits take."""

        def commit(self) -> None:
            """Commit as `sqlite3.Connection` does."""
            started = clock.now()
            super().commit()
            metrics.committed(clock.now() - started)

    return MeasuredConnection
