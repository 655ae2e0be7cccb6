"""A check tries all that a configuration names, finds every fault at once, and changes nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncauth.server.checking import check_config
from syncauth.server.settings.config import ServerConfig, read_config

SCHEMA = """CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL, id TEXT NOT NULL, text TEXT, PRIMARY KEY (_partition, id));
CREATE TABLE IF NOT EXISTS bare (id TEXT PRIMARY KEY);"""
SERVER = '[server]\napp_id = "a"\nschema = "schema.sql"\n'


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a schema file, which everybody may enter."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        (Path(place) / "schema.sql").write_text(SCHEMA)
        yield Path(place)


def config(folder: Path, text: str) -> ServerConfig:
    """Read a configuration with these sections."""
    (folder / "syncauth.toml").write_text(SERVER + text)
    return read_config(folder / "syncauth.toml")


def faults(folder: Path, text: str) -> list[str]:
    """Check a configuration and return the settings with a fault, each of which has a reason."""
    found = check_config(config(folder, text)).faults
    assert all(fault.why for fault in found)
    return [fault.setting for fault in found]


def test_a_good_configuration_has_no_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that it names is there and can be used; the folder is as it was."""
    monkeypatch.syspath_prepend(folder)
    (folder / "of_the_check.py").write_text("def add(c, a): return a\ndef mail(m): ...\n")
    (folder / "word").write_text("w" * 32)
    (folder / "word").chmod(0o600)
    good = config(
        folder,
        '[tables.notes]\n[rules]\nread = "SELECT :user_id"\n[functions]\nadd = "of_the_check:add"\n'
        'apart = { call = "of_the_check:add", process = true }\n'
        '[custom_data]\nquery = "SELECT count(*) AS n FROM notes"\n'
        '[mail]\nsmtp_user = "u"\nsmtp_password_file = "word"\n'
        '[email]\nreset = "mail"\nreset_url = "https://a.example"\n[hooks]\nmail = "of_the_check:mail"\n'
        '[issuers.id]\nissuer = "i"\naudience = ["a"]\nalgorithm = "HS256"\nkey_file = "word"\n'
        '[issuers.far]\nissuer = "https://far.invalid"\naudience = ["a"]\ndiscovery = true\n'
        '[metrics]\ntoken_file = "word"\n',
    )
    before = set(folder.iterdir())
    found = check_config(good)

    assert found.faults == ()
    assert found.warnings == ()
    assert set(folder.iterdir()) - before <= {folder / "__pycache__"}


def test_every_fault_is_found_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Database, code and secrets are tried although something before them failed; nothing is told twice."""
    monkeypatch.delenv("NOT_SET", raising=False)
    (folder / "key").write_text("no key")

    assert faults(
        folder,
        "[tables.bare]\n[tables.none]\n[tables.notes]\n"
        '[rules]\nread = "SELECT nothing FROM nowhere"\nwrite = "SELEKT"\n'
        '[custom_data]\nquery = "DELETE FROM notes"\n'
        '[functions]\na = "of_nobody:a"\nb = "os:path"\n'
        'c = { call = "difflib:context_diff", process = true }\nd = { call = "of_nobody:a", process = true }\n'
        '[hooks]\nauthenticate = "of_nobody:authenticate"\n'
        '\nconfirm = "of_nobody:confirm"\nmail = "os:sep"\n'
        '[email]\nconfirmation = "function"\n'
        '[issuers.one]\nissuer = "1"\naudience = ["a"]\nkey_env = "NOT_SET"\n'
        '[issuers.two]\nissuer = "2"\naudience = ["a"]\nkey_file = "key"\n'
        '[mail]\nsender = "smtp"\nfrom_address = "a@example.com"\nsmtp_user = "u"\n'
        'smtp_password_env = "NOT_SET"\n[metrics]\ntoken_env = "NOT_SET"\n',
    ) == [
        "tables.bare",
        "tables.none",
        "rules.read",
        "rules.write",
        "custom_data.query",
        "functions.a",
        "functions.b",
        "functions.c",
        "functions.d",
        "hooks.confirm",
        "hooks.mail",
        "hooks.authenticate",
        "issuers.one.key_env",
        "issuers.two.key_file",
        "mail.smtp_password_env",
        "metrics.token_env",
    ]


def test_what_nobody_does_is_found(folder: Path) -> None:
    """A mail that nobody sends and a function that is not named are faults of the whole."""
    assert faults(folder, '[email]\nconfirmation = "function"\n') == ["hooks.confirm"]
    assert faults(folder, '[email]\nreset = "mail"\nreset_url = "https://a.example"\n') == [
        "mail.sender"
    ]


@pytest.mark.parametrize("schema", [b"CREATE TABLE", b"\xff"])
def test_a_schema_that_cannot_be_run_is_found(folder: Path, schema: bytes) -> None:
    """It is one fault, and the tables that it should make are not missed as well."""
    good = config(folder, "[tables.notes]\n")
    (folder / "schema.sql").write_bytes(schema)

    assert [fault.setting for fault in check_config(good).faults] == ["server.schema"]


def test_secrets_that_others_can_read_are_warnings(folder: Path) -> None:
    """Only of what is secret: the public key of an issuer may be read by anybody."""
    (folder / "word").write_text("w" * 32)
    (folder / "word").chmod(0o644)
    found = check_config(
        config(
            folder,
            '[mail]\nsmtp_user = "u"\nsmtp_password_file = "word"\n'
            '[issuers.one]\nissuer = "1"\naudience = ["a"]\nalgorithm = "HS256"\nkey_file = "word"\n'
            '[issuers.two]\nissuer = "2"\naudience = ["a"]\nkey_file = "word"\n'
            '[metrics]\ntoken_file = "word"\n',
        )
    )

    assert [warning.setting for warning in found.warnings] == [
        "mail.smtp_password_file",
        "metrics.token_file",
        "issuers.one.key_file",
    ]
