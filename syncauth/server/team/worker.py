"""
The program of a worker process: it runs functions that are registered with `process=True`, one after the other.

A call comes as one line of JSON on stdin and is answered by one line on stdout; arguments and results are Extended
JSON in it, so that nothing of a user is ever unpickled. What a function itself prints goes to stderr. The worker ends
with the server, however that ends: stdin is then at its end. This module must never open a file of the server, nor
put arguments, results or the text of an exception anywhere but into its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import importlib
import inspect
import io
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from syncauth import ejson
from syncauth.errors import FunctionError, InvalidDocument
from syncauth.server.team.extensions import FunctionContext

READY: Final = b"ready\n"
"""The first line of a worker, once the modules of its functions are imported."""

GRACE: Final = 1.0
"""Seconds beyond its time after which a function that holds the interpreter ends its process, should nobody kill it."""


class Call(msgspec.Struct, frozen=True):
    """One call: where the function is found, who calls, and its arguments as Extended JSON."""

    place: str
    seconds: float
    largest: int
    context: FunctionContext
    arguments: list[Any]


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it: the result as Extended JSON, or why there is none.

    `text` is what the caller may be told of "refused", the kind of the exception of "failed", and what the log is
    told of "unfit".
    """

    kind: Literal["result", "refused", "failed", "unfit", "large"]
    text: str = ""
    result: msgspec.Raw = msgspec.Raw()


def find(place: str) -> Callable[..., Any]:
    """Return what `module:name` names; raises whatever its import raises."""
    module, _, path = place.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found  # type: ignore[no-any-return]


def answer(line: bytes) -> Answer:
    """Carry out one call."""
    call = msgspec.json.decode(line, type=Call)
    try:
        result = _run(call)
        text = msgspec.json.encode(ejson.encode(result))
    except FunctionError as error:
        # As text of JSON, for it may be the caller's: the server reads so much of an answer and ends who says more.
        fits = len(msgspec.json.encode(error.what)) <= call.largest
        return Answer("refused", error.what) if fits else Answer("large")
    except InvalidDocument as error:
        return Answer("unfit", error.why or "")  # not where: a path is made of keys
    except BaseException as error:  # noqa: BLE001 - whatever the team's code raises, and SystemExit
        return Answer("failed", type(error).__name__)
    return Answer("large") if len(text) > call.largest else Answer("result", "", msgspec.Raw(text))


def _run(call: Call) -> Any:
    function = find(call.place)
    arguments = [ejson.decode(document) for document in call.arguments]
    if inspect.iscoroutinefunction(function):
        return asyncio.run(function(call.context, *arguments))
    return function(call.context, *arguments)


def main(places: Sequence[str]) -> None:
    """Import the functions that will be called, then serve until stdin ends."""
    calls, answers = _take_pipes()
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(calls, lines), daemon=True).start()
    for place in places:
        with contextlib.suppress(Exception):  # its calls will tell
            find(place)
    answers.write(READY)
    answers.flush()
    with Path(os.devnull).open("wb") as nowhere:
        while True:
            line = lines.get()
            seconds = msgspec.json.decode(line, type=Call).seconds
            # A thread of C: it works even where the function lets no other thread run.
            faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=nowhere)
            told = answer(line)
            faulthandler.cancel_dump_traceback_later()
            answers.write(msgspec.json.encode(told) + b"\n")
            answers.flush()


def _take_pipes() -> tuple[io.BufferedReader, io.BufferedWriter]:
    """Keep the two pipes to ourselves: functions find an empty stdin, and print to stderr."""
    calls, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return calls, answers


def _read(calls: io.BufferedReader, lines: queue.SimpleQueue[bytes]) -> None:
    """Pass the calls on; when the server is gone, end this process and all that it has started."""
    for line in calls:
        lines.put(line)
    os.killpg(os.getpgrp(), signal.SIGKILL)
    sys.exit()
