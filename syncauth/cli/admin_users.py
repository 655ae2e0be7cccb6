"""
`syncauth admin users` and `syncauth admin sessions`: who has an account and is logged in, and the ends of both.

Sockets of a server that runs are closed within a second. This module must never show a hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
import msgspec

from syncauth.cli import options
from syncauth.cli.admin_file import DATA, find_user, now, opened
from syncauth.cli.exits import reported
from syncauth.cli.tables import as_json, moment, pairs, table
from syncauth.errors import InvalidConfig
from syncauth.server.accounts.custom_data import LARGEST
from syncauth.server.stores.admin_interface import AccountRecord, OpenSession, UserFilter
from syncauth.server.stores.subjects import read_subject_session

LONGEST_PAGE: Final = 10_000
_USER: Final = click.argument("user")


@click.group()
def users() -> None:
    """List, show, disable, enable, log out and remove users, and set their data."""


@click.group()
def sessions() -> None:
    """List and revoke the sessions of users."""


@users.command("list")
@DATA
@click.option("--after", metavar="ID", help="Those after this id, the last one of the page before.")
@click.option(
    "--limit",
    type=click.IntRange(1, LONGEST_PAGE),
    default=50,
    show_default=True,
    metavar="COUNT",
    help="At most so many.",
)
@click.option("--status", type=click.Choice(["enabled", "disabled"]), help="Those alone.")
@click.option(
    "--provider",
    multiple=True,
    metavar="NAME",
    help="Those with a login of this provider, such as local-userpass; may be given several times.",
)
@options.JSON
def list_users(
    data: Path,
    after: str | None,
    limit: int,
    status: str | None,
    provider: Sequence[str],
    json: bool,  # noqa: FBT001 - as above
) -> None:
    """Show users in the order of their ids, a page at a time."""
    with reported("admin users list", json=json):
        disabled = None if status is None else status == "disabled"
        only = UserFilter(disabled, tuple(provider))
        with opened(data) as store:
            found = store.accounts(only, after=after, limit=limit + 1)
        told = [_line(each) for each in found[:limit]]
        following = told[-1]["user"] if len(found) > limit else None
        if json:
            click.echo(as_json({"users": told, "next": following}))
            return
        columns = ("user", "state", "name", "providers", "created", "last login")
        rows = [
            (
                each["user"],
                each["state"],
                each["name"],
                ", ".join(each["providers"]),
                each["created"],
                each["last_login"],
            )
            for each in told
        ]
        click.echo(table(columns, rows, empty="There are no such users."))
        if following is not None:
            click.echo(f"There are more: --after {following}")


@users.command("show")
@DATA
@_USER
@options.JSON
def show_user(data: Path, user: str, *, json: bool) -> None:
    """Show one user, by id or email address."""
    with reported("admin users show", json=json):
        with opened(data) as store:
            found = find_user(store, user)
            open_now = store.open_sessions(found.user_id, now())
        told = _line(found) | {
            "data": found.data,
            "identities": [
                {
                    "id": each.identity_id,
                    "provider": each.provider_type,
                    "name": each.provider_id,
                }
                for each in found.identities
            ],
            "sessions": len(open_now),
        }
        if json:
            click.echo(as_json(told))
            return
        shown = [
            (name.replace("_", " "), ", ".join(value) if name == "providers" else value)
            for name, value in told.items()
            if name not in {"data", "identities"}
        ]
        shown += [(each["provider"], each["name"]) for each in told["identities"]]
        shown += [(f"data.{name}", str(value)) for name, value in found.data.items()]
        click.echo(pairs(shown))


@users.command("disable")
@DATA
@_USER
@options.JSON
def disable_user(data: Path, user: str, *, json: bool) -> None:
    """End a user's sessions and forbid logins until it is enabled."""
    with reported("admin users disable", json=json), opened(data) as store:
        found = find_user(store, user)
        _tell(found, "disabled", store.disable_user(found.user_id, now()), json=json)


@users.command("enable")
@DATA
@_USER
@options.JSON
def enable_user(data: Path, user: str, *, json: bool) -> None:
    """Let a user log in again; ended sessions stay ended."""
    with reported("admin users enable", json=json), opened(data) as store:
        found = find_user(store, user)
        store.enable_user(found.user_id)
        _tell(found, "enabled", (), json=json)


