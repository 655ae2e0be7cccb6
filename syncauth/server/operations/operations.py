"""
The operations of one server put together: what measures, what traces, what lets requests in, who reads the metrics.

`app.py` makes one, hands its parts around and puts it around the application. This module must never know what a
request means.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from syncauth.interfaces import Clock, Randomness
from syncauth.server.hub.driver import Watch
from syncauth.server.operations.gate import Gate
from syncauth.server.operations.measured import MeasuredLine, measured_connection
from syncauth.server.operations.metrics import Metrics
from syncauth.server.operations.metrics_door import open_doors
from syncauth.server.operations.requests import Requests, templates
from syncauth.server.operations.tracing import Tracing, open_tracing
from syncauth.server.settings.config import ServerConfig

LOGGER: Final = logging.getLogger("syncauth.server.operations")

SendAway = Callable[[float, int], Awaitable[None]]
"""Sends all sockets away, who come back after so many seconds, so many in each; returns when they have ended."""


class Operations:
    """See the module; `metrics_app` is the application for a port of its own, or None."""

    def __init__(
        self,
        config: ServerConfig,
        clock: Clock,
        randomness: Randomness,
        tracing: Tracing | None = None,
    ) -> None:
        """Begin with nothing counted; without `tracing` OpenTelemetry is used where it is installed.

        Raises:
            InvalidConfig: the token that `[metrics]` names is not there or too short.
        """
        self._clock = clock
        self._randomness = randomness
        self._settings = config.drain
        self.metrics = Metrics()
        self.tracing = tracing or open_tracing()
        self.gate = Gate(config.drain.retry_after_seconds)
        self.line = MeasuredLine(self.metrics, clock)
        self.routes, self.metrics_app = open_doors(config.metrics, self.metrics)
        self._send_away: SendAway | None = None

    @property
    def watch(self) -> Watch:
        """What the hub tells of itself."""
        return Watch(self.metrics, self.tracing)

    @property
    def is_ending(self) -> bool:
        """Whether the server takes nothing new."""
        return self.gate.draining

    def connection_class(self) -> type[sqlite3.Connection]:
        """Return a class of connections whose commits are measured."""
        return measured_connection(self.metrics, self._clock)

    def surround(
        self, app: Starlette, routes: Sequence[BaseRoute], *, line: Callable[[], int]
    ) -> None:
        """Watch all that passes to the application; `line` tells how many passwords are being hashed."""
        watch = self.metrics.watch
        watch("password_line", "Password hashings at work or waiting.", line)
        watch("http_requests_under_way", "Requests under way.", lambda: self.gate.under_way)
        # Around all that Starlette adds: its answers to failures have ids and are counted, too.
        app.middleware_stack = Requests(
            app.build_middleware_stack(),
            templates(routes),
            clock=self._clock,
            randomness=self._randomness,
            metrics=self.metrics,
            tracing=self.tracing,
            gate=self.gate,
        )
        app.state.operations = self
        app.state.drain = self.drain

    def on_drain(self, send_away: SendAway) -> None:
        """Take who sends the sockets away."""
        self._send_away = send_away

    async def drain(self) -> None:
        """Take nothing new, and return when all has ended, at the latest when the time of `[drain]` is up."""
        if not self.gate.draining:  # the program and the application's lifespan both ask
            LOGGER.info("ending: %d requests are under way", self.gate.under_way)
        await self.gate.drain(self._empty, self._settings.seconds)
        if self.gate.under_way:
            LOGGER.warning("the time to end is up: %d requests are cut", self.gate.under_way)

    def hurry(self) -> None:
        """End the waiting of `drain`."""
        self.gate.hurry()

    async def _empty(self) -> None:
        if self._send_away is not None:
            wait, pace = self._settings.retry_after_seconds, self._settings.reconnects_per_second
            await self._send_away(wait, pace)
