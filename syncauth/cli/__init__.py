"""
The command `syncauth`: what a person or an operator types.

Commands read their options, start the parts and report; nothing of syncauth may import this
package. What needs the extra `server` is loaded when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import Final

import click

from syncauth.cli.looking import doctor, history, status, users
from syncauth.cli.people import login, logout
from syncauth.cli.server_group import server
from syncauth.cli.starting import init

_OF_SERVER: Final = {
    "admin": "Look after a server: its users, sessions, admin keys and lifetimes.",
    "serve": "Run the bundled server.",
}
"""The commands that need the extra `server`: each in a module of its name, and what it is for."""


class _Commands(click.Group):
    """The commands that are always there, and those of the server."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_OF_SERVER])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return (
            _of_server(cmd_name) if cmd_name in _OF_SERVER else super().get_command(ctx, cmd_name)
        )


@click.group(cls=_Commands)
@click.version_option(package_name="syncauth")
def main() -> None:
    """Keep SQLite files of many devices in step, through logins that expire."""


for _command in (login, logout, users, status, history, doctor, init, server):
    main.add_command(_command)


def _of_server(name: str) -> click.Command:
    try:
        command = getattr(importlib.import_module(f"syncauth.cli.{name}"), name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("syncauth"):
            raise
        return _absent(name, error.name or "a library")
    if not isinstance(command, click.Command):
        raise TypeError
    return command


def _absent(name: str, library: str) -> click.Command:
    """Return what stands for a command where the libraries of the server are not installed."""

    @click.command(
        name,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        help=f"{_OF_SERVER[name]} Needs the extra `server`.",
    )
    def absent() -> None:
        message = f"{library} is not installed; install syncauth with the extra `server`"
        raise click.UsageError(message)

    return absent
