"""
The command `syncauth`: what a person or an operator types.

Commands read their options, start the parts and report; nothing of syncauth may import this
package. `serve` is loaded when it is asked for, since it alone needs the extra `server`.
"""

from __future__ import annotations

import importlib
from typing import Final

import click

from syncauth.cli.looking import doctor, history, status, users
from syncauth.cli.people import login, logout
from syncauth.cli.server_group import server
from syncauth.cli.starting import init

_SERVE: Final = "serve"


class _Commands(click.Group):
    """The commands that are always there, and `serve`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), _SERVE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _serve() if cmd_name == _SERVE else super().get_command(ctx, cmd_name)


@click.group(cls=_Commands)
@click.version_option(package_name="syncauth")
def main() -> None:
    """Keep SQLite files of many devices in step, through logins that expire."""


for _command in (login, logout, users, status, history, doctor, init, server):
    main.add_command(_command)


def _serve() -> click.Command:
    try:
        command = importlib.import_module("syncauth.cli.serve").serve
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("syncauth"):
            raise
        return _absent(error.name or "a library")
    if not isinstance(command, click.Command):
        raise TypeError
    return command


def _absent(library: str) -> click.Command:
    """Return what stands for `serve` where the libraries of the server are not installed."""

    @click.command(
        _SERVE,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        help="Run the bundled server; needs the extra `server`.",
    )
    def absent() -> None:
        message = f"{library} is not installed; install syncauth with the extra `server`"
        raise click.UsageError(message)

    return absent
