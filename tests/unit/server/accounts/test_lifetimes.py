"""Lives of tokens: asked for at most twice a second, changed within their ranges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from syncauth.server.accounts.lifetimes import LOOK_AGAIN, LiveLifetimes, seconds_of
from syncauth.server.settings.config import Lifetimes, ServerConfig
from syncauth.server.stores.admin_interface import Lifetime
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.thread import StoreThread
from tests.support.clocks import SetClock


@dataclass
class Bench:
    """The lives of one process, and a store as another process has it."""

    live: LiveLifetimes
    elsewhere: SqliteAccounts
    clock: SetClock
    config: ServerConfig


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    config = ServerConfig("app", tmp_path, lifetimes=Lifetimes(access_seconds=100))
    with ExitStack() as stack:
        here, there = (
            stack.enter_context(closing(open_server_file(tmp_path / "server.db", "")))
            for _ in range(2)
        )
        thread, clock = StoreThread(), SetClock()
        stack.callback(thread.close)
        live = LiveLifetimes(config, store=SqliteAccounts(here), thread=thread, clock=clock)
        yield Bench(live, SqliteAccounts(there), clock, config)


async def test_change_elsewhere_is_seen_in_time(bench: Bench) -> None:
    """What another process changed holds here after `LOOK_AGAIN`, which is less than a second."""
    assert await bench.live.seconds(Lifetime.ACCESS) == 100
    bench.elsewhere.change_lifetime(Lifetime.ACCESS, 70)
    bench.clock.pass_time(LOOK_AGAIN - 0.001)
    assert await bench.live.seconds(Lifetime.ACCESS) == 100
    bench.clock.pass_time(0.001)

    assert await bench.live.seconds(Lifetime.ACCESS) == 70
    assert LOOK_AGAIN < 1


async def test_own_change_holds_at_once(bench: Bench) -> None:
    """Whoever changed a life through this process finds it changed, without any time passing."""
    await bench.live.seconds(Lifetime.ACCESS)

    assert await bench.live.change(Lifetime.ACCESS, 70)
    assert await bench.live.seconds(Lifetime.ACCESS) == 70
    assert await bench.live.seconds(Lifetime.REFRESH) == bench.config.lifetimes.refresh_seconds


@pytest.mark.parametrize(
    ("which", "low", "high"),
    [
        (Lifetime.ACCESS, 60, 24 * 3600),
        (Lifetime.REFRESH, 30 * 60, 5 * 365 * 24 * 3600),
    ],
)
async def test_lives_have_their_ranges(bench: Bench, which: Lifetime, low: int, high: int) -> None:
    """Both bounds are allowed, what lies beyond is refused and changes nothing."""
    for seconds in (low, high):
        assert await bench.live.change(which, seconds)
        assert await bench.live.seconds(which) == seconds
    for seconds in (low - 1, high + 1, 0, -1):
        assert not await bench.live.change(which, seconds)
        assert await bench.live.seconds(which) == high
    assert bench.live.range_of(which) == (low, high)


async def test_what_is_out_of_range_now_does_not_count(bench: Bench) -> None:
    """A life of seconds that was set in test mode does not hold outside of it."""
    bench.elsewhere.change_lifetime(Lifetime.ACCESS, 2)
    assert await bench.live.seconds(Lifetime.ACCESS) == 100

    in_test_mode = replace(bench.config, test_mode=True)
    changed = bench.elsewhere.changed_lifetimes()
    assert seconds_of(in_test_mode, changed, Lifetime.ACCESS) == 2
