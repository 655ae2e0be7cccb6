"""
Two replicas and a model of a server, in any order of writes, pushes, lost answers, pages and restarts (I9).

The model is written from the rules of merging alone, without a line of the server's. It refuses what it does not
like, answers a repeated batch with the stored result, and tells a device nothing that it has already: an edit that
got lost here, a row that was not put back or a delta that was added twice is never mended by an echo. What the
devices hold in the end, rows and lives, must be what it holds (I1, I2).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from syncauth.models import TableSpec
from syncauth.replica.replica import FileReplica
from syncauth.sansio.messages import (
    BatchResult,
    Changes,
    Refused,
    Section,
    Superseded,
    decode_sections,
    encode_sections,
)
from syncauth.sansio.records import Batch
from tests.support.replica_bench import NOTES, OWN, VALUES, ReplicaBench

BAD = "bad"
START_MS = 1_700_000_000_000


@dataclass
class Row:
    """What the server knows of a key; `origin` is the device that has it as it is, None if there is none."""

    lives: str
    version: int = 0
    origin: str | None = None
    living: bool = True
    values: dict[str, Any] = field(default_factory=dict)
    stamps: dict[str, str] = field(default_factory=dict)


class Server:
    """The rules of merging, for one table and one partition."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.version = 0
        self.received = 0
        self.results: dict[str, list[BatchResult]] = {}

    def push(self, device: str, batch: Batch, received: int) -> BatchResult:
        """Judge a batch once; a repeated one has the result that it had (I2).

        `received` is the version that the device has committed.
        """
        results = self.results.setdefault(device, [])
        if batch.number <= len(results):
            stored = results[batch.number - 1]
            assert stored.digest == batch.digest
            return stored
        assert batch.number == len(results) + 1
        self.received = received
        refused: dict[str, list[Refused]] = {}
        superseded = []
        for section in decode_sections(batch.sections):
            for key, entry, hlc, life, *given in section.rows:
                values = dict(zip(section.columns, given, strict=False))
                deltas = dict(zip(section.deltas, given[len(section.columns) :], strict=True))
                if BAD in values.values():
                    refused.setdefault(key, []).append(Refused(entry, "constraint", BAD))
                    continue
                stamp = f"{hlc:016x}{device}"
                lost = self._judge(section.kind, device, key, stamp, life, values, deltas)
                superseded += [] if lost is None else [Superseded(entry, lost)]
        result = BatchResult(
            batch.number,
            batch.digest,
            refused=[each for entries in refused.values() for each in entries],
            superseded=superseded,
            rows=self._sections(refused, present=True),
        )
        results.append(result)
        return result

    def _judge(
        self,
        kind: str,
        device: str,
        key: str,
        stamp: str,
        life: str | None,
        values: dict[str, Any],
        deltas: dict[str, int],
    ) -> list[str] | None:
        """Merge one change; returns the columns that it lost, [] if it had no effect at all, or None."""
        row = self.rows.setdefault(key, Row("", living=False))
        named = row.living and life is not None and life in row.lives.split()
        if kind == "insert" and (not row.living or named):
            row.lives, row.living, row.values = stamp, True, values
            row.stamps = dict.fromkeys(VALUES, stamp)
            self._written(row, device)
            return None
        if kind != "insert" and not named:
            return []
        if kind == "delete":
            row.living = False
            self._written(row, device)
            return None
        won = [name for name in values if stamp >= row.stamps[name]]
        row.values |= {name: values[name] for name in won}
        row.stamps |= dict.fromkeys(won, stamp)
        for name, delta in deltas.items():
            if isinstance(row.values[name], int):
                row.values[name] += delta
        lost = [name for name in values if name not in won]
        if kind == "insert":
            row.lives = " ".join(sorted({*row.lives.split(), stamp}))
        self._written(row, None if lost or kind == "insert" else device)
        return lost or None

    def _written(self, row: Row, origin: str | None) -> None:
        """Give a row a version; without an origin, or over what its writer has not seen, it must be told, too."""
        self.version += 1
        seen = row.origin == origin or row.version <= self.received
        row.version, row.origin = self.version, origin if seen else None

    def table(self) -> list[tuple[Any, ...]]:
        """Return the living rows in the order of their keys."""
        living = sorted((key, row.values) for key, row in self.rows.items() if row.living)
        return [(key, *(values[name] for name in VALUES)) for key, values in living]

    def page(self, device: str, cursor: int, rows: int) -> Changes:
        """Read what came after a version and the device has not, in the order of versions."""
        news = {
            key: row
            for key, row in self.rows.items()
            if row.version > cursor and row.origin != device
        }
        first = dict(sorted(news.items(), key=lambda item: item[1].version)[:rows])
        complete = len(first) == len(news)
        reached = self.version if complete else max(row.version for row in first.values())
        through = len(self.results.get(device, ()))
        raw = msgspec.Raw(encode_sections(self._sections(first)))
        return Changes({OWN: reached}, through, self.version, complete, raw)

    def _sections(self, keys: Any, *, present: bool = False) -> list[Section]:
        """Describe rows as they are now; `present`: in answer to a refusal, where no tombstone is told."""
        living, gone, left = [], [], []
        for key in keys:
            row = self.rows.get(key)
            if row is None or (present and not row.living):
                left.append([key])
            elif row.living:
                base = min(row.stamps.values())
                values = [row.values[name] for name in VALUES]
                living.append([key, row.lives, base, json.dumps(row.stamps), *values])
            else:
                gone.append([key, row.lives, max(row.stamps.values())])
        made = [
            Section("notes", "row", living, list(VALUES), partition=OWN),
            Section("notes", "gone", gone, partition=OWN),
            Section("notes", "exit", left, partition=OWN),
        ]
        return [section for section in made if section.rows]


