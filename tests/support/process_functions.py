"""Functions of a team that run in processes: some serve, some hang, some crash."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from syncauth.errors import FunctionError
from syncauth.server.team.extensions import FunctionContext


def echo(_context: FunctionContext, value: Any) -> Any:
    """Give back what came."""
    return value


def who(context: FunctionContext) -> dict[str, Any]:
    """Tell who calls, and which process runs this."""
    return {
        "kind": type(context).__name__,
        "user": context.user_id,
        "session": context.session_id,
        "data": dict(context.custom_data),
        "app": context.app_id,
        "pid": os.getpid(),
    }


async def later(_context: FunctionContext) -> str:
    """Answer from a loop of its own."""
    await asyncio.sleep(0)
    return "later"


def noisy(_context: FunctionContext) -> str:
    """Print, read stdin, and look for the private pipes."""
    print("a line that is no answer")  # noqa: T201 - this is what is tested
    os.write(1, b"another\n")
    return sys.stdin.read()


def refuse(_context: FunctionContext) -> None:
    """Refuse the caller."""
    raise FunctionError("you have no stamps left")


def refuse_at_length(_context: FunctionContext, times: int) -> None:
    """Refuse the caller in so many words as the caller wants."""
    raise FunctionError("no " * times)


def fail(_context: FunctionContext) -> None:
    """Fail with a secret in the text."""
    message = "hunter2"
    raise ValueError(message)


def leave(_context: FunctionContext) -> None:
    """Raise what ends programs."""
    sys.exit(3)


def unfit(_context: FunctionContext) -> object:
    """Return what cannot be sent."""
    return object()


def unfit_by_name(_context: FunctionContext, name: str) -> dict[str, object]:
    """Return what cannot be sent, under a name that the log must not show."""
    return {name: object()}


def large(_context: FunctionContext) -> str:
    """Return too much."""
    return "x" * 2000


def count(_context: FunctionContext) -> Any:
    """Yield, which a process cannot."""
    yield 1


def end_at_once(_context: FunctionContext) -> None:
    """Take the process away."""
    os._exit(7)


def segfault(_context: FunctionContext) -> None:
    """Read where there is nothing."""
    ctypes.string_at(0)


def hang(_context: FunctionContext, place: str) -> None:
    """Write down the own number and that of a child, then hold the interpreter for years."""
    child = subprocess.Popen(["/bin/sleep", "1000"], stdout=subprocess.DEVNULL)
    path = Path(place)
    path.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
    path.with_suffix(".new").rename(path)
    re.match(r"(a|aa)+$", "a" * 100 + "b")


def wait(_context: FunctionContext, place: str) -> None:
    """Write down the own number and that of a child, then wait for the child."""
    with subprocess.Popen(["/bin/sleep", "1000"], stdout=subprocess.DEVNULL) as child:
        path = Path(place)
        path.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
        path.with_suffix(".new").rename(path)


def escape(_context: FunctionContext, place: str) -> None:
    """Leave a child in a session of its own, which holds our pipes, and never end."""
    if os.fork() == 0:
        os.setsid()
        Path(place).write_text(str(os.getpid()), encoding="ascii")
    threading.Event().wait()
