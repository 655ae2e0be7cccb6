"""
Being told that files of a directory change: the one door to `watchfiles`.

The directory is watched, not the files: SQLite's log comes and goes. Where the system does not
watch (no more watches, an odd file system), the notice is simply given every 50 ms, and `kind` says
so. A notice says only that something may have happened; whoever gets it looks.

An event comes before what it tells of can be seen: SQLite writes its log, waits for the disk, and
only then makes the commit visible in shared memory, of which the system tells nothing. So each
event is followed by further notices, soon at first and then ever more rarely.

This module must never open or read a file it watches.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

from watchfiles._rust_notify import RustNotify

GROUP_MILLISECONDS: Final = 10
"""Events that come within this time are one notice."""

POLL_SECONDS: Final = 0.05
"""The time between two notices where nothing can be watched."""

REST_MILLISECONDS: Final = 1000
"""The longest time between two notices without an event, in case the system lost one."""

log = logging.getLogger("syncauth")


class Watcher:
    """Calls `notice` from a thread of its own, until it is closed."""

    def __init__(self, directory: str, prefix: str, notice: Callable[[], None]) -> None:
        """Watch the files of the directory whose names begin with `prefix`, from now on.

        `notice` must not block. The directory must be there.
        """
        self._prefix = prefix
        self._notice = notice
        self._stop = threading.Event()
        self.kind = "events"
        events = self._start_watching(directory)
        self._thread = threading.Thread(
            target=self._run, args=(events,), name="syncauth-watcher", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End the thread and wait for it; idempotent."""
        self._stop.set()
        self._thread.join()

    def _start_watching(self, directory: str) -> RustNotify | None:
        try:
            # debug, force_polling, poll_delay_ms, recursive, ignore_permission_denied; with the
            # last one true it would ignore every error, and watch nothing without a word.
            return RustNotify([directory], False, False, 0, False, False)  # noqa: FBT003 - positional alone
        except (OSError, RuntimeError) as error:
            self._give_up(error)
            return None

    def _run(self, events: RustNotify | None) -> None:
        if events is not None:
            try:
                with events:
                    self._follow(events)
            except (OSError, RuntimeError) as error:
                self._give_up(error)
        while not self._stop.wait(POLL_SECONDS):
            self._notice()

    def _follow(self, events: RustNotify) -> None:
        rest = REST_MILLISECONDS
        while True:
            found = events.watch(GROUP_MILLISECONDS, GROUP_MILLISECONDS, rest, self._stop)
            if found == "stop":
                return
            if isinstance(found, str):
                rest = min(2 * rest, REST_MILLISECONDS)
            elif any(self._is_ours(path) for _, path in found):
                rest = GROUP_MILLISECONDS
            else:
                continue
            self._notice()

    def _is_ours(self, path: str) -> bool:
        return os.path.basename(path).startswith(self._prefix)  # noqa: PTH119 - one of many strings

    def _give_up(self, error: Exception) -> None:
        self.kind = "polling"
        log.info("files cannot be watched here, so they are looked at every 50 ms: %s", error)
