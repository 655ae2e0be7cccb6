"""
`syncauth users`, `status`, `history` and `doctor`: what is on this device, told without changing it.

They work offline, without the keys of the credential store, and while the app runs. This module must never open an App.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from syncauth.adapters.clock import SystemClock
from syncauth.adapters.locks_holders import Holder
from syncauth.adapters.sessions_seen import UserSeen
from syncauth.cli import doctor as examination, doctor_told, options
from syncauth.cli.directory import DataDirectory, UserFile, Wanted
from syncauth.cli.exits import Exit, gravest, reported
from syncauth.cli.tables import as_json, moment, table
from syncauth.models import Profile, SessionState

_ONLY_SERVER = "Files of this server alone."
_ONLY_APP = "Files of this app alone."
_NOBODY = "Nobody has logged in on this device."


def name_of(profile: Profile) -> str | None:
    """Return by what a person knows this user: the email address or the name that the server told."""
    for key in ("email", "name"):
        found = profile.data.get(key)
        if isinstance(found, str) and found:
            return found
    return None


@click.command()
@options.DATA
@options.JSON
def users(data: Path, *, json: bool) -> None:
    """Show who has logged in on this device and was not removed."""
    with reported("users", json=json):
        told = [_user(user) for user in DataDirectory(data).store().users]
        if json:
            click.echo(as_json({"users": told}))
            return
        columns = ("user", "current", "state", "reason", "name", "providers", "refresh ends")
        rows = [
            (
                *(each[name] for name in columns[:5]),
                ", ".join(each["providers"]),
                each["refresh_ends"],
            )
            for each in told
        ]
        click.echo(table(columns, rows, empty=_NOBODY))


def _user(user: UserSeen) -> dict[str, Any]:
    return {
        "user": user.user_id,
        "current": user.current,
        "state": user.state.value,
        "reason": None if user.reason is None else user.reason.value,
        "since": moment(user.since),
        "name": name_of(user.profile),
        "providers": [each.provider_type for each in user.profile.identities],
        "access_ends": moment(user.access_ends_at),
        "refresh_ends": moment(user.refresh_ends_at),
    }


@click.command()
@options.DATA
@options.USER
@options.server(required=False, what=_ONLY_SERVER)
@options.app_id(required=False, what=_ONLY_APP)
@options.JSON
def status(
    data: Path, user: str | None, server: str | None, app_id: str | None, *, json: bool
) -> None:
    """Show each user's session and what waits in its file.

    Ends with 1 if one of them must log in again, and with 4 if a file cannot be read.
    """
    with reported("status", json=json):
        directory = DataDirectory(data)
        sessions = {each.user_id: each.state for each in directory.store().users}
        files = directory.files(Wanted(server, app_id, user))
        told = [_line(file, sessions) for file in files]
        with_file = {each["user"] for each in told}
        told += [
            {**_NO_FILE, "user": name, "state": state.value}
            for name, state in sessions.items()
            if name not in with_file and user in (None, name)
        ]
        codes = [Exit.STORAGE for each in told if each["trouble"]]
        expired = SessionState.REFRESH_EXPIRED.value
        codes += [Exit.PERSON for each in told if each["state"] == expired]
        if json:
            click.echo(as_json({"status": told}))
        else:
            click.echo(_status_table(told))
        raise click.exceptions.Exit(gravest(codes))


@click.command()
@options.DATA
@options.USER
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    metavar="COUNT",
    help="The newest so many moves; the oldest of them is shown first.",
)
@options.JSON
def history(data: Path, user: str | None, limit: int, *, json: bool) -> None:
    """Show how the sessions on this device moved from state to state, and why."""
    with reported("history", json=json):
        moves = DataDirectory(data).store().history
        told = [
            {
                "at": moment(move.at),
                "user": move.user_id,
                "before": move.before.value,
                "after": move.after.value,
                "trigger": move.trigger,
                "reason": move.reason,
            }
            for move in moves
            if user in (None, move.user_id)
        ][-limit:]
        columns = ("at", "user", "before", "after", "trigger", "reason")
        if json:
            click.echo(as_json({"history": told}))
        else:
            rows = [tuple(each.values()) for each in told]
            click.echo(table(columns, rows, empty="No session has moved on this device."))


@click.command()
@options.DATA
@options.server(required=False, what="Compare clocks with this server; no token is sent.")
@click.option(
    "--keyring-seconds",
    type=click.FloatRange(0.1, 600),
    metavar="SECONDS",
    default=10.0,
    show_default=True,
    help="How long the keyring may take to answer.",
)
@options.JSON
def doctor(data: Path, server: str | None, keyring_seconds: float, *, json: bool) -> None:
    """Examine a data directory: states, keys, locks, what is stuck, what is still to be done.

    Ends with the code of the gravest finding: 4, then 1, then 3, else 0.
    """
    with reported("doctor", json=json):
        found = examination.examine(DataDirectory(data), SystemClock(), keyring_seconds)
        if server is not None:
            asyncio.run(examination.compare_clocks(found, server, SystemClock()))
        click.echo(as_json(doctor_told.document(found)) if json else doctor_told.text(found))
        raise click.exceptions.Exit(found.exit_code)


_NO_FILE: dict[str, Any] = {
    "user": None,
    "guest": False,
    "state": None,
    "server": None,
    "app": None,
    "path": None,
    "outbox": None,
    "in_flight": None,
    "dead_letters": None,
    "oldest": None,
    "checkpoints": {},
    "open": False,
    "pid": None,
    "trouble": None,
}
"""What `status` tells of a user without a file."""


def _line(file: UserFile, sessions: dict[str, SessionState]) -> dict[str, Any]:
    seen = file.seen
    told = {**_NO_FILE, "path": file.path, "open": file.holder is not None}
    told["pid"] = None if file.holder is None else file.holder.pid
    told["trouble"] = None if file.trouble is None else str(file.trouble)
    if seen is None:
        return told
    if seen.owner is not None:
        state = None if seen.owner.user is None else sessions.get(seen.owner.user)
        told |= {
            "user": seen.owner.user,
            "guest": seen.owner.user is None,
            "server": seen.owner.server,
            "app": seen.owner.app,
        }
        told["state"] = None if state is None else state.value
    return told | {
        "outbox": seen.outbox,
        "in_flight": seen.in_flight,
        "dead_letters": seen.dead_letters,
        "oldest": moment(seen.oldest_at),
        "checkpoints": seen.checkpoints,
    }


def _status_table(told: list[dict[str, Any]]) -> str:
    columns = ("user", "state", "app", "server", "outbox", "in flight", "refused", "oldest", "open")
    rows = [
        (
            doctor_told.GUEST if each["guest"] else each["user"],
            each["state"],
            each["app"],
            each["server"],
            each["outbox"],
            each["in_flight"],
            each["dead_letters"],
            each["oldest"],
            doctor_told.open_in(Holder(each["pid"]) if each["open"] else None),
        )
        for each in told
    ]
    troubles = [
        f"unreadable: {each['path']}: {each['trouble']}" for each in told if each["trouble"]
    ]
    return "\n".join([table(columns, rows, empty=_NOBODY), *troubles])