@users.command("logout")
@DATA
@_USER
@options.JSON
def log_user_out(data: Path, user: str, *, json: bool) -> None:
    """End all of a user's sessions; it may log in again."""
    with reported("admin users logout", json=json), opened(data) as store:
        found = find_user(store, user)
        _tell(found, "logged out", store.revoke_user(found.user_id, now()), json=json)


@users.command("set-data")
@DATA
@_USER
@click.argument("file", type=click.File("rb"))
@options.JSON
def set_data(data: Path, user: str, file: BinaryIO, *, json: bool) -> None:
    """Set what a user's access tokens carry: the JSON object of FILE, or of standard input if it is -."""
    with reported("admin users set-data", json=json):
        content = _read_object(file)
        with opened(data) as store:
            found = find_user(store, user)
            store.set_custom_data(found.user_id, content)
            _tell(found, "disabled" if found.disabled else "enabled", (), json=json)


def _read_object(file: BinaryIO) -> dict[str, Any]:
    text = file.read(LARGEST + 1)
    remedy = f"Give one JSON object of at most {LARGEST} bytes"
    if len(text) > LARGEST:
        raise InvalidConfig("the data is too large", setting="FILE", remedy=remedy)
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        what = "the data is no JSON object"
        raise InvalidConfig(what, setting="FILE", remedy=remedy) from None


@users.command("remove")
@DATA
@_USER
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.JSON
def remove_user(data: Path, user: str, *, yes: bool, json: bool) -> None:
    """Remove a user with its logins, API keys and sessions; its rows stay in the server's tables."""
    with reported("admin users remove", json=json), opened(data) as store:
        found = find_user(store, user)
        if not yes:
            click.confirm(f"Remove user {found.user_id} for good?", abort=True, err=True)
        _tell(found, "removed", store.remove_user(found.user_id, now()), json=json)


@sessions.command("list")
@DATA
@_USER
@options.JSON
def list_sessions(data: Path, user: str, *, json: bool) -> None:
    """Show the open sessions of a user, by id or email address."""
    with reported("admin sessions list", json=json):
        with opened(data) as store:
            found = store.open_sessions(find_user(store, user).user_id, now())
        told = [_session(each) for each in found]
        if json:
            click.echo(as_json({"sessions": told}))
            return
        columns = ("session", "provider", "device", "rotates", "opened", "ends")
        rows = [tuple(each[name] for name in columns) for each in told]
        click.echo(table(columns, rows, empty="The user has no open session."))


@sessions.command("revoke")
@DATA
@click.argument("session")
@options.JSON
def revoke_session(data: Path, session: str, *, json: bool) -> None:
    """End one session, by the id that `sessions list` shows."""
    with reported("admin sessions revoke", json=json):
        with opened(data) as store:
            if not store.revoke_session(session, now()):
                remedy = "Give an id that `syncauth admin sessions list` shows"
                why = "it is not known, or has ended"
                raise InvalidConfig(
                    "there is no such session", setting="SESSION", why=why, remedy=remedy
                )
        told = {"session": session, "state": "revoked"}
        click.echo(as_json(told) if json else pairs(told.items()))


def _tell(user: AccountRecord, state: str, ended: Sequence[str], *, json: bool) -> None:
    told = {
        "user": user.user_id,
        "state": state,
        "sessions_ended": sum(read_subject_session(each) is None for each in ended),
    }
    if json:
        click.echo(as_json(told))
    else:
        click.echo(pairs((name.replace("_", " "), value) for name, value in told.items()))


def _line(user: AccountRecord) -> dict[str, Any]:
    """Tell a user as a line of the list."""
    names = (user.data.get("email"), user.data.get("name"))
    return {
        "user": user.user_id,
        "state": "disabled" if user.disabled else "enabled",
        "name": next((each for each in names if isinstance(each, str) and each), None),
        "providers": sorted({each.provider_type for each in user.identities}),
        "created": moment(user.created_at),
        "last_login": moment(user.last_login_at),
    }


def _session(session: OpenSession) -> dict[str, Any]:
    return {
        "session": session.session_id,
        "provider": session.provider_type,
        "device": session.device_id,
        "rotates": session.rotates,
        "opened": moment(session.created_at),
        "ends": moment(session.expires_at),
    }
