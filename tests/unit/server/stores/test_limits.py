"""The row store's limit: how many changes a batch may hold."""

from __future__ import annotations

from pathlib import Path

from syncauth.server.settings.config import ServerLimits
from syncauth.server.stores.rows_interface import Judged, Problem
from tests.support.row_store import StoreBench


def test_a_batch_with_too_many_changes_is_refused_whole(tmp_path: Path) -> None:
    """The limit holds for all sections together; nothing is applied, and the next smaller one is."""
    bench = StoreBench(tmp_path / "narrow.db", limits=ServerLimits(batch_rows=2))
    bench.welcome("A")
    parts = [bench.insert([key, "x", None, 0]) for key in "123"]

    refused = bench.push("A", *parts)
    taken = bench.push("A", *parts[:2])

    bench.connection.close()
    assert isinstance(refused, Problem) and refused.code == "message_too_big"
    assert isinstance(taken, Judged) and taken.result.batch == 1
