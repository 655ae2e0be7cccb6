"""The application as a whole: what it opens, what it refuses, and that it closes everything."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from syncauth.errors import FileCorrupt, InvalidConfig
from syncauth.server.accounts.key_file import KEY_FILE
from syncauth.server.app import create_app
from syncauth.server.clock import SystemClock, SystemRandomness
from syncauth.server.settings.config import LoginSettings, ServedTable, ServerConfig
from syncauth.server.stores.sqlite import DATABASE

SCHEMA = """CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL, id TEXT NOT NULL, text TEXT, PRIMARY KEY (_partition, id));"""


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    """Settings with one served table."""
    schema = tmp_path / "schema.sql"
    schema.write_text(SCHEMA)
    login = LoginSettings(password_cost="low")
    return ServerConfig("app", schema, test_mode=True, tables=(ServedTable("notes"),), login=login)


def threads_of_stores() -> list[str]:
    """Name the store threads that run."""
    return [each.name for each in threading.enumerate() if each.name.startswith("syncauth-store")]


async def test_application_opens_one_file_and_closes_it(
    config: ServerConfig, tmp_path: Path
) -> None:
    """Accounts and rows stand in one file; after the end neither file nor thread is held."""
    app = create_app(config, tmp_path, SystemClock(), SystemRandomness())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client,
    ):
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (tmp_path / f"{DATABASE}-wal").exists()

    # The last connection that is closed in good order takes the log with it.
    assert (tmp_path / DATABASE).exists()
    assert not (tmp_path / f"{DATABASE}-wal").exists()
    assert threads_of_stores() == []


@pytest.mark.parametrize(
    ("schema", "setting"),
    [
        ("CREATE TABLE", "server.schema"),
        ("CREATE TABLE other (id TEXT);", "tables.notes"),
        ("CREATE TABLE notes (id TEXT PRIMARY KEY);", "tables.notes"),
    ],
    ids=["no sql", "no such table", "no partition"],
)
def test_schema_that_cannot_be_used_is_named(
    config: ServerConfig, tmp_path: Path, schema: str, setting: str
) -> None:
    """What does not fit is told as a setting before anything is served; nothing stays open."""
    config.schema.write_text(schema)

    with pytest.raises(InvalidConfig) as refusal:
        create_app(config, tmp_path, SystemClock(), SystemRandomness())

    assert refusal.value.setting.startswith(setting)
    assert threads_of_stores() == []


def test_schema_file_that_is_gone_is_named(config: ServerConfig, tmp_path: Path) -> None:
    """The file may vanish between the reading of the configuration and the start."""
    gone = replace(config, schema=tmp_path / "gone.sql")

    with pytest.raises(InvalidConfig, match=r"gone\.sql"):
        create_app(gone, tmp_path, SystemClock(), SystemRandomness())


@pytest.mark.parametrize("name", [KEY_FILE, DATABASE])
def test_damaged_file_is_left_as_it_is(config: ServerConfig, tmp_path: Path, name: str) -> None:
    """A key or database that cannot be read is an error that names it; it is not replaced."""
    damaged = tmp_path / name
    damaged.write_bytes(b"no such thing" * 1000)

    with pytest.raises(FileCorrupt) as refusal:
        create_app(config, tmp_path, SystemClock(), SystemRandomness())

    assert refusal.value.path == str(damaged)
    assert damaged.read_bytes() == b"no such thing" * 1000
    assert threads_of_stores() == []


async def test_subjects_are_denied_by_whoever_made_the_application(
    config: ServerConfig, tmp_path: Path
) -> None:
    """A denial is kept in the file, and can be listed and taken back."""
    app = create_app(config, tmp_path, SystemClock(), SystemRandomness())
    async with app.router.lifespan_context(app):
        await app.state.denials.deny("https://id.example", "ann")
        denied = await app.state.denials.all()
        assert [(each.issuer, each.subject) for each in denied] == [("https://id.example", "ann")]
        assert await app.state.denials.allow("https://id.example", "ann")
        assert list(await app.state.denials.all()) == []