class Device:
    """A replica and its connection, which may break at any time."""

    def __init__(self, number: int, directory: Path, server: Server) -> None:
        path = directory / str(number)
        path.mkdir()
        self.bench = ReplicaBench(path, NOTES, TableSpec("notes", counters=("likes",)))
        self.server = server
        self.refused = 0
        self.ids = iter(f"{number}{count:015x}" for count in range(1000))
        self.adopt()

    @property
    def replica(self) -> FileReplica:
        return self.bench.replica

    def adopt(self) -> None:
        """Be given a new id, as a copied file is; what was judged under the old one is known before."""
        self.answers: list[BatchResult] = []
        self.id = self.replica.adopt_device(next(self.ids)).device

    def waiting(self) -> list[Batch]:
        """Return the batches that have not been judged on this connection."""
        acked = self.replica.state().acked
        heard = (0 if acked is None else acked.batch) + len(self.answers)
        return list(self.replica.batches_in_flight(heard))

    def push(self) -> None:
        """Have the oldest batch judged; its answer is under way."""
        for batch in self.waiting()[:1]:
            received = self.replica.state().checkpoints.get(OWN, 0)
            self.answers.append(self.server.push(self.id, batch, received))

    def hear(self) -> None:
        """Take the answers that are under way."""
        answers, self.answers = self.answers, []
        self.refused += sum(len(each.refused) for each in answers)
        self.replica.acknowledge(answers)

    def reconnect(self) -> None:
        """Lose the answers that are under way; a welcome brings the results of all that was judged."""
        acked = self.replica.state().acked
        known = 0 if acked is None else acked.batch
        self.answers = list(self.server.results.get(self.id, ())[known:])
        self.replica.begin_connection()
        self.hear()

    def read(self, rows: int) -> None:
        """Take one page; the answers that left before it come first."""
        self.hear()
        cursor = self.replica.state().checkpoints.get(OWN, 0)
        self.replica.apply(self.server.page(self.id, cursor, rows))

    def sync(self) -> None:
        """Receive all, then send all: what is shown with changes unsent is what the server makes of them."""
        self.read_all()
        shown = self.bench.table()
        while self.replica.cut(rows=4, size=100_000).batch is not None:
            pass
        while self.waiting():
            self.push()
        if not any(answer.refused for answer in self.answers):
            assert shown == self.server.table()
        self.hear()
        self.read_all()

    def read_all(self) -> None:
        """Read up to the server's last version."""
        self.hear()
        for _ in range(self.server.version + 1):
            if self.replica.state().checkpoints.get(OWN, 0) == self.server.version:
                return
            self.read(3)
        raise AssertionError

    def lives(self) -> dict[str, str]:
        return dict(self.bench.app.execute("SELECT k0, lives FROM _sync_rows_1").fetchall())


