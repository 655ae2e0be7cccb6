"""
Functions that clients call by name: looked up, called with who calls, bounded, answered or refused.

They run in the server, or in processes if they are registered so. Arguments come and results go as Extended JSON. A
function tells its caller why it refuses by raising `FunctionError`; any other exception is told by a fixed text, and
its kind stands in the log. This module must never put arguments, results or the text of an exception into a log.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from syncauth import ejson
from syncauth.errors import FunctionError, InvalidDocument, ServerBusy, WaitTimedOut
from syncauth.server.accounts import answers
from syncauth.server.accounts.answers import Denied
from syncauth.server.settings.config import ServerLimits
from syncauth.server.team.extensions import Function, FunctionContext
from syncauth.server.team.processes import ProcessPool
from syncauth.server.team.runner import Runner

LOGGER: Final = logging.getLogger("syncauth.server.team.functions")
LONGEST_NAME: Final = 200
NOTHING_LEFT: Final = object()
FAILED: Final = "the function failed; the server's log tells how"
TOO_LARGE: Final = "the function's result is too large"
UNFIT: Final = "the function's result cannot be sent"


class Functions:
    """The functions of one server."""

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any] | Function],
        limits: ServerLimits,
        runner: Runner,
        processes: ProcessPool,
    ) -> None:
        """Take the functions by name, the limits, and where they run."""
        self._functions = {name: _with_settings(each) for name, each in functions.items()}
        self._limits = limits
        self._runner = runner
        self._processes = processes
        self._streams = 0

    async def call(
        self, name: str, documents: list[Any], context: FunctionContext
    ) -> bytes | Denied:
        """Call a function with Extended JSON arguments and return its result as JSON text."""
        prepared = self._prepare(name, documents, context)
        if isinstance(prepared, Denied):
            return prepared
        function, arguments = prepared
        if _is_stream(function.call):
            return answers.bad_request(f"the function {name!r} streams: call it with GET")
        try:
            if function.process:
                return await self._in_process(name, function, documents, context)
            result = await self._runner.call(function.call, *arguments, seconds=function.seconds)
        except Exception as error:  # noqa: BLE001 - whatever the team's code raises
            return self._failure(name, error)
        return self._text(name, result)

    async def stream(
        self, name: str, documents: list[Any], context: FunctionContext
    ) -> AsyncIterator[bytes | Denied] | Denied:
        """Call a function and return its results one by one; one that yields nothing gives one.

        A refusal is the last thing that comes.
        """
        prepared = self._prepare(name, documents, context)
        if isinstance(prepared, Denied):
            return prepared
        if self._streams >= self._limits.function_streams:
            return answers.too_many(1)
        function, arguments = prepared
        if function.process:
            return self._one_result(name, function, documents, context)
        return self._results(name, function, arguments)

    async def _one_result(
        self, name: str, function: Function, documents: list[Any], context: FunctionContext
    ) -> AsyncIterator[bytes | Denied]:
        """Give what a process answers, which is one result."""
        if self._streams >= self._limits.function_streams:
            yield answers.too_many(1)
            return
        self._streams += 1
        try:
            yield await self._in_process(name, function, documents, context)
        except Exception as error:  # noqa: BLE001 - as above
            yield self._failure(name, error)
        finally:
            self._streams -= 1

    async def _in_process(
        self, name: str, function: Function, documents: list[Any], context: FunctionContext
    ) -> bytes | Denied:
        seconds = self._limits.function_seconds if function.seconds is None else function.seconds
        answer = await self._processes.call(function.place, context, documents, seconds)
        if answer.kind == "refused":
            return _failed(answer.text)
        if answer.kind == "large":
            return _failed(TOO_LARGE)
        if answer.kind == "unfit":
            LOGGER.error("function %r: its result cannot be sent: %s", name, answer.text)
            return _failed(UNFIT)
        if answer.kind == "failed":
            LOGGER.error("function %r raised %s in its process", name, answer.text)
            return _failed(FAILED)
        return bytes(answer.result)

    async def _results(
        self, name: str, function: Function, arguments: list[Any]
    ) -> AsyncIterator[bytes | Denied]:
        # Looked at again, where it is counted: many may have been let in since nobody had begun.
        if self._streams >= self._limits.function_streams:
            yield answers.too_many(1)
            return
        self._streams += 1
        try:
            async for result in self._values(function, arguments):
                text = self._text(name, result)
                yield text
                if isinstance(text, Denied):
                    return
        except Exception as error:  # noqa: BLE001 - as above
            yield self._failure(name, error)
        finally:
            self._streams -= 1

    async def _values(self, function: Function, arguments: list[Any]) -> AsyncIterator[Any]:
        call, seconds = function.call, function.seconds
        if inspect.isasyncgenfunction(call):
            values = call(*arguments)
            try:
                async for value in values:
                    yield value
            finally:
                await values.aclose()
        elif inspect.isgeneratorfunction(call):
            steps: Iterator[Any] = call(*arguments)
            while True:
                value = await self._runner.call(next, steps, NOTHING_LEFT, seconds=seconds)
                if value is NOTHING_LEFT:
                    return
                yield value
        else:
            yield await self._runner.call(call, *arguments, seconds=seconds)

    def _prepare(
        self, name: str, documents: list[Any], context: FunctionContext
    ) -> tuple[Function, list[Any]] | Denied:
        function = self._functions.get(name)
        if function is None:
            text = f"function not found: {name[:LONGEST_NAME]!r}"
            return Denied(404, "FunctionNotFound", text)
        try:
            arguments = [context, *(ejson.decode(document) for document in documents)]
            inspect.signature(function.call).bind(*arguments)
        except InvalidDocument as error:
            return Denied(400, "InvalidParameter", str(error))
        except TypeError:
            return Denied(400, "InvalidParameter", f"{name!r} does not take these arguments")
        return function, arguments

    def _text(self, name: str, result: Any) -> bytes | Denied:
        try:
            text = msgspec.json.encode(ejson.encode(result))
        except InvalidDocument as error:
            # Not where: a path is made of keys, which may be the data itself.
            LOGGER.error("function %r: its result cannot be sent: %s", name, error.why)  # noqa: TRY400 - it says all
            return _failed(UNFIT)
        if len(text) > self._limits.function_bytes:
            return _failed(TOO_LARGE)
        return text

    def _failure(self, name: str, error: Exception) -> Denied:
        if isinstance(error, FunctionError):
            return _failed(error.what)
        if isinstance(error, ServerBusy):
            return answers.too_many(error.retry_after or 1)
        if isinstance(error, WaitTimedOut):
            text = f"execution time limit of {error.waited:g} s exceeded"
            return Denied(400, "ExecutionTimeLimitExceeded", text)
        LOGGER.error("function %r raised %s", name, type(error).__name__)
        return _failed(FAILED)


def places_of(functions: Mapping[str, Callable[..., Any] | Function]) -> list[str]:
    """Return where processes find those functions that run in them."""
    known = map(_with_settings, functions.values())
    return sorted({each.place for each in known if each.process})


def _with_settings(function: Callable[..., Any] | Function) -> Function:
    return function if isinstance(function, Function) else Function(function)


def _failed(text: str) -> Denied:
    return Denied(400, "FunctionExecutionError", text)


def _is_stream(function: Callable[..., Any]) -> bool:
    return inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)
