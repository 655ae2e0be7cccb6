"""
Which event loop the server runs on: uvloop where it is installed, else the one of Python.

The extra `server` brings uvloop and httptools, which uvicorn takes by itself, except on Windows, where neither is
built. Everything must work on both loops; only the speed differs. This module must never change the loop of
anything but the server's own process.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_on_fast_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end as `asyncio.run` does, on the fastest loop that there is."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes a loop of uvloop; None, for the default, where that is not installed."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
