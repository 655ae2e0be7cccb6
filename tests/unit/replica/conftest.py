"""One replica for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.replica_bench import ReplicaBench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ReplicaBench]:
    bench = ReplicaBench(tmp_path)
    yield bench
    bench.close()
