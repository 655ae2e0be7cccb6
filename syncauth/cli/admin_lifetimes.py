"""
`syncauth admin lifetimes`: how long tokens live, shown and changed while a server runs.

The configuration file says the lives that hold without a change, and the ranges. This module must never write to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from syncauth.cli import options
from syncauth.cli.admin_file import DATA, opened
from syncauth.cli.exits import reported
from syncauth.cli.tables import as_json, span, table
from syncauth.errors import InvalidConfig
from syncauth.server.accounts.lifetimes import is_allowed, range_of, seconds_of
from syncauth.server.settings.config import ServerConfig, read_config
from syncauth.server.stores.admin_interface import Lifetime

CONFIG: Final = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("syncauth.toml"),
    show_default=True,
    help="The configuration file of the server.",
)


@click.group()
def lifetimes() -> None:
    """Show and change how long tokens live."""


@lifetimes.command("show")
@DATA
@CONFIG
@options.JSON
def show_lifetimes(data: Path, config_path: Path, *, json: bool) -> None:
    """Show the lives of tokens that are signed now."""
    with reported("admin lifetimes show", json=json):
        _show(data, read_config(config_path), json=json)


@lifetimes.command("set")
@DATA
@CONFIG
@click.option("--access-seconds", type=int, help="The life of access tokens.")
@click.option("--refresh-seconds", type=int, help="The life of refresh tokens, from the login on.")
@options.JSON
def set_lifetimes(
    data: Path,
    config_path: Path,
    access_seconds: int | None,
    refresh_seconds: int | None,
    *,
    json: bool,
) -> None:
    """Change lives for tokens and sessions from now on; what is signed keeps its own."""
    with reported("admin lifetimes set", json=json):
        config = read_config(config_path)
        wanted = {
            which: seconds
            for which, seconds in (
                (Lifetime.ACCESS, access_seconds),
                (Lifetime.REFRESH, refresh_seconds),
            )
            if seconds is not None
        }
        if not wanted:
            raise InvalidConfig(
                "there is nothing to change",
                setting="--access-seconds",
                remedy="Give --access-seconds, --refresh-seconds or both",
            )
        for which, seconds in wanted.items():
            _refuse_beyond(config, which, seconds)
        with opened(data) as store:
            for which, seconds in wanted.items():
                store.change_lifetime(which, seconds)
        _show(data, config, json=json)


@lifetimes.command("reset")
@DATA
@CONFIG
@click.argument("which", type=click.Choice([each.value for each in Lifetime]))
@options.JSON
def reset_lifetime(data: Path, config_path: Path, which: str, *, json: bool) -> None:
    """Let the configuration file say a life again."""
    with reported("admin lifetimes reset", json=json):
        config = read_config(config_path)
        with opened(data) as store:
            store.change_lifetime(Lifetime(which), None)
        _show(data, config, json=json)


def _refuse_beyond(config: ServerConfig, which: Lifetime, seconds: int) -> None:
    if not is_allowed(config, which, seconds):
        low, high = range_of(config, which)
        raise InvalidConfig(
            f"the life of {which.value} tokens cannot be used",
            setting=f"--{which.value}-seconds",
            why=f"it is {seconds}",
            remedy=f"The allowed range is {low} to {high}",
        )


def _show(data: Path, config: ServerConfig, *, json: bool) -> None:
    with opened(data) as store:
        changed = store.changed_lifetimes()
    settings = {
        Lifetime.ACCESS: config.lifetimes.access_seconds,
        Lifetime.REFRESH: config.lifetimes.refresh_seconds,
    }
    told: list[dict[str, Any]] = []
    for which in Lifetime:
        low, high = range_of(config, which)
        told.append(
            {
                "token": which.value,
                "seconds": seconds_of(config, changed, which),
                "changed": changed.get(which),
                "settings": settings[which],
                "from": low,
                "to": high,
            }
        )
    if json:
        click.echo(as_json({"lifetimes": told}))
        return
    columns = ("token", "seconds", "", "changed", "settings", "from", "to")
    rows = [
        (each["token"], each["seconds"], span(each["seconds"]), *list(each.values())[2:])
        for each in told
    ]
    click.echo(table(columns, rows, empty=""))
