"""
`syncauth server backup` and `restore`: the two commands around `syncauth.server.upkeep`.

This module must never decide anything about files: it reads options and tells what was done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from syncauth.adapters.clock import SystemClock
from syncauth.adapters.randomness import SystemRandomness
from syncauth.cli import options
from syncauth.cli.exits import reported
from syncauth.cli.tables import as_json, moment, pairs
from syncauth.server.upkeep.backup import backup as make_backup
from syncauth.server.upkeep.restore import restore as put_back

SERVER_DATA: Final = click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="The server's data directory.",
)


@click.command()
@SERVER_DATA
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    help="The backup; a file that exists is never overwritten.",
)
@options.JSON
def backup(data: Path, target: Path, *, json: bool) -> None:
    """Back the server's file up, also while the server runs. The signing key is not part of it."""
    with reported("server backup", json=json):
        done = make_backup(data, target, now=SystemClock().wall())
        told = {"backup": str(done.path), "bytes": done.size, "at": moment(done.at)}
        click.echo(as_json(told) if json else pairs(told.items()))


@click.command()
@SERVER_DATA
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    required=True,
    help="A file that `syncauth server backup` has made, or one that a restore has replaced.",
)
@click.option(
    "--keep-fixed-sessions",
    is_flag=True,
    help="Do not end sessions whose refresh token never changes; one that was ended after the backup is good again.",
)
@options.JSON
def restore(data: Path, source: Path, *, keep_fixed_sessions: bool, json: bool) -> None:
    """Put a backup in place of the server's file; no server may have the directory open.

    The file that was there is kept beside. All sessions are ended, and devices that are ahead of the backup pause and
    keep everything.
    """
    with reported("server restore", json=json):
        done = put_back(
            data,
            source,
            history=SystemRandomness().token(8).hex(),
            now=SystemClock().wall(),
            keep_fixed_sessions=keep_fixed_sessions,
        )
        told = {
            "restored": str(source),
            "backed_up_at": moment(done.backed_up_at),
            "replaced": None if done.replaced is None else str(done.replaced),
            "sessions_ended": done.sessions_ended,
        }
        click.echo(as_json(told) if json else pairs(told.items()))
