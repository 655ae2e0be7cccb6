"""
How a command ends: its exit code, and the message of an error as text or JSON.

The code follows the tree of `syncauth.errors`. This module must never show more of an error than its message, which
holds no secret (I10).
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator

import click

from syncauth.cli.tables import as_json, clean
from syncauth.errors import (
    InsecureServer,
    ProtocolError,
    StorageError,
    SyncAuthError,
    UnreachableError,
    UsageError,
)


class Exit(enum.IntEnum):
    """The exit codes of the commands for people."""

    OK = 0
    PERSON = 1
    USAGE = 2
    UNREACHABLE = 3
    STORAGE = 4


_GRAVEST_FIRST = (Exit.STORAGE, Exit.PERSON, Exit.UNREACHABLE, Exit.USAGE)


def code_of(error: SyncAuthError) -> Exit:
    """Return the exit code for an error."""
    if isinstance(error, (UsageError, InsecureServer)):
        return Exit.USAGE
    if isinstance(error, StorageError):
        return Exit.STORAGE
    if isinstance(error, (UnreachableError, ProtocolError)):
        return Exit.UNREACHABLE
    return Exit.PERSON  # credentials, a relogin, or sync that has stopped: somebody must act


def gravest(codes: list[Exit]) -> Exit:
    """Return the exit code that stands for several findings."""
    return next((code for code in _GRAVEST_FIRST if code in codes), Exit.OK)


@contextlib.contextmanager
def reported(command: str, *, json: bool) -> Iterator[None]:
    """Tell an error of syncauth and end with its code; with `json` on stdout, as the one document there."""
    try:
        yield
    except SyncAuthError as error:
        code = code_of(error)
        if json:
            told = {"type": type(error).__name__, "what": error.what}
            told |= {"why": error.why, "remedy": error.remedy}
            click.echo(as_json({"error": told, "exit_code": int(code)}))
        else:
            click.echo(f"syncauth {command}: {clean(str(error))}", err=True)
        raise click.exceptions.Exit(code) from None