_device = st.integers(0, 1)
_key = st.sampled_from(("'k1'", "'k1'", "'k2'", "'k3'"))
_text = st.sampled_from(("'a'", "'b'", "'c'", "'d'", "NULL", f"'{BAD}'"))
_edits = st.builds(
    "UPDATE notes SET {} = {} WHERE id = {}".format,
    st.sampled_from(("title", "body")),
    _text,
    _key,
)
_counts = st.builds(
    "UPDATE notes SET likes = likes + {} WHERE id = {}".format, st.sampled_from((1, 10, -1)), _key
)
_rest = st.one_of(
    st.builds("DELETE FROM notes WHERE id = {}".format, _key),
    st.builds("REPLACE INTO notes VALUES ({}, {}, {}, 0)".format, _key, _text, _text),
    st.builds("INSERT OR IGNORE INTO notes VALUES ({}, {}, 'i', 7)".format, _key, _text),
    st.builds("UPDATE OR REPLACE notes SET id = {} WHERE id = {}".format, _key, _key),
)
_writes = st.one_of(_edits, _edits, _edits, _counts, _rest)


class TwoReplicas(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.server = Server()
        self.devices = [Device(number, self.directory, self.server) for number in (0, 1)]
        self.time = START_MS

    @initialize(held_twice=st.booleans())
    def begin(self, *, held_twice: bool) -> None:
        """Both know one row, and may have inserted another each on its own."""
        self._write(0, "INSERT INTO notes VALUES ('k1', 'a', 'a', 0)")
        self._settle()
        if held_twice:
            for device in (0, 1):
                self._write(device, f"INSERT INTO notes VALUES ('k2', 'by {device}', 'b', 3)")

    @rule(device=_device, sql=_writes)
    def write(self, device: int, sql: str) -> None:
        """Let the app write a statement."""
        self._write(device, sql)

    @rule(device=_device, before=_edits, after=_writes)
    def write_around_a_cut(self, device: int, before: str, after: str) -> None:
        """Let the app write while what it wrote before is in flight."""
        self._write(device, before)
        self.cut(device, 4)
        self._write(device, after)

    def _write(self, device: int, sql: str) -> None:
        self.time += 1000
        app = self.devices[device].bench.app
        app.execute("UPDATE _sync_clock SET fixed_ms = ?", (self.time,))
        app.execute(sql)

    @rule(device=_device, rows=st.integers(1, 4))
    def cut(self, device: int, rows: int) -> None:
        """Cut a batch."""
        self.devices[device].replica.cut(rows=rows, size=100_000)

    @rule(device=_device)
    def push(self, device: int) -> None:
        """Have a batch judged."""
        self.devices[device].push()

    @rule(device=_device)
    def push_and_hear(self, device: int) -> None:
        """Have a batch judged and take what is under way."""
        self.devices[device].push()
        self.devices[device].hear()

    @rule(device=_device, rows=st.sampled_from((1, 100)))
    def read(self, device: int, rows: int) -> None:
        """Take a page."""
        self.devices[device].read(rows)

    @rule(device=_device, trouble=st.sampled_from(("answer", "link", "link", "process", "id")))
    def disturb(self, device: int, trouble: str) -> None:
        """Lose an answer and send the batch again, lose the link, end the process, or be given a new id."""
        one = self.devices[device]
        one.push()
        if trouble == "answer":
            one.answers = []
            one.push()
            return
        if trouble == "process":
            one.replica.close()
            one.bench.replica = one.bench.open()
        one.reconnect()
        if trouble == "id":
            one.adopt()

    def _settle(self) -> None:
        for device in (*self.devices, *self.devices):
            device.sync()
        lives = {key: row.lives for key, row in self.server.rows.items() if row.living}
        for device in self.devices:
            state = device.replica.state()
            assert (state.pending, state.in_flight) == (0, ())
            assert device.bench.table() == self.server.table()
            assert device.lives() == lives
            assert state.dead_letters >= device.refused

    def teardown(self) -> None:
        self._settle()
        for device in self.devices:
            device.bench.close()
        shutil.rmtree(self.directory)


TwoReplicas.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
test_two_replicas_and_a_model_agree = TwoReplicas.TestCase
