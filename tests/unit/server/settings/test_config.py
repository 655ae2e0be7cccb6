"""`syncauth.toml` is read whole, and every refusal names the setting that must be changed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.settings.config import (
    ANONYMOUS_LIFE,
    YEARS_5,
    Lifetimes,
    LoginSettings,
    Rules,
    ServedTable,
    ServerConfig,
    ServerLimits,
    parse_config,
    read_config,
)

SMALLEST = '[server]\napp_id = "field-notes"\nschema = "schema.sql"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds a schema file."""
    (tmp_path / "schema.sql").write_text("CREATE TABLE notes (id TEXT PRIMARY KEY)")
    return tmp_path


def read(folder: Path, text: str) -> ServerConfig:
    """Read the text as the `syncauth.toml` of the folder."""
    path = folder / "syncauth.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def test_smallest_configuration_has_all_defaults(folder: Path) -> None:
    """Two settings are enough, and everything else has the default that the documentation tells."""
    config = read(folder, SMALLEST)

    assert config == ServerConfig(app_id="field-notes", schema=folder / "schema.sql")
    assert config.lifetimes == Lifetimes(1800, 60 * 24 * 3600, 18250 * 24 * 3600)
    assert config.limits.batch_rows == 10_000
    assert config.limits.batch_bytes == 4_000_000
    assert config.limits.window == 4


def test_every_setting_is_read(folder: Path) -> None:
    """A file that sets everything gives exactly what it says, tables in the order of the file."""
    config = read(
        folder,
        """
        [server]
        app_id = "field-notes"
        schema = "schema.sql"
        test_mode = true
        [lifetimes]
        access_seconds = 2
        refresh_seconds = 3
        anonymous_refresh_seconds = 4
        [tables.notes]
        partition_column = "team"
        partition = "column"
        counters = ["likes", "views"]
        [tables."a b"]
        [rules]
        read = "SELECT name FROM teams WHERE member = :user_id"
        write = "SELECT 'user:' || :user_id"
        [limits]
        batch_rows = 1
        batch_bytes = 1000
        window = 2
        http_body_bytes = 1001
        login_burst = 3
        logins_per_minute = 4
        register_burst = 5
        registrations_per_minute = 6
        [login]
        anonymous = false
        email_password = false
        non_rotating_sessions = false
        password_cost = "low"
        trusted_origins = ["https://App.example.com", "http://[::1]:8080"]
        """,
    )

    assert config == ServerConfig(
        app_id="field-notes",
        schema=folder / "schema.sql",
        test_mode=True,
        lifetimes=Lifetimes(2, 3, 4),
        tables=(ServedTable("notes", "team", "column", ("likes", "views")), ServedTable("a b")),
        rules=Rules("SELECT name FROM teams WHERE member = :user_id", "SELECT 'user:' || :user_id"),
        limits=ServerLimits(1, 1000, 2, 1001, 3, 4, 5, 6),
        login=LoginSettings(
            anonymous=False,
            email_password=False,
            non_rotating_sessions=False,
            password_cost="low",
            trusted_origins=("https://app.example.com", "http://[::1]:8080"),
        ),
    )


