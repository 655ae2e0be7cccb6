"""
`syncauth server`: what an operator does with a server's data directory and its settings.

Each command has a module of its own, which is loaded when the command is asked for, since it needs the extra `server`.
This module must never do what a command does.
"""

from __future__ import annotations

import importlib
from typing import Final

import click

COMMANDS: Final = {
    "backup": "syncauth.cli.server_copies:backup",
    "doctor": "syncauth.cli.server_doctor:doctor",
    "restore": "syncauth.cli.server_copies:restore",
    "rotate-key": "syncauth.cli.server_rotate_key:rotate_key",
}
"""Name of a command → where it is."""


class _Server(click.Group):
    """The commands of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        return super().get_command(ctx, cmd_name) if place is None else _loaded(place)


@click.group(cls=_Server)
def server() -> None:
    """Look after a server: its keys and its data. See `syncauth serve` for running it."""


def _loaded(place: str) -> click.Command:
    module, _, name = place.partition(":")
    try:
        command = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("syncauth"):
            raise
        message = f"{error.name} is not installed; install syncauth with the extra `server`"
        raise click.UsageError(message) from error
    if not isinstance(command, click.Command):
        raise TypeError
    return command
