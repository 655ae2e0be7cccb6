"""Users and their sessions, written into the file of a server that does not run yet, and their tokens."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from syncauth.models import Secret
from syncauth.server.accounts.issuer import Issuer, token_hash
from syncauth.server.accounts.signing_keys import SigningKeys
from syncauth.server.stores.interface import SessionRecord
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from tests.bench.shapes import NARROW
from tests.support.processes import configure

DAY = 86_400
APP = "test"


@dataclass(frozen=True)
class Prepared:
    """The tokens of one session."""

    access: Secret
    refresh: Secret


def prepare(home: Path, count: int) -> list[Prepared]:
    """Configure a server in `home` and give it so many users, each with one rotating session."""
    configure(home, NARROW.server_schema, "[tables.narrow]")
    data = home / "data"
    data.mkdir(mode=0o700)
    issuer, now = Issuer(SigningKeys(data), APP), time.time()
    sessions = [_session(number, now) for number in range(count)]
    tokens = [
        Prepared(
            access=issuer.access_token(each, now=now, life=DAY).text,
            refresh=issuer.refresh_token(each, now=now, unique=os.urandom(16)).text,
        )
        for each in sessions
    ]
    with closing(open_server_file(data / "server.db", NARROW.server_schema)) as connection:
        SqliteAccounts(connection)
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO _sync_users (id, state, created_at, data) VALUES (?, 'enabled', ?, '{}')",
            [(each.user_id, now) for each in sessions],
        )
        connection.executemany(
            "INSERT INTO _sync_sessions (id, user_id, device_id, identity_id, provider_type,"
            " rotates, created_at, expires_at, token) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?)",
            [
                (
                    each.session_id,
                    each.user_id,
                    each.device_id,
                    each.identity_id,
                    each.provider_type,
                    now,
                    each.expires_at,
                    token_hash(token.refresh),
                )
                for each, token in zip(sessions, tokens, strict=True)
            ],
        )
        connection.execute("COMMIT")
    return tokens


def _session(number: int, now: float) -> SessionRecord:
    return SessionRecord(
        session_id=f"{number:023x}c",
        user_id=f"{number:023x}f",
        device_id=f"{number:023x}d",
        identity_id=f"{number:023x}e",
        provider_type="local-userpass",
        rotates=True,
        expires_at=now + 60 * DAY,
        end_reason=None,
        custom_data=None,
    )
