"""
`syncauth server rotate-key`: another key signs the server's tokens from now on; running servers see it by themselves.

With `--revoke-old` no token of before counts any more and every session ends: for the day on which a key may be known
to others. This module must never print a key.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from syncauth.cli.exits import reported
from syncauth.cli.tables import as_json, pairs
from syncauth.errors import StorageError
from syncauth.server.accounts.signing_keys import Rotation, rotate_keys
from syncauth.server.clock import SystemClock
from syncauth.server.stores.interface import AccountStore
from syncauth.server.stores.sqlite import DATABASE, open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts


@click.command("rotate-key")
@click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path),
    required=True,
    help="The data directory of the server, which may be running.",
)
@click.option(
    "--revoke-old",
    is_flag=True,
    help="A key may be known to others: make all tokens invalid at once and end all sessions.",
)
@click.option("--json", is_flag=True, help="Print one JSON document instead of text for people.")
def rotate_key(*, data_dir: Path, revoke_old: bool, json: bool) -> None:
    """Let a new key sign the tokens of a server from now on.

    Nobody is logged out: tokens of the old key count until they end. Running servers see the change within a second.
    """
    with reported("server rotate-key", json=json):
        now = SystemClock().wall()
        done, ended = (_revoke if revoke_old else _rotate)(data_dir, now)
    told = _told(done, ended)
    click.echo(as_json(told) if json else pairs(told.items()))


def _rotate(data_dir: Path, now: float) -> tuple[Rotation, int]:
    with _opened(data_dir / DATABASE) as store:

        def alive(opened: float) -> bool:
            return store is not None and store.lives_from_before(opened, now)

        return rotate_keys(data_dir, now=now, alive=alive), 0


def _revoke(data_dir: Path, now: float) -> tuple[Rotation, int]:
    # The keys first, whatever state the server's file is in; then the sessions, so that open sockets are cut.
    done = rotate_keys(data_dir, now=now, alive=lambda _opened: False, revoke_old=True)
    path = data_dir / DATABASE
    try:
        with _opened(path) as store:
            return done, 0 if store is None else store.revoke_all(now)
    except StorageError as error:
        raise StorageError(
            "the keys are new and no old token counts, but open sockets stay open: their sessions were not ended",
            path=str(path),
            why=error.why,
            remedy="Run the command again",
        ) from error


def _told(done: Rotation, ended: int) -> dict[str, Any]:
    return {
        "key": done.kid,
        "old_keys": done.retired,
        "forgotten_keys": done.forgotten,
        "ended_sessions": ended,
    }


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[AccountStore | None]:
    """Open the accounts beside the server that may be running; None if no server has run here."""
    if not path.exists():
        yield None
        return
    with contextlib.closing(open_server_file(path, "")) as connection:
        try:
            yield SqliteAccounts(connection)
        except sqlite3.Error as error:
            what = f"the server's file {path} cannot be used"
            raise StorageError(what, path=str(path), why=str(error)) from error
