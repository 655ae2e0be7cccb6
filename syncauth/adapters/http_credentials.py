"""
What a login sends: the path and the body of each kind of credentials, and what in them is secret.

This module must never do I/O, and never put a password or a token into a text.
"""

from __future__ import annotations

import itertools
import platform
import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from syncauth import ejson
from syncauth.errors import CredentialsRefused, InvalidConfig
from syncauth.models import Credentials, Secret

SHORTEST_SECRET: Final = 6
"""Shorter texts are words that stand in any sentence."""


def login_path(app: str, credentials: Credentials) -> str:
    """Return where these credentials are presented; `app` is the path of the app."""
    return f"{app}/auth/providers/{credentials.provider}/login"


def login_body(credentials: Credentials, **options: Any) -> bytes:
    """Return the body of a login, or of a linking, with these options besides the device.

    What is for a function of the server travels as Extended JSON, as all arguments of functions do.

    Raises:
        CredentialsRefused, InvalidConfig: see `encode`.
        InvalidDocument: the payload for a function has no Extended JSON form.
    """
    payload = credentials.payload
    if credentials.provider == "custom-function":
        payload = ejson.encode(payload)
    return encode(payload | {"options": {"device": _device(), **options}})


def encode(body: Any, *, what: str = "credentials") -> bytes:
    """Write JSON; `what` names for the programmer what cannot be written.

    Raises:
        CredentialsRefused: a text is no Unicode, which a person may have typed.
        InvalidConfig: a value is of a type that JSON does not have.
    """
    try:
        return msgspec.json.encode(body)
    except UnicodeError:  # its text shows where in a password
        why = "a text in them is no Unicode: it holds half of a surrogate pair"
        raise CredentialsRefused(code="InvalidText", why=why) from None
    except TypeError as error:
        remedy = "Give texts and numbers"
        raise InvalidConfig(
            f"these {what} cannot be sent", setting=what, why=str(error), remedy=remedy
        ) from None


def secrets_of(credentials: Credentials) -> tuple[Secret, ...]:
    """Return the texts of the credentials that nothing may quote: all but the name."""
    texts = (text for name, text in credentials.payload.items() if name != "username")
    return tuple(Secret(text) for text in texts if isinstance(text, str))


def texts_in(value: Any) -> tuple[Secret, ...]:
    """Return the texts in the arguments of a function that may be secret: all but the shortest."""
    if isinstance(value, str):
        return (Secret(value),) if len(value) >= SHORTEST_SECRET else ()
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if not isinstance(value, list | tuple):
        return ()
    return tuple(itertools.chain.from_iterable(texts_in(each) for each in value))


def _device() -> dict[str, str]:
    """Say what the login comes from: the kind of program, nothing about the person."""
    return {"sdk": "syncauth", "platform": sys.platform, "platformVersion": platform.release()}
