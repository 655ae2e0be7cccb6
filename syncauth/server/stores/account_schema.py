"""
The tables in which the server's SQLite file keeps accounts.

    _sync_users       a user; `state` is "enabled", "disabled" or "removed" (a removed user keeps
                      nothing but its id, so that its sessions can say why they ended)
    _sync_identities  how users log in; unique by (provider_type, provider_id)
    _sync_sessions    a session; `token` is the hash of its refresh token, `spent` the hash of the
                      one before, `refresh_id` the hash of the id with which that was replaced
    _sync_email_tokens  what was sent by mail to confirm an address or to reset a password, one for
                      each address and purpose
    _sync_api_keys    keys with which a program logs in as its user
    _sync_subjects    subjects of other issuers that are kept out, by the hash of their names: "denied" ones, and
                      those of users who were "removed", of which nothing but the hash is kept
    _sync_logouts     how often all sessions of a user were ended who comes with tokens of other issuers
    _sync_admin_keys  keys of administrators, by the id that is no secret
    _sync_lifetimes   lives of tokens that an administrator has changed, in seconds

`used_at` of a user is when it first logged in; until then its identity may be linked to another
user. A password is kept as an argon2id hash, a token or key as its SHA-256. Times are wall-clock seconds. This
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
        custom_data TEXT,
        used_at REAL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _sync_identities (
        provider_type TEXT NOT NULL,
        provider_id TEXT NOT NULL,
        id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        password_hash TEXT,
        confirmed INTEGER NOT NULL DEFAULT 1,
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
    """CREATE TABLE IF NOT EXISTS _sync_email_tokens (
        purpose TEXT NOT NULL CHECK (purpose IN ('confirm', 'reset')),
        email TEXT NOT NULL,
        id TEXT NOT NULL UNIQUE,
        token BLOB NOT NULL,
        expires_at REAL NOT NULL,
        PRIMARY KEY (purpose, email)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _sync_email_tokens_end ON _sync_email_tokens (expires_at)",
    """CREATE TABLE IF NOT EXISTS _sync_api_keys (
        id TEXT PRIMARY KEY NOT NULL,
        user_id TEXT NOT NULL,
        name TEXT NOT NULL,
        key BLOB NOT NULL UNIQUE,
        disabled INTEGER NOT NULL,
        created_at REAL NOT NULL,
        UNIQUE (user_id, name)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _sync_subjects (
        key BLOB PRIMARY KEY NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('denied', 'removed')),
        issuer TEXT,
        subject TEXT,
        since REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _sync_logouts (
        user_id TEXT PRIMARY KEY NOT NULL,
        count INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _sync_admin_keys (
        id TEXT PRIMARY KEY NOT NULL,
        name TEXT NOT NULL UNIQUE,
        key BLOB NOT NULL,
        disabled INTEGER NOT NULL,
        created_at REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _sync_lifetimes (
        name TEXT PRIMARY KEY NOT NULL CHECK (name IN ('access', 'refresh')),
        seconds INTEGER NOT NULL
    ) WITHOUT ROWID""",
)

FROM_FORMAT_1: Final = (
    "ALTER TABLE _sync_users ADD COLUMN used_at REAL",
    # Whether they have logged in was not noted: what may hold rows is nobody else's to take.
    "UPDATE _sync_users SET used_at = created_at",
    "ALTER TABLE _sync_identities ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 1",
)
"""What makes the tables of format 1 those of format 2; new tables are made by `SCHEMA`."""
