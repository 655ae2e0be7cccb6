"""
`syncauth admin subjects`: which users of other issuers are kept out.

Their sessions are none of this server's, and their issuer tells it nothing: a denial is how they are cut off. Sockets
of a server that runs are closed within a second. This module must never ask an issuer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from syncauth.cli import options
from syncauth.cli.admin_file import DATA, now, opened
from syncauth.cli.exits import reported
from syncauth.cli.tables import as_json, moment, pairs, table
from syncauth.errors import InvalidConfig

_ISSUER: Final = click.argument("issuer")
_SUBJECT: Final = click.argument("subject")


@click.group()
def subjects() -> None:
    """Deny, allow and list the users of other issuers, by the claims iss and sub."""


@subjects.command("deny")
@DATA
@_ISSUER
@_SUBJECT
@options.JSON
def deny_subject(data: Path, issuer: str, subject: str, *, json: bool) -> None:
    """Keep a subject out until it is allowed, whether it ever came or not."""
    with reported("admin subjects deny", json=json), opened(data) as store:
        store.deny_subject(issuer, subject, now())
        _tell(issuer, subject, "denied", json=json)


@subjects.command("allow")
@DATA
@_ISSUER
@_SUBJECT
@options.JSON
def allow_subject(data: Path, issuer: str, subject: str, *, json: bool) -> None:
    """Let a subject in again that was denied, or whose user was removed."""
    with reported("admin subjects allow", json=json), opened(data) as store:
        if not store.allow_subject(issuer, subject):
            remedy = "See `syncauth admin subjects list`; issuer and subject are compared exactly"
            raise InvalidConfig("this subject is not kept out", setting="SUBJECT", remedy=remedy)
        _tell(issuer, subject, "allowed", json=json)


@subjects.command("list")
@DATA
@options.JSON
def list_subjects(data: Path, *, json: bool) -> None:
    """Show the subjects that are denied; not those whose users were removed, of whom no name is kept."""
    with reported("admin subjects list", json=json):
        with opened(data) as store:
            denied = store.denied_subjects()
        told = [
            {"issuer": each.issuer, "subject": each.subject, "since": moment(each.since)}
            for each in denied
        ]
        if json:
            click.echo(as_json({"subjects": told}))
            return
        columns = ("issuer", "subject", "since")
        rows = [tuple(each[name] for name in columns) for each in told]
        click.echo(table(columns, rows, empty="No subject is denied."))


def _tell(issuer: str, subject: str, state: str, *, json: bool) -> None:
    told = {"issuer": issuer, "subject": subject, "state": state}
    click.echo(as_json(told) if json else pairs(told.items()))
