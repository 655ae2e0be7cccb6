"""A device that has what a restore has undone is told, whatever the numbers are by then; all others go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncauth.sansio.messages import BatchMark
from syncauth.server.stores import histories
from syncauth.server.stores.rows_interface import Greeting, Problem
from tests.support.row_store import NOW, StoreBench

OWN = "user:ann"
FIRST, SECOND, THIRD = "1" * 16, "2" * 16, "3" * 16


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[StoreBench]:
    """A store whose device A has pushed two batches, and which was restored to that."""
    bench = StoreBench(tmp_path / "server.db")
    bench.store.begin_history(FIRST, NOW)
    bench.welcome("A")
    for key in ("1", "2"):
        bench.judged("A", bench.insert((key, "title", None, 0)))
    fork(bench, SECOND)
    yield bench
    bench.connection.close()


def fork(bench: StoreBench, history: str) -> None:
    """Begin another history, as a restore does."""
    bench.connection.execute("BEGIN")
    histories.fork(bench.connection, history, NOW)
    bench.connection.execute("COMMIT")


def head(bench: StoreBench) -> int:
    """Return the highest version of ann's partition."""
    sql = "SELECT head FROM _sync_partitions WHERE name = ?"
    (found,) = bench.connection.execute(sql, (OWN,)).fetchone()
    return int(found)


def code(answer: Any) -> str:
    """Return the code of a problem, "" for a greeting."""
    return answer.code if isinstance(answer, Problem) else ""


def test_a_greeting_names_the_present_history(bench: StoreBench) -> None:
    """Whoever is taken in follows the history that the last restore began."""
    assert bench.welcome("B").history == SECOND


def test_a_history_begins_once(bench: StoreBench) -> None:
    """A start of the server changes nothing about it."""
    bench.store.begin_history(THIRD, NOW)

    assert histories.current(bench.connection) == SECOND


@pytest.mark.parametrize("history", [FIRST, None, ""])
def test_whoever_is_not_beyond_the_fork_goes_on(bench: StoreBench, history: str | None) -> None:
    """Up to the fork both histories are one; no history named means the first."""
    at_fork = {"checkpoints": {OWN: head(bench)}, "acked": bench.mark("A", 2)}

    assert isinstance(bench.greet("A", history=history, **at_fork), Greeting)
    assert isinstance(bench.greet("B", history=history, checkpoints={OWN: 1}), Greeting)


@pytest.mark.parametrize("field", ["checkpoints", "compare"])
def test_a_version_beyond_the_fork_is_refused(bench: StoreBench, field: str) -> None:
    """Also when the new history has given that number again: its content is another one (I9)."""
    lost = head(bench) + 1
    bench.judged("A", bench.insert(("3", "given again", None, 0)))
    assert head(bench) >= lost

    assert code(bench.greet("B", history=FIRST, **{"checkpoints": {}, field: {OWN: lost}})) == (
        "server_restored"
    )


def test_a_batch_beyond_the_fork_is_refused(bench: StoreBench) -> None:
    """Its result came from the lost time, even if the same batch was judged again since (I2)."""
    bench.judged("A", bench.insert(("3", "judged again", None, 0)))

    assert code(bench.greet("A", history=FIRST, acked=bench.mark("A", 3))) == "server_restored"
    assert isinstance(bench.greet("A", history=SECOND, acked=bench.mark("A", 3)), Greeting)


def test_a_partition_that_was_not_there_is_beyond(bench: StoreBench) -> None:
    """What the restored file has nothing of was reached in the lost time."""
    hello = {"checkpoints": {"team:7": 1}}

    assert code(bench.greet("B", history=FIRST, **hello)) == "server_restored"


def test_an_unknown_history_is_refused(bench: StoreBench) -> None:
    """It began after the backup, or the file is of another server."""
    assert code(bench.greet("B", history=THIRD, checkpoints={OWN: 1})) == "server_restored"


def test_a_device_that_has_nothing_goes_on(bench: StoreBench) -> None:
    """Whatever history it was told: nothing that it has came from it; its unanswered batch is sent again."""
    in_flight = BatchMark(1, "d" * 64)

    hello = {"checkpoints": {OWN: 0}, "highest": in_flight}

    assert isinstance(bench.greet("B", history=THIRD, **hello), Greeting)


def test_forks_of_earlier_restores_still_count(bench: StoreBench) -> None:
    """A second restore lets those go on who are not beyond the first, whichever history they follow."""
    at_first = head(bench)
    bench.judged("A", bench.insert(("3", "in the second", None, 0)))
    at_second = head(bench)
    fork(bench, THIRD)

    for history, version, wanted in (
        (FIRST, at_first, ""),
        (FIRST, at_second, "server_restored"),
        (SECOND, at_second, ""),
        (SECOND, at_second + 1, "server_restored"),
    ):
        answer = bench.greet("B", history=history, checkpoints={OWN: version})
        assert code(answer) == wanted, (history, version)


def test_a_file_without_histories_tells_none(tmp_path: Path) -> None:
    """Nothing is refused where nothing was ever restored."""
    bench = StoreBench(tmp_path / "old.db")

    assert bench.welcome("B", history=THIRD).history == ""
    bench.connection.close()
