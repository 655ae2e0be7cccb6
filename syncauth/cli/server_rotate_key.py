"""
`syncauth server rotate-key`: another key signs the server's tokens from now on; running servers see it by themselves.

With `--revoke-old` no token of before counts any more and every session ends: for the day on which a key may be known
to others. This module must never print a key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from syncauth.cli.exits import reported
from syncauth.cli.tables import as_json, pairs
from syncauth.server.accounts.signing_keys import Rotation, rotate_keys
from syncauth.server.app import DATABASE
from syncauth.server.clock import SystemClock
from syncauth.server.stores.interface import AccountStore
from syncauth.server.stores.sqlite import open_server_file
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
        with _opened(data_dir / DATABASE) as store:

            def alive(opened: float) -> bool:
                return store is not None and store.lives_from_before(opened, now)

            done = rotate_keys(data_dir, now=now, alive=alive, revoke_old=revoke_old)
            # After the keys: whoever logs in between the two logs in once more, and no session of before is left.
            ended = store.revoke_all(now) if revoke_old and store is not None else 0
    told = _told(done, ended)
    click.echo(as_json(told) if json else pairs(told.items()))


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
    connection = open_server_file(path, "")
    try:
        yield SqliteAccounts(connection)
    finally:
        connection.close()
