"""Kill -9 in the middle of a restore: the next start serves the old file or the new one, never a mix (I14)."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from syncauth.server.upkeep.backup import backup
from syncauth.server.upkeep.restore import DECIDED, DRAFT
from tests.conftest import FIGURES
from tests.support.processes import ROOT, Server, configure

KILLS = 12
SECONDS = 30.0
ROWS = 20_000
SERVER_SCHEMA = """CREATE TABLE IF NOT EXISTS notes (_partition TEXT NOT NULL, id TEXT NOT NULL, title TEXT,
    PRIMARY KEY (_partition, id));"""


class Scene:
    """A data directory whose server was killed, with a log beside its file, and an older backup of it."""

    def __init__(self, directory: Path) -> None:
        configure(directory, SERVER_SCHEMA, "[tables.notes]")
        self.directory = directory
        self.data = directory / "data"
        self.kept = directory / "kept"
        with Server(directory) as server:
            self._write(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
                " INSERT INTO notes SELECT 'p', i, 'old ' || hex(randomblob(200)) FROM n"
            )
            backup(self.data, directory / "backup", now=time.time())
            # All rows change, so that a page of one file in the other would show.
            self._write("UPDATE notes SET title = 'new ' || hex(randomblob(200))")
            server.kill()
        assert (self.data / "server.db-wal").stat().st_size > 0
        self.data.rename(self.kept)

    def _write(self, sql: str) -> None:
        # Through a connection that stays: closing the last one would write the log back.
        connection = sqlite3.connect(self.data / "server.db", isolation_level=None)
        connection.execute(sql)
        connection.close()

    def reset(self) -> None:
        """Begin again with the directory as the killed server left it."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.copytree(self.kept, self.data)

    def titles(self) -> set[str]:
        """Return the kinds of titles that a server serves, once it has started; all rows are there."""
        with Server(self.directory):
            pass
        with closing(sqlite3.connect(self.data / "server.db")) as file:
            assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            rows = file.execute(
                "SELECT substr(title, 1, 3), count(*) FROM notes GROUP BY 1"
            ).fetchall()
        assert sum(count for _, count in rows) == ROWS
        return {kind for kind, _ in rows}

    def kill_a_restore(self, random: Random) -> str:
        """Kill a restore a while after it has begun to write; returns how far it had come."""
        arguments = [
            "server",
            "restore",
            "--data",
            str(self.data),
            "--from",
            str(self.directory / "backup"),
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "syncauth.cli", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        try:
            end = time.monotonic() + SECONDS
            wanted = random.choice((DRAFT, DECIDED))
            while not list(self.data.glob(f"{wanted}*")) and process.poll() is None:
                assert time.monotonic() < end
            begun = time.perf_counter()
            wait = random.uniform(0.0, 0.05 if wanted == DRAFT else 0.004)
            while time.perf_counter() - begun < wait:
                pass
        finally:
            process.kill()
            process.wait()
        if process.returncode == 0:
            return "done"
        if list(self.data.glob(f"{DECIDED}*")):
            return "decided"
        return "drafted" if (self.data / DRAFT).exists() else "finished"


@pytest.mark.timeout(300)
def test_a_killed_restore_leaves_the_old_file_or_the_new(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The log of the old file is never applied to the new one, and the old file is kept beside."""
    seed = int(os.environ.get("SYNCAUTH_SEED") or time.time_ns() % 100_000)
    random, counts = Random(seed), Counter[str]()
    scene = Scene(tmp_path)
    for _ in range(KILLS):
        scene.reset()
        came = scene.kill_a_restore(random)
        titles = scene.titles()
        replaced = list(scene.data.glob("server.db.replaced-*"))
        assert titles == ({"old"} if replaced else {"new"}), (seed, came)
        counts[f"{came}, {'new' if replaced else 'old'} file"] += 1
    record_property(FIGURES, f"seed {seed}, {dict(counts)}")
    assert len({outcome.partition(", ")[2] for outcome in counts}) == 2, (seed, counts)
