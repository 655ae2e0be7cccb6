"""
What a team adds to its server in Python: functions, and answers to what only the team knows.

Each may be given to `SyncServer` in code or named in `syncauth.toml` as `"module:name"`. All are resolved before
anything is served. This module must never call one of them.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlette.requests import HTTPConnection

from syncauth.models import Secret
from syncauth.server.settings.login import Hooks, NamedFunction
from syncauth.server.settings.section import refusal

Authenticate = Callable[[HTTPConnection, Mapping[str, Any]], Any]
"""The team's own sign-in at the login `custom-function`, sync (in a thread) or async.

Called with the connection (`headers`, `cookies`, `scope` with what the parent's middleware put there) and the payload
of the login. Returns the user's id in the team's system, or a mapping with `id` and data of the user; None refuses, and
so does `FunctionError`, whose text the caller is told.
"""

HOW_TO_NAME: Final = 'Write it as "module:name", with the module beside syncauth.toml or installed'


@dataclass(frozen=True, slots=True)
class FunctionContext:
    """Who calls a function: the first argument of every function.

    `custom_data` is what the caller's access token carries. `session_id` is one login on one device. `app_id` is the
    app of the server.
    """

    user_id: str
    session_id: str
    custom_data: Mapping[str, Any]
    app_id: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function with settings of its own.

    With `process` it runs in a worker process and is killed when its time is over; it stands then at the top of a
    module that can be imported anew, and is no generator. `seconds` are those after which its caller is answered;
    None means `limits.function_seconds`. `place` is where a process finds it, as `"module:name"`; empty: where it
    was defined.
    """

    call: Callable[..., Any]
    process: bool = False
    seconds: float | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class EmailRequest:
    """What a confirmation or reset function judges.

    It returns "success" (do it now), "pending" (the function has sent token and id, which come back with
    `…/confirm` or `…/reset`) or "fail". `known` tells whether there is such an account; an answer that depends on it
    tells everybody. `arguments` are those of the reset call.
    """

    email: str
    token: Secret
    token_id: str
    known: bool
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one address; its text holds a token and is not printed."""

    to: str
    subject: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Extensions:
    """The callables of one server; all may be sync or async, except `mail`, which runs in a thread.

    `functions`: name → `fn(context, *arguments)`, or a `Function` around it. `custom_login(payload)` returns the
    user's id in the team's own system, or None for a refusal; `authenticate(connection, payload)`, in its place,
    sees the request as well. `custom_data(user_id)` returns a dict or None. `confirm` and `reset` take an
    `EmailRequest`, `mail` a `Mail`.
    """

    functions: Mapping[str, Callable[..., Any] | Function] = field(default_factory=dict)
    custom_login: Callable[..., Any] | None = None
    custom_data: Callable[..., Any] | None = None
    confirm: Callable[..., Any] | None = None
    reset: Callable[..., Any] | None = None
    mail: Callable[[Mail], None] | None = None
    authenticate: Authenticate | None = None


def load_extensions(
    functions: Mapping[str, NamedFunction], hooks: Hooks, given: Extensions | None
) -> Extensions:
    """Join what the settings name with what was given in code, which wins.

    Raises:
        InvalidConfig: a name leads to no callable, or a process could not run a function.
    """
    code = given or Extensions()
    named = {name: _named(f"functions.{name}", each) for name, each in functions.items()}
    given_in_code = {name: _placed(f"functions.{name}", f) for name, f in code.functions.items()}
    return Extensions(
        functions={**named, **given_in_code},
        custom_login=code.custom_login or _hook("custom_login", hooks.custom_login),
        custom_data=code.custom_data or _hook("custom_data", hooks.custom_data),
        confirm=code.confirm or _hook("confirm", hooks.confirm),
        reset=code.reset or _hook("reset", hooks.reset),
        mail=code.mail or _hook("mail", hooks.mail),
        authenticate=code.authenticate or _hook("authenticate", hooks.authenticate),
    )


def _named(setting: str, named: NamedFunction) -> Callable[..., Any] | Function:
    call = _load(setting, named.call)
    if not named.process and named.seconds is None:
        return call
    return _placed(setting, Function(call, named.process, named.seconds, named.call))


def _placed(setting: str, function: Callable[..., Any] | Function) -> Callable[..., Any] | Function:
    """Say where a process finds a function, and refuse what none can run."""
    if not isinstance(function, Function) or not function.process:
        return function
    call = function.call
    if inspect.isasyncgenfunction(call) or inspect.isgeneratorfunction(call):
        remedy = "Let it return a list, or register it without process"
        raise refusal(setting, "it is a generator, and a process answers once", remedy)
    module, name = getattr(call, "__module__", None), getattr(call, "__qualname__", None)
    place = function.place or f"{module}:{name}"
    remedy = "Define it at the top of a module that can be imported"
    if place.startswith("__main__:") or _load(setting, place, remedy) is not call:
        raise refusal(setting, f"a process does not find it at {place}", remedy)
    return replace(function, place=place)


def _hook(name: str, place: str | None) -> Callable[..., Any] | None:
    return None if place is None else _load(f"hooks.{name}", place)


def _load(setting: str, place: str, remedy: str = HOW_TO_NAME) -> Callable[..., Any]:
    module, _, path = place.partition(":")
    if not module or not path:
        raise refusal(setting, f"it is {place!r}", remedy)
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except Exception as error:
        # Whatever the module raises while it is imported: the server must not start without it.
        why = f"{place} cannot be imported: {type(error).__name__}: {error}"
        raise refusal(setting, why, remedy) from error
    if not callable(found):
        raise refusal(setting, f"{place} is not callable", remedy)
    return found  # type: ignore[no-any-return]
