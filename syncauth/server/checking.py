"""
`syncauth serve --check`: all that a configuration names is tried, and nothing is served.

The schema file, the tables, the rules and the query of custom data are tried in a database of a temporary directory,
functions and hooks are imported, keys, passwords and tokens read; no issuer is asked. This module must
never see the data directory, nor call what it imports.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from syncauth.errors import ConfigFault, InvalidConfig
from syncauth.server.accounts.custom_data import prepare_query
from syncauth.server.accounts.foreign_tokens import ForeignTokens
from syncauth.server.accounts.mail import open_sender
from syncauth.server.accounts.secret_sources import exposure
from syncauth.server.operations.metrics_door import read_token
from syncauth.server.services import check_extensions
from syncauth.server.settings.config import Rules, ServerConfig
from syncauth.server.settings.faults import Faults
from syncauth.server.settings.login import Hooks
from syncauth.server.storage import read_schema
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.sqlite_rows import SqliteRows
from syncauth.server.team.extensions import Extensions, load_extensions


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found: faults, with which a server does not start, and warnings, with which it does."""

    faults: tuple[ConfigFault, ...]
    warnings: tuple[ConfigFault, ...]


def check_config(config: ServerConfig) -> Checked:
    """Try all that the settings name. Modules beside the configuration file must be importable already."""
    faults = Faults()
    with tempfile.TemporaryDirectory(prefix="syncauth-check-") as folder:
        _check_database(config, Path(folder) / "scratch.db", faults)
    code = _check_code(config, faults)
    for issuer in config.issuers:
        with _noted(faults):
            ForeignTokens((issuer,))
    with _noted(faults):
        open_sender(config.mail, code.mail)
    with _noted(faults):
        read_token(config.metrics)
    return Checked(faults.all(), tuple(_warnings(config)))


def _check_database(config: ServerConfig, path: Path, faults: Faults) -> None:
    with _noted(faults), contextlib.closing(open_server_file(path, read_schema(config))) as opened:
        accounts = SqliteAccounts(opened)
        rules = [Rules(read=config.rules.read), Rules(write=config.rules.write)]
        # One after the other, so that each has its fault; then all, for what they are to each other.
        for table in config.tables:
            with _noted(faults):
                SqliteRows(opened, replace(config, tables=(table,), rules=Rules()), accounts)
        for rule in rules:
            with _noted(faults):
                SqliteRows(opened, replace(config, tables=(), rules=rule), accounts)
        if not faults.all():
            with _noted(faults):
                SqliteRows(opened, config, accounts)
        if config.custom_data.query is not None:
            with _noted(faults):
                prepare_query(opened, config.custom_data.query)


def _check_code(config: ServerConfig, faults: Faults) -> Extensions:
    for name, place in config.functions.items():
        with _noted(faults):
            load_extensions({name: place}, Hooks(), None)
    found = Extensions()
    for name in Hooks.__slots__:
        place = getattr(config.hooks, name)
        with _noted(faults):
            loaded = load_extensions({}, replace(Hooks(), **{name: place}), None)
            found = replace(found, **{name: getattr(loaded, name)})
    # A hook that cannot be imported is not missed as well.
    if not any(faults.has(f"hooks.{name}") for name in Hooks.__slots__):
        with _noted(faults):
            check_extensions(config, found)
    return found


def _warnings(config: ServerConfig) -> Iterator[ConfigFault]:
    files = {
        "mail.smtp_password_file": config.mail.smtp_password_file,
        "metrics.token_file": config.metrics.token_file,
    }
    shared = [issuer for issuer in config.issuers if issuer.algorithm == "HS256"]
    files |= {f"{issuer.name}.key_file": issuer.key_file for issuer in shared}
    for setting, file in files.items():
        if file is not None and (told := exposure(file)) is not None:
            yield ConfigFault(setting, told)


@contextlib.contextmanager
def _noted(faults: Faults) -> Iterator[None]:
    """Take a refusal for a fault, so that the next thing is tried as well."""
    try:
        yield
    except InvalidConfig as error:
        faults.take(error)
