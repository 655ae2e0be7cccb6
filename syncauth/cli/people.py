"""
`syncauth login` and `syncauth logout`: an App that is opened for one verb.

Passwords, keys and tokens come from a prompt, a file or the standard input, never from an argument, which other users
of the machine can read. This module must never print one (I10).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import click

from syncauth.app import App
from syncauth.cli import options
from syncauth.cli.directory import DataDirectory
from syncauth.cli.exits import reported
from syncauth.cli.looking import name_of
from syncauth.cli.tables import as_json, pairs
from syncauth.errors import NotLoggedInError
from syncauth.models import Credentials, Profile, Secret
from syncauth.user import User

_LOOK_SECONDS: Final = 0.05
_SERVER = "The server to log in at; https, or http to this machine."
_APP = "The id of the app at the server."
_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


@click.command()
@options.DATA
@options.server(required=True, what=_SERVER)
@options.app_id(required=True, what=_APP)
@click.option("--email", metavar="ADDRESS", help="Log in by email address and password.")
@click.option(
    "--password-file",
    type=_FILE,
    help="The password is the first line of this file; - is the standard input. Without it, it is asked for, or read "
    "from a standard input that is no terminal.",
)
@click.option("--anonymous", is_flag=True, help="Log in without a name.")
@click.option("--api-key-file", type=_FILE, help="Log in by the API key in this file.")
@click.option("--jwt-file", type=_FILE, help="Log in by the JWT of another issuer in this file.")
@options.KEY_STORAGE
@options.JSON
def login(
    data: Path, server: str, app_id: str, key_storage: str, *, json: bool, **given: Any
) -> None:
    """Log a user in and make it the current one; what it wrote before is sent when its app runs."""
    credentials = _credentials(**given)
    with reported("login", json=json):
        app = App(server, app_id=app_id, data_dir=data, key_storage=key_storage)
        user_id, state, profile = asyncio.run(_log_in(app, credentials))
        protection = DataDirectory(data).store().protection
        told = {
            "user": user_id,
            "name": name_of(profile),
            "state": state,
            "server": app.config.base_url,
            "app": app_id,
            "data": str(data),
            "keys": protection,
        }
        click.echo(as_json(told) if json else pairs(told.items()))


@click.command()
@options.DATA
@options.server(required=True, what=_SERVER)
@options.app_id(required=True, what=_APP)
@click.option(
    "--user", metavar="ID", help="Who is to be logged out; the current user if not given."
)
@click.option(
    "--forget",
    is_flag=True,
    help="Do not keep the refresh token to be revoked: it stays valid at the server.",
)
@click.option(
    "--discard",
    type=click.IntRange(0),
    metavar="COUNT",
    help="Delete the user's file, in which so many changes are unsent.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 600),
    metavar="SECONDS",
    default=5.0,
    show_default=True,
    help="How long to wait for the server to confirm that the session is revoked.",
)
@options.KEY_STORAGE
@options.JSON
def logout(
    data: Path,
    server: str,
    app_id: str,
    key_storage: str,
    *,
    user: str | None,
    forget: bool,
    discard: int | None,
    wait: float,
    json: bool,
) -> None:
    """Erase a user's tokens, with or without a network; its rows and unsent changes stay."""
    with reported("logout", json=json):
        DataDirectory(data).check()
        app = App(server, app_id=app_id, data_dir=data, key_storage=key_storage)
        left = asyncio.run(_log_out(app, user, forget=forget, discard=discard, wait=wait))
        waiting = DataDirectory(data).store().revocations
        told = {
            "user": left,
            "state": "logged_out",
            "revocation": _revocation(waiting, forget=forget),
            "file": "kept" if discard is None else "deleted",
        }
        click.echo(as_json(told) if json else pairs(told.items()))


async def _log_in(app: App, credentials: Credentials) -> tuple[str, str, Profile]:
    async with app:
        user = await app.log_in(credentials)
        return user.id, user.state.value, user.profile


async def _log_out(
    app: App, name: str | None, *, forget: bool, discard: int | None, wait: float
) -> str:
    async with app:
        user = _chosen(app, name)
        await app.log_out(user, forget=forget, discard=discard)
        directory = DataDirectory(Path(app.config.data_dir))
        end = app.loop.time() + wait
        # The revocation is the App's own business, of which no verb tells; it ends when the store has none.
        waits = not forget
        while waits and directory.store().revocations and app.loop.time() < end:  # noqa: ASYNC110 - as above
            await asyncio.sleep(_LOOK_SECONDS)
        return user.id


def _chosen(app: App, name: str | None) -> User:
    found = app.current_user if name is None else None
    for user in app.users:
        if user.id == name:
            found = user
    if found is None:
        what = "nobody is logged in" if name is None else "this user is not known here"
        raise NotLoggedInError(what, remedy="`syncauth users` shows who is known")
    return found


def _revocation(waiting: int, *, forget: bool) -> str:
    if forget:
        return "not asked for"
    return "waits for the server" if waiting else "confirmed"


def _credentials(
    *,
    email: str | None,
    password_file: Path | None,
    anonymous: bool,
    api_key_file: Path | None,
    jwt_file: Path | None,
) -> Credentials:
    ways = [email is not None, anonymous, api_key_file is not None, jwt_file is not None]
    if sum(ways) != 1:
        message = "give one of --email, --anonymous, --api-key-file and --jwt-file"
        raise click.UsageError(message)
    if password_file is not None and email is None:
        message = "--password-file goes with --email"
        raise click.UsageError(message)
    if email is not None:
        return Credentials.email_password(email, _password(password_file).reveal())
    if api_key_file is not None:
        return Credentials.api_key(_first_line(api_key_file, "--api-key-file").reveal())
    if jwt_file is not None:
        return Credentials.jwt(_first_line(jwt_file, "--jwt-file").reveal())
    return Credentials.anonymous()


def _password(file: Path | None) -> Secret:
    if file is None and sys.stdin.isatty():
        return Secret(click.prompt("Password", hide_input=True, err=True))
    return _first_line(file or Path("-"), "--password-file")


def _first_line(path: Path, option: str) -> Secret:
    """Return the first line of a file, or of the standard input for `-`; it may not be empty."""
    try:
        if str(path) == "-":
            line = sys.stdin.buffer.readline().decode()
        else:
            with path.open("rb") as file:
                line = file.readline().decode()
    except OSError as error:
        message = f"{option}: {error.strerror or type(error).__name__}"
        raise click.UsageError(message) from None
    except UnicodeError:  # whose text holds what was read
        message = f"{option}: this is no UTF-8 text"
        raise click.UsageError(message) from None
    if not line.strip():
        message = f"{option}: the first line is empty"
        raise click.UsageError(message)
    return Secret(line.rstrip("\r\n"))
