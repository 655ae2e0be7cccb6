"""
Runs the functions that are registered with `process=True` in worker processes, which can be killed.

A function whose time is over is killed with its process and all that it has started, so its slot is free at once; a
process that crashes costs its caller an error and nobody else anything. Workers are new programs, never forks: the
server has threads and open databases. They are started when they are needed, kept for the next call, and end with
the server. This module must never log what a function was given or gives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Final, cast

import msgspec

from syncauth.errors import FunctionError, ServerBusy, WaitTimedOut
from syncauth.server.team.extensions import FunctionContext
from syncauth.server.team.runner import Ended, Runner, tell_nobody
from syncauth.server.team.worker import READY, Answer, Call

LOGGER: Final = logging.getLogger("syncauth.server.team.processes")

SECONDS_TO_START: Final = 60.0
ENVELOPE_BYTES: Final = 10_000
"""What an answer may have beyond the result that it carries."""

START: Final = (
    "import json, sys; places, sys.path[:] = json.loads(sys.argv[1]); "
    "from syncauth.server.team.worker import main; main(places)"
)


class ProcessPool:
    """A bounded number of worker processes."""

    def __init__(
        self,
        places: Sequence[str],
        *,
        slots: int,
        largest: int,
        ended: Ended = tell_nobody,
    ) -> None:
        """Take where the functions are found, how many run at once, the bytes of a result, and who counts."""
        self._ended = ended
        self._places = list(places)
        self._largest = largest
        # The threads wait for the processes; the time of a call is kept by who waits for the process.
        self._threads = Runner("functions in processes", slots=slots, seconds=None)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._closed = False

    async def call(
        self, place: str, context: FunctionContext, documents: list[object], seconds: float
    ) -> Answer:
        """Call the function at `place` with Extended JSON; answered within `seconds` after a worker is there.

        Raises:
            ServerBusy: all slots are taken.
            WaitTimedOut: it has not ended in time, and was killed.
            FunctionError: its process has ended by itself.
        """
        call = Call(place, seconds, self._largest, context, documents)
        line = msgspec.json.encode(call) + b"\n"
        outcome = "failed"
        try:
            answer: Answer = await self._threads.call(self._ask, line, seconds)
            outcome = "ok" if answer.kind == "result" else "failed"
        except ServerBusy:
            outcome = "busy"
            raise
        except WaitTimedOut:
            outcome = "timed_out"
            raise
        except asyncio.CancelledError:
            outcome = "given_up"
            raise
        finally:
            self._ended("processes", outcome)
        return answer

    def close(self) -> None:
        """Kill all workers. Idempotent."""
        with self._lock:
            self._closed = True
            workers = list(self._all)
            self._all.clear()
        for worker in workers:
            worker.end()
        self._threads.close()

    def _ask(self, line: bytes, seconds: float) -> Answer:
        """Find a worker and wait for its answer; runs in a thread."""
        worker = self._take()
        try:
            text = worker.ask(line, seconds, self._largest + ENVELOPE_BYTES)
        except Exception:
            self._forget(worker)
            raise
        if worker.killed:  # its time came together with its answer
            self._forget(worker)
        else:
            with self._lock:
                self._idle.append(worker)
        return msgspec.json.decode(text, type=Answer)

    def _take(self) -> _Worker:
        while True:
            with self._lock:
                if self._closed:
                    raise ServerBusy("the server is ending", retry_after=1.0)
                worker = self._idle.pop() if self._idle else None
                if worker is None:
                    worker = _Worker(self._places)
                    self._all.add(worker)
                    break
            if worker.is_quiet():
                return worker
            self._forget(worker)  # it ended while it had nothing to do
        try:
            worker.start()
        except Exception:
            self._forget(worker)
            raise
        return worker

    def _forget(self, worker: _Worker) -> None:
        with self._lock:
            self._all.discard(worker)
        worker.end()


class _Worker:
    """One process, and the two pipes to it."""

    def __init__(self, places: list[str]) -> None:
        """Start the process, as the leader of a group of its own."""
        self.killed = False
        self._lock = threading.Lock()
        self._in_use = threading.Lock()  # the pipes: nobody closes what another thread waits at
        self._ended = False
        self._told_of_end, self._tell_end = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-c", START, json.dumps([places, sys.path])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        except BaseException:
            os.close(self._told_of_end)
            os.close(self._tell_end)
            raise
        self._told = cast("IO[bytes]", self._process.stdin)
        self._heard = cast("IO[bytes]", self._process.stdout)

    def start(self) -> None:
        """Wait until it is ready."""
        try:
            self._exchange(b"", SECONDS_TO_START, len(READY))
        except WaitTimedOut as error:
            what = "the function's process could not be started"
            raise FunctionError(what) from error

    def ask(self, line: bytes, seconds: float, longest: int) -> bytes:
        """Write a line and return the one that answers it."""
        return self._exchange(line, seconds, longest)

    def is_quiet(self) -> bool:
        """Whether it waits for a call: one that has ended can be read, and gives nothing."""
        # Not select(), which knows no file beyond the 1024th: a server has as many sockets.
        poll = select.poll()
        poll.register(self._heard, select.POLLIN)
        return not poll.poll(0)

    def end(self) -> None:
        """Kill the process and what it has started, and let go of it. Idempotent."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._kill_group()
            self._process.wait()
        with self._in_use:
            for pipe in (self._told, self._heard):
                with contextlib.suppress(OSError):  # what was not written stays unwritten
                    pipe.close()
            os.close(self._told_of_end)
            os.close(self._tell_end)

    def _exchange(self, line: bytes, seconds: float, longest: int) -> bytes:
        timer = threading.Timer(seconds, self._kill)
        timer.daemon = True
        with self._in_use:
            if self._ended:
                raise FunctionError("the function's process has ended with the server")
            timer.start()
            try:
                with contextlib.suppress(BrokenPipeError):  # then there is nothing to hear either
                    self._told.write(line)
                    self._told.flush()
                text = self._read_line(longest)
            finally:
                timer.cancel()
        if text.endswith(b"\n"):
            return text
        if self.killed:
            raise WaitTimedOut("a function in a process was killed", waited=seconds)
        self.end()
        LOGGER.error("the process of a function has ended with %s", self._process.returncode)
        raise FunctionError("the function's process has ended by itself")

    def _read_line(self, longest: int) -> bytes:
        """Read to the end of a line, or as far as it comes before the process is killed.

        Its end alone does not end the pipe: a child that has left the group may hold it.
        """
        heard, text = self._heard.fileno(), b""
        poll = select.poll()
        poll.register(heard, select.POLLIN)
        poll.register(self._told_of_end, select.POLLIN)
        while len(text) < longest and not text.endswith(b"\n"):
            ready = {number for number, _ in poll.poll()}
            if heard not in ready:
                break
            part = os.read(heard, longest - len(text))
            if not part:
                break
            text += part
        return text

    def _kill(self) -> None:
        with self._lock:
            if not self._ended:
                self.killed = True
                self._kill_group()

    def _kill_group(self) -> None:
        """Kill the group; while its leader is not waited for, nobody else can have its number."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        os.write(self._tell_end, b".")
