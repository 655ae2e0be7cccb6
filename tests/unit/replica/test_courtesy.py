"""The app's writers go first, and never for long."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from syncauth.adapters.clock import SystemClock
from syncauth.replica.courtesy import Courtesy
from tests.support.replica_bench import ReplicaBench, remote

SECONDS = 10


def test_the_replica_waits_for_a_call_that_is_under_way() -> None:
    """`give_way` returns when the call ends (I11)."""
    courtesy = Courtesy()
    order: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def app() -> None:
        with courtesy.call():
            begun.set()
            go_on.wait(SECONDS)
            order.append("app")

    caller = threading.Thread(target=app)
    caller.start()
    assert begun.wait(SECONDS)
    go_on.set()
    courtesy.give_way()
    order.append("replica")
    caller.join(SECONDS)
    assert order == ["app", "replica"]


def test_a_call_that_does_not_end_holds_nobody_up() -> None:
    """A long transaction of the app delays the replica by a moment, not for ever."""
    courtesy = Courtesy()
    order = []
    with courtesy.call():
        courtesy.give_way()
        order.append("replica")
    assert order == ["replica"]


def test_a_download_leaves_room_for_writers_of_other_processes(tmp_path: Path) -> None:
    """A foreign writer gets its turn in the middle of a download, not only at its end (I11)."""
    bench = ReplicaBench(tmp_path)
    bench.replica.courtesy = Courtesy(SystemClock().now)
    beside = sqlite3.connect(bench.path, isolation_level=None, check_same_thread=False)
    applied = 0
    seen: list[int] = []

    def write() -> None:
        beside.execute("CREATE TABLE beside (n INTEGER)")
        seen.append(applied)

    writer = threading.Thread(target=write)
    writer.start()
    pages = 40
    for applied in range(1, pages + 1):
        first = applied * 1000
        rows = [[f"{number}", "title", "body", 0] for number in range(first, first + 1000)]
        bench.apply(remote(*rows), complete=applied == pages)
    writer.join(SECONDS)
    assert seen
    assert seen[0] < pages
    beside.close()
    bench.close()


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("page", "in_a_row"), [(0.021, 4), (0.04, 2), (0.2, 1)])
def test_pages_follow_each_other_for_a_tenth_of_a_second(page: float, in_a_row: int) -> None:
    """However long one takes: a foreign writer sleeps no longer than the rest, for as long as that (I11)."""
    clock = Clock()
    courtesy = Courtesy(clock)
    rests = []
    courtesy._changed.wait = rests.append  # type: ignore[assignment]
    for number in range(1, 3 * in_a_row + 1):
        courtesy.give_way()
        clock.now += page
        courtesy.page_applied(last=False)
        assert len(rests) == number // in_a_row


def test_pages_that_come_slowly_need_no_rest() -> None:
    """The lock is free while the next page is on its way."""
    clock = Clock()
    courtesy = Courtesy(clock)
    rests: list[float] = []
    courtesy._changed.wait = rests.append  # type: ignore[assignment]
    for _ in range(20):
        courtesy.give_way()
        clock.now += 0.02
        courtesy.page_applied(last=False)
        clock.now += 0.03
    assert rests == []
