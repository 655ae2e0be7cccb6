"""
What a team adds to its server in Python: functions, and answers to what only the team knows.

Each may be given to `create_app` in code or named in `syncauth.toml` as `"module:name"`. All are resolved before
anything is served. This module must never call one of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from syncauth.models import Secret
from syncauth.server.settings.login import Hooks
from syncauth.server.settings.section import refusal


@dataclass(frozen=True, slots=True)
class FunctionContext:
    """Who calls a function: the first argument of every function.

    `custom_data` is what the caller's access token carries. `session_id` is one login on one device.
    """

    user_id: str
    session_id: str
    custom_data: Mapping[str, Any]


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

    `functions`: name → `fn(context, *arguments)`. `custom_login(payload)` returns the user's id in the team's own
    system, or None for a refusal. `custom_data(user_id)` returns a dict or None. `confirm` and `reset` take an
    `EmailRequest`, `mail` a `Mail`.
    """

    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    custom_login: Callable[..., Any] | None = None
    custom_data: Callable[..., Any] | None = None
    confirm: Callable[..., Any] | None = None
    reset: Callable[..., Any] | None = None
    mail: Callable[[Mail], None] | None = None


def load_extensions(
    functions: Mapping[str, str], hooks: Hooks, given: Extensions | None
) -> Extensions:
    """Join what the settings name with what was given in code, which wins.

    Raises:
        InvalidConfig: a name leads to no callable.
    """
    code = given or Extensions()
    named = {name: _load(f"functions.{name}", place) for name, place in functions.items()}
    return Extensions(
        functions={**named, **code.functions},
        custom_login=code.custom_login or _hook("custom_login", hooks.custom_login),
        custom_data=code.custom_data or _hook("custom_data", hooks.custom_data),
        confirm=code.confirm or _hook("confirm", hooks.confirm),
        reset=code.reset or _hook("reset", hooks.reset),
        mail=code.mail or _hook("mail", hooks.mail),
    )


def _hook(name: str, place: str | None) -> Callable[..., Any] | None:
    return None if place is None else _load(f"hooks.{name}", place)


def _load(setting: str, place: str) -> Callable[..., Any]:
    module, _, path = place.partition(":")
    remedy = 'Write it as "module:name", with the module beside syncauth.toml or installed'
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