@pytest.mark.parametrize(
    "origin",
    [
        *("", "*", "null", "app.example.com", "https://app.example.com/", "https://a.com/x"),
        *("https://a.com:443", "http://a.com:80", "ftp://a.com", "https://ann@a.com"),
        *("https://[a", "https://", "https://*.example.com", "https://a.com https://b.com"),
    ],
)
def test_trusted_origins_are_origins(folder: Path, origin: str) -> None:
    """What no browser would ever say is refused, because it would silently trust nobody."""
    with pytest.raises(InvalidConfig) as caught:
        read(folder, f'{SMALLEST}[login]\ntrusted_origins = ["{origin}"]')

    assert caught.value.setting == "login.trusted_origins"


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("", "server"),
        ("server = 1", "server"),
        ('[server]\nschema = "schema.sql"', "server.app_id"),
        ('[server]\napp_id = ""\nschema = "schema.sql"', "server.app_id"),
        ('[server]\napp_id = "a/b"\nschema = "schema.sql"', "server.app_id"),
        ('[server]\napp_id = 7\nschema = "schema.sql"', "server.app_id"),
        ('[server]\napp_id = "a"', "server.schema"),
        ('[server]\napp_id = "a"\nschema = "other.sql"', "server.schema"),
        (SMALLEST + "test_mode = 1", "server.test_mode"),
        (SMALLEST + 'tset_mode = "x"', "server.tset_mode"),
        (SMALLEST + "[sever]", "sever"),
        ("stray = 1\n" + SMALLEST, "stray"),
        (SMALLEST + "[lifetimes]\naccess_seconds = 59", "lifetimes.access_seconds"),
        (SMALLEST + "[lifetimes]\naccess_seconds = 86401", "lifetimes.access_seconds"),
        (SMALLEST + "[lifetimes]\naccess_seconds = 60.0", "lifetimes.access_seconds"),
        (SMALLEST + "[lifetimes]\naccess_seconds = true", "lifetimes.access_seconds"),
        (SMALLEST + "[lifetimes]\nrefresh_seconds = 1799", "lifetimes.refresh_seconds"),
        (SMALLEST + "[lifetimes]\nrefresh_seconds = 157680001", "lifetimes.refresh_seconds"),
        (
            SMALLEST + "[lifetimes]\nanonymous_refresh_seconds = 1",
            "lifetimes.anonymous_refresh_seconds",
        ),
        (
            SMALLEST + "test_mode = true\n[lifetimes]\naccess_seconds = 1",
            "lifetimes.access_seconds",
        ),
        (
            SMALLEST + "test_mode = true\n[lifetimes]\nrefresh_seconds = 1",
            "lifetimes.refresh_seconds",
        ),
        (SMALLEST + "[tables]\nnotes = 3", "tables.notes"),
        (SMALLEST + "[tables._sync_x]", "tables._sync_x"),
        (SMALLEST + '[tables.""]', "tables."),
        (SMALLEST + "[tables.notes]\n[tables.Notes]", "tables.Notes"),
        (SMALLEST + '[tables.notes]\npartition = "row"', "tables.notes.partition"),
        (SMALLEST + '[tables.notes]\npartition_column = ""', "tables.notes.partition_column"),
        (SMALLEST + '[tables.notes]\ncounters = "likes"', "tables.notes.counters"),
        (SMALLEST + "[tables.notes]\ncounters = [1]", "tables.notes.counters"),
        (SMALLEST + '[tables.notes]\ncounters = ["a", "a"]', "tables.notes.counters"),
        (SMALLEST + "[tables.notes]\npartition_colum = 1", "tables.notes.partition_colum"),
        (SMALLEST + "[rules]\nread = 1", "rules.read"),
        (SMALLEST + '[rules]\nwirte = "SELECT 1"', "rules.wirte"),
        (SMALLEST + "[limits]\nbatch_rows = 0", "limits.batch_rows"),
        (SMALLEST + "[limits]\nwindow = 65", "limits.window"),
        (SMALLEST + "[limits]\nbatch_row = 1", "limits.batch_row"),
        (SMALLEST + '[login]\nanonymous = "yes"', "login.anonymous"),
        (SMALLEST + '[login]\npassword_cost = "low"', "login.password_cost"),
        (SMALLEST + '[login]\npassword_cost = "none"', "login.password_cost"),
        (SMALLEST + "[login]\napi_kye = true", "login.api_kye"),
    ],
)
def test_bad_setting_is_named(folder: Path, text: str, setting: str) -> None:
    """A setting that is missing, misspelt, mistyped or out of range is named, with a remedy."""
    with pytest.raises(InvalidConfig) as caught:
        read(folder, text)

    assert caught.value.setting == setting
    assert setting in str(caught.value)
    (fault,) = caught.value.faults
    assert fault.why
    assert fault.remedy


def test_range_is_told(folder: Path) -> None:
    """A number out of its range is refused with the range that is allowed."""
    text = SMALLEST + "[lifetimes]\nrefresh_seconds = 5"

    with pytest.raises(InvalidConfig, match=re.escape(f"1800 to {YEARS_5}")):
        read(folder, text)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("access_seconds", 60, 86_400),
        ("refresh_seconds", 1_800, YEARS_5),
        ("anonymous_refresh_seconds", 1_800, ANONYMOUS_LIFE),
    ],
)
def test_ends_of_ranges_are_allowed(folder: Path, name: str, low: int, high: int) -> None:
    """Both ends of the range of every life are allowed."""
    for value in (low, high):
        config = read(folder, f"{SMALLEST}[lifetimes]\n{name} = {value}")

        assert value == getattr(config.lifetimes, name)


def test_unreadable_file_is_refused(folder: Path) -> None:
    """A file that is missing, no TOML or not UTF-8 is refused and named."""
    (folder / "broken.toml").write_text("[server\n")
    (folder / "latin.toml").write_bytes(b'name = "\xe9"')

    for name in ("missing.toml", "broken.toml", "latin.toml"):
        with pytest.raises(InvalidConfig, match=re.escape(name)) as caught:
            read_config(folder / name)
        assert caught.value.setting == "--config"


def test_value_of_wrong_type_is_not_shown(folder: Path) -> None:
    """A text where a number belongs is not repeated: it may be a misplaced secret (I10)."""
    document = tomllib.loads(SMALLEST + '[lifetimes]\naccess_seconds = "hunter2"')

    with pytest.raises(InvalidConfig) as caught:
        parse_config(document, folder=folder)
    assert "hunter2" not in str(caught.value)
