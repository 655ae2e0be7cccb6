"""
`syncauth admin`: the users, sessions, admin keys and lifetimes of a server, in its data folder.

Whoever can write to that folder needs no key. This module must never hold a command, only gather them.
"""

from __future__ import annotations

import click

from syncauth.cli.admin_keys import keys
from syncauth.cli.admin_lifetimes import lifetimes
from syncauth.cli.admin_users import sessions, users


@click.group()
def admin() -> None:
    """Look after a server: its users, sessions, admin keys and lifetimes."""


for _group in (users, sessions, keys, lifetimes):
    admin.add_command(_group)
