"""Metrics count what happened, by labels that are few; every server has its own."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import msgspec
import pytest

from syncauth.sansio.messages import BatchResult, Changes, Refused, Superseded
from syncauth.server.operations.ids import CURRENT, Ids, Refusal, working_for
from syncauth.server.operations.measured import MeasuredLine, measured_connection
from syncauth.server.operations.metrics import Metrics
from syncauth.server.stores.interface import SessionStatus
from syncauth.server.stores.rows_interface import (
    Judged,
    OutOfOrder,
    Page,
    Problem,
    SessionOver,
)
from syncauth.server.stores.thread import StoreThread
from tests.support.watched import SteppingClock, sample

SESSION = "/api/client/v2.0/auth/session"


@pytest.fixture
def metrics() -> Metrics:
    """Metrics with nothing counted."""
    return Metrics()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Return a sample."""
    return sample(metrics.text().decode(), f"syncauth_{name}", **labels)


def test_two_servers_count_apart(metrics: Metrics) -> None:
    """What one server counts is not in another's metrics, though both are in one process."""
    other = Metrics()
    metrics.revoked(2)

    assert value(metrics, "sessions_revoked_total") == 2
    assert value(other, "sessions_revoked_total") == 0


def test_refreshes_and_refusals_are_told_by_outcome(metrics: Metrics) -> None:
    """A refresh is ok, or is told by why the session ended; 429 counts as a limit."""
    metrics.answered("POST", SESSION, 201, 0.1, None)
    metrics.answered("POST", SESSION, 401, 0.1, Refusal("InvalidSession", "reuse_detected"))
    metrics.answered("POST", SESSION, 429, 0.1, Refusal("TooManyRequests"))
    metrics.answered("DELETE", SESSION, 204, 0.1, None)

    for outcome in ("ok", "reuse_detected", "TooManyRequests"):
        assert value(metrics, "refreshes_total", outcome=outcome) == 1
    assert value(metrics, "rate_limited_total", route=SESSION) == 1
    assert value(metrics, "http_request_seconds_count", method="POST") == 3


def test_codes_that_are_none_are_not_shown(metrics: Metrics) -> None:
    """Whatever does not look like a code cannot become a label."""
    metrics.answered("POST", SESSION, 400, 0.1, Refusal('x"} 1\n'))
    metrics.closed("ann@example.com")

    assert value(metrics, "refreshes_total", outcome="other") == 1
    assert value(metrics, "sockets_closed_total", code="other") == 1


def test_batches_and_changes_are_counted(metrics: Metrics) -> None:
    """A judged batch counts its changes by what became of them; a repeated one counts none."""
    result = BatchResult(1, "d", [Superseded(1, [])], [Refused(2, "code", "why")])
    metrics.judged(Judged(result, frozenset(), changes=10), 0.01)
    metrics.judged(Judged(result), 0.01)
    metrics.judged(OutOfOrder(3), 0.01)
    metrics.judged(SessionOver(SessionStatus.REVOKED), 0.01)
    metrics.judged(Problem("bad_message", "why"), 0.01)

    for outcome in ("judged", "repeated", "out_of_order", "session_over", "bad_message"):
        assert value(metrics, "batches_total", outcome=outcome) == 1
    for outcome, count in (("applied", 8), ("superseded", 1), ("refused", 1)):
        assert value(metrics, "changes_total", outcome=outcome) == count
    assert value(metrics, "batch_seconds_count") == 5


def test_pages_are_counted_when_they_are_sent(metrics: Metrics) -> None:
    """A page's rows count with the page that was read; an empty one has none."""
    changes = Changes({}, 0, 0, complete=True, sections=msgspec.Raw(b"[]"))
    metrics.sent(changes, Page(changes, 7))
    metrics.sent(changes, None)

    assert value(metrics, "pages_sent_total") == 2
    assert value(metrics, "page_rows_sent_total") == 7


def test_what_is_watched_is_asked_for(metrics: Metrics) -> None:
    """A gauge tells the number of the moment in which the metrics are read."""
    numbers = {"a": 1}
    metrics.watch_by("things", "Things.", "kind", {"a": lambda: numbers["a"]})
    assert value(metrics, "things", kind="a") == 1

    numbers["a"] = 5
    assert value(metrics, "things", kind="a") == 5


async def test_the_line_of_the_store_is_measured(metrics: Metrics) -> None:
    """Work that waits counts as the line, how long it waited is told, and it knows for whom it works."""
    clock = SteppingClock()
    thread = StoreThread(MeasuredLine(metrics, clock))
    go_on = threading.Event()
    with working_for(Ids("mine")):
        first, second = thread.run(go_on.wait, 10), thread.run(CURRENT.get)
    assert value(metrics, "store_line") in {1, 2}

    go_on.set()
    await first
    assert (await second).request_id == "mine"
    assert value(metrics, "store_line") == 0
    assert value(metrics, "store_wait_seconds_count") == 2
    assert (value(metrics, "store_wait_seconds_sum") or 0) >= 0.02
    thread.close()


def test_commits_are_measured(metrics: Metrics, tmp_path: Path) -> None:
    """Each commit counts once, and does what a commit does."""
    kind = measured_connection(metrics, SteppingClock())
    connection = sqlite3.connect(tmp_path / "a.db", factory=kind, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE a (b)")
    connection.commit()

    assert not connection.in_transaction
    assert value(metrics, "store_commit_seconds_count") == 1
    connection.close()
