"""
`syncauth admin keys`: who may use the admin API.

`keys create` prints a secret, once, on stdout: it is what the command is for. No other command here may print one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from syncauth.adapters.randomness import SystemRandomness
from syncauth.cli import options
from syncauth.cli.admin_file import DATA, now, opened
from syncauth.cli.exits import reported
from syncauth.cli.tables import as_json, moment, pairs, table
from syncauth.errors import InvalidConfig
from syncauth.server.admin.keys import make_key
from syncauth.server.stores.admin_interface import AdminKeyRecord

_KEY: Final = click.argument("key")


@click.group()
def keys() -> None:
    """Create, list, disable, enable and remove the keys of the admin API."""


@keys.command("create")
@DATA
@click.option("--name", required=True, help="Who will use it: letters, digits and - _ .")
@options.JSON
def create_key(data: Path, name: str, *, json: bool) -> None:
    """Make a key and print its secret, this once."""
    with reported("admin keys create", json=json):
        record, secret = make_key(name, SystemRandomness(), now())
        with opened(data) as store:
            if not store.add_admin_key(record):
                remedy = "Take another name, or remove the key that has it"
                what = "there is an admin key of that name"
                raise InvalidConfig(what, setting="--name", remedy=remedy)
        told = {"key": record.key_id, "name": name, "secret": secret.reveal()}
        if json:
            click.echo(as_json(told))
            return
        click.echo(pairs(told.items()))
        click.echo("Keep the secret now: it is not shown again.", err=True)


@keys.command("list")
@DATA
@options.JSON
def list_keys(data: Path, *, json: bool) -> None:
    """Show the admin keys, without their secrets."""
    with reported("admin keys list", json=json):
        with opened(data) as store:
            told = [_line(each) for each in store.admin_keys()]
        if json:
            click.echo(as_json({"keys": told}))
            return
        columns = ("key", "name", "state", "created")
        rows = [tuple(each[name] for name in columns) for each in told]
        click.echo(table(columns, rows, empty="There are no admin keys."))


@keys.command("disable")
@DATA
@_KEY
@options.JSON
def disable_key(data: Path, key: str, *, json: bool) -> None:
    """Let a key do nothing until it is enabled; tokens made with it end at once."""
    with reported("admin keys disable", json=json), opened(data) as store:
        _tell(key, "disabled", done=store.set_admin_key_disabled(key, disabled=True), json=json)


@keys.command("enable")
@DATA
@_KEY
@options.JSON
def enable_key(data: Path, key: str, *, json: bool) -> None:
    """Let a disabled key be used again."""
    with reported("admin keys enable", json=json), opened(data) as store:
        _tell(key, "enabled", done=store.set_admin_key_disabled(key, disabled=False), json=json)


@keys.command("remove")
@DATA
@_KEY
@options.JSON
def remove_key(data: Path, key: str, *, json: bool) -> None:
    """Forget a key; tokens made with it end at once."""
    with reported("admin keys remove", json=json), opened(data) as store:
        _tell(key, "removed", done=store.remove_admin_key(key), json=json)


def _tell(key: str, state: str, *, done: bool, json: bool) -> None:
    if not done:
        remedy = "Give an id that `syncauth admin keys list` shows"
        raise InvalidConfig("there is no such admin key", setting="KEY", remedy=remedy)
    told = {"key": key, "state": state}
    click.echo(as_json(told) if json else pairs(told.items()))


def _line(key: AdminKeyRecord) -> dict[str, Any]:
    return {
        "key": key.key_id,
        "name": key.name,
        "state": "disabled" if key.disabled else "enabled",
        "created": moment(key.created_at),
    }
