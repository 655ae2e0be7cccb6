"""
The tables in which the server's SQLite file keeps accounts.

    _sync_users       a user; `state` is "enabled", "disabled" or "removed" (a removed user keeps
                      nothing but its id, so that its sessions can say why they ended)
    _sync_identities  how users log in; unique by (provider_type, provider_id)
    _sync_sessions    a session; `token` is the hash of its refresh token, `spent` the hash of the
                      one before, `refresh_id` the hash of the id with which that was replaced

A password is kept as an argon2id hash, a token as its SHA-256. Times are wall-clock seconds. This
module must never hold anything but the statements.
"""

from __future__ import annotations

from typing import Final

SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS _sync_users (
        id TEXT PRIMARY KEY NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('enabled', 'disabled', 'removed')),
        created_at REAL NOT NULL,
        data TEXT NOT NULL,
        custom_data TEXT
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _sync_identities (
        provider_type TEXT NOT NULL,
        provider_id TEXT NOT NULL,
        id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        password_hash TEXT,
        PRIMARY KEY (provider_type, provider_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _sync_identities_user ON _sync_identities (user_id)",
    """CREATE TABLE IF NOT EXISTS _sync_sessions (
        id TEXT PRIMARY KEY NOT NULL,
        user_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        identity_id TEXT NOT NULL,
        provider_type TEXT NOT NULL,
        rotates INTEGER NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        ended_at REAL,
        end_reason TEXT,
        token BLOB NOT NULL,
        spent BLOB,
        refresh_id BLOB
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _sync_sessions_user ON _sync_sessions (user_id)",
    "CREATE INDEX IF NOT EXISTS _sync_sessions_end ON _sync_sessions (expires_at)",
)
