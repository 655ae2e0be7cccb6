"""
`syncauth server …`: what an operator does with a server's data directory, beside running it.

This module must never hold a command: each stands in a module of its own and is added here.
"""

from __future__ import annotations

import click

from syncauth.cli.server_copies import backup, restore
from syncauth.cli.server_doctor import doctor


@click.group()
def server() -> None:
    """Look after the data directory of a server: backups, and an examination."""


for _command in (backup, restore, doctor):
    server.add_command(_command)
