"""
Who and what the present work is for: the ids of request, socket, user and session, for logs and traces.

They travel in a context variable, so that whatever is logged on the way carries them: by a route, in the store thread,
by a hook or a function of the team. None of them is a secret, and none proves anything. This module must never hold a
token, a path or an email address.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Final

SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a caller may send as `X-Request-Id`: too short for a token, and without line breaks."""

ID_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal that a request is answered with: the code of App Services, and why a session ended."""

    code: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ids:
    """What is known so far; an empty text is not known.

    `trace` is where the traces of a socket's batches hang, if its caller sent a `traceparent`. `refusal` is how the
    request was refused.
    """

    request_id: str = ""
    connection_id: str = ""
    user_id: str = ""
    session_id: str = ""
    trace: Any = None
    refusal: Refusal | None = None

    def told(self) -> dict[str, str]:
        """Return those that are known, by their names in the log."""
        pairs = (
            ("request_id", self.request_id),
            ("connection_id", self.connection_id),
            ("user_id", self.user_id),
            ("session_id", self.session_id),
        )
        return {name: value for name, value in pairs if value}


NOBODY: Final = Ids()
CURRENT: Final[ContextVar[Ids]] = ContextVar("syncauth_ids", default=NOBODY)


def name_user(user_id: str, session_id: str) -> None:
    """Note whose the present work is, once that has been verified."""
    CURRENT.set(replace(CURRENT.get(), user_id=user_id, session_id=session_id))


def note_refusal(code: str, reason: str | None) -> None:
    """Note how the present request is refused."""
    CURRENT.set(replace(CURRENT.get(), refusal=Refusal(code, reason)))


@contextlib.contextmanager
def working_for(ids: Ids) -> Iterator[None]:
    """Do what follows for these."""
    token = CURRENT.set(ids)
    try:
        yield
    finally:
        CURRENT.reset(token)


def request_id_of(wanted: str | None, made: str) -> str:
    """Return the id that the caller sent if it is a sane one, else the one that was made here."""
    return wanted if wanted is not None and SANE_ID.fullmatch(wanted) else made
