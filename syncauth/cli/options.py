"""The options that several commands share. This module must never read a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

DATA: Final = click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="SYNCAUTH_DATA",
    show_envvar=True,
    required=True,
    help="The data directory of the app on this device.",
)
JSON: Final = click.option(
    "--json", is_flag=True, help="Print one JSON document instead of text for people."
)
USER: Final = click.option("--user", metavar="ID", help="This user alone.")


def server(*, required: bool, what: str) -> Callable[[_Command], _Command]:
    """Return the option that names the server."""
    return click.option(
        "--server",
        metavar="URL",
        envvar="SYNCAUTH_SERVER",
        show_envvar=True,
        required=required,
        help=what,
    )


def app_id(*, required: bool, what: str) -> Callable[[_Command], _Command]:
    """Return the option that names the app at the server."""
    return click.option(
        "--app-id",
        metavar="ID",
        envvar="SYNCAUTH_APP_ID",
        show_envvar=True,
        required=required,
        help=what,
    )


KEY_STORAGE: Final = click.option(
    "--key-storage",
    type=click.Choice(["keyring", "file"]),
    envvar="SYNCAUTH_KEY_STORAGE",
    show_envvar=True,
    default="keyring",
    show_default=True,
    help="Where the keys of a new credential store are kept; a store that exists keeps its own.",
)
