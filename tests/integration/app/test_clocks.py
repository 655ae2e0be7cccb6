"""Clocks that are wrong, jump or stand still: they plan refreshes, and end no session."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

import syncauth
from syncauth import SessionState
from syncauth.adapters.clock import SystemClock
from syncauth.config import AppConfig
from syncauth.parts import open_parts
from tests.support.app_bench import ANN, OpenApp, next_event, open_notes
from tests.support.processes import EMAIL, PASSWORD, Server

MONTHS = 60 * 86_400.0


class OddClock:
    """The machine's clock, its wall hands moved by so many seconds."""

    def __init__(self, moved: float = 0.0) -> None:
        self.moved = moved

    def now(self) -> float:
        return SystemClock().now()

    def wall(self) -> float:
        return SystemClock().wall() + self.moved


@pytest.fixture
def clock() -> OddClock:
    return OddClock()


@pytest.fixture
async def app(
    server: Server,
    open_app: OpenApp,
    tmp_path: Path,
    clock: OddClock,
    request: pytest.FixtureRequest,
) -> syncauth.App:
    """An App that goes by the odd clock, with one account."""
    clock.moved = getattr(request, "param", 0.0)
    config = AppConfig(server.url, "test", tmp_path / "device", key_storage="file")
    parts = await open_parts(config, None, None)
    app = await open_app(server.url, parts=replace(parts, clock=clock))
    await app.register(EMAIL, PASSWORD)
    return app


@pytest.mark.parametrize("app", [MONTHS, -MONTHS], indirect=True)
async def test_a_clock_that_is_months_off_ends_nothing(app: syncauth.App) -> None:
    """Two months ahead or behind: the login, the refresh and sync work as ever (I11)."""
    user = await app.log_in(ANN)
    replica = await open_notes(app, user)
    replica.db["notes"].insert({"id": "1", "title": "x", "body": None})
    await replica.wait_synced(10)
    dead = user.access_token
    assert await user.valid_access_token(dead) != dead
    assert user.state is SessionState.ACTIVE


@pytest.mark.parametrize("moved", [MONTHS, -MONTHS])
async def test_a_clock_that_jumps_ends_nothing(
    app: syncauth.App, clock: OddClock, moved: float
) -> None:
    """Set to another day while the App runs: at most one refresh too many, and nobody is logged out."""
    user = await app.log_in(ANN)
    replica = await open_notes(app, user)
    await replica.wait_synced(10)
    clock.moved = moved
    replica.db["notes"].insert({"id": "1", "title": "x", "body": None})
    await replica.wait_synced(10)
    assert await user.valid_access_token() == user.access_token
    assert user.state is SessionState.ACTIVE


async def test_a_machine_that_slept_renews_its_token(app: syncauth.App, clock: OddClock) -> None:
    """Timers stand still while a machine sleeps; when it wakes the token is as old as the wall clock says."""
    await app.log_in(ANN)
    events = app.events()
    began = time.monotonic()
    clock.moved = 3600.0
    await next_event(events, syncauth.TokensRenewed)
    assert time.monotonic() - began < 10
