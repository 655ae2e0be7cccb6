"""All faults of a configuration are told at once, each under its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.settings.config import located, read_config
from syncauth.server.settings.faults import Faults
from syncauth.server.settings.section import refusal

MANY = """\
[server]
app_id = "a b"
schema = "schema.sql"
tset_mode = true

[login]
anonymous = "yes"
password_cost = "low"

[lifetimes]
access_seconds = 1
refresh_seconds = "hunter2"

[tables.notes]
partition = "row"
counters = [
    1,
]

[email]
confirmation = "mail"
conceal_accounts = true
[issuers."of the company"]
audience = ["a"]
key_env = "K"
jwks_url = "http://far.example/keys"
[limits]
window = 0x{}
[stray]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds a schema file."""
    (tmp_path / "schema.sql").write_text("")
    return tmp_path


def refused(path: Path) -> InvalidConfig:
    """Return the error of reading the file."""
    with pytest.raises(InvalidConfig) as caught:
        read_config(path)
    return caught.value


def test_all_faults_are_told_with_their_lines(folder: Path) -> None:
    """One reading finds every fault; each has its line, or that of the section in which it is missed."""
    path = folder / "syncauth.toml"
    path.write_text(MANY.format("f" * 5000))

    error = refused(path)

    assert [(fault.line, fault.setting) for fault in error.faults] == [
        (2, "server.app_id"),
        (4, "server.tset_mode"),
        (7, "login.anonymous"),
        (8, "login.password_cost"),
        (11, "lifetimes.access_seconds"),
        (12, "lifetimes.refresh_seconds"),
        (15, "tables.notes.partition"),
        (16, "tables.notes.counters"),
        (20, "email.confirm_url"),
        (23, "issuers.of the company.issuer"),
        (23, "issuers.of the company"),
        (26, "issuers.of the company.jwks_url"),
        (28, "limits.window"),
        (29, "stray"),
    ]
    assert error.setting == "server.app_id"


def test_text_has_a_line_for_each_fault(folder: Path) -> None:
    """I10: path, line, setting, why and remedy, as editors and people read it, and no value that may be a secret."""
    path = folder / "syncauth.toml"
    path.write_text(MANY.format("1"))

    lines = str(refused(path)).splitlines()

    assert (
        f'{path}:8: login.password_cost: "low" is for test mode only. Remove it, or set server.test_mode = true'
        " on a server that holds no real accounts"
    ) in lines
    assert f"{path}:4: server.tset_mode: there is no such setting. Did you mean test_mode?" in lines
    assert len(lines) == len(refused(path).faults)
    assert "hunter2" not in str(refused(path))


def test_a_fault_hides_what_follows_from_it(folder: Path) -> None:
    """A setting is told once, and is not compared with others while its own value is no good."""
    path = folder / "syncauth.toml"
    path.write_text(
        '[server]\napp_id = "a"\nschema = "schema.sql"\n'
        "[email]\nconfirmation = 1\nconceal_accounts = true\n"
        '[issuers.id]\nissuer = "i"\naudience = "a"\nkey_env = 3\n'
        "[mail]\nsmtp_host = 1\nsmtp_tls = 'none'\n"
    )

    assert [fault.setting for fault in refused(path).faults] == [
        "email.confirmation",
        "issuers.id.audience",
        "issuers.id.key_env",
        "mail.smtp_host",
    ]


def test_a_section_that_is_none_is_one_fault(folder: Path) -> None:
    """What would stand in it is not missed as well."""
    path = folder / "syncauth.toml"
    path.write_text("server = 1\nlimits = 'x'\nissuers = []\n[[tables.notes]]\n")

    assert [(fault.line, fault.setting) for fault in refused(path).faults] == [
        (1, "server"),
        (2, "limits"),
        (3, "issuers"),
        (4, "tables.notes"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("[server]\napp_id = \n", 2, "Invalid value"),
        ("[server]\n[server]\n", 2, "Cannot declare"),
        ("[server\n", 1, "Expected"),
        ("a = 1\na = 2\n", 2, "Cannot overwrite"),
        ("a = 1\na = 2", 2, "Cannot overwrite"),
        ('a = 1\n\nb = "x', 3, "Unterminated"),
        ("a = " + "[" * 5000 + "]" * 5000, None, "nested too deeply"),
        ("a = " + "1" * 5000, None, "4300 digits"),
    ],
    ids=[
        "no value",
        "twice",
        "open",
        "key twice",
        "at the end",
        "unterminated",
        "deep",
        "long number",
    ],
)
def test_what_is_no_toml_is_told_with_its_line(
    folder: Path, text: str, line: int | None, why: str
) -> None:
    """The place that the parser names is told like the line of a setting."""
    path = folder / "syncauth.toml"
    path.write_text(text)

    error = refused(path)

    assert error.setting == "--config"
    assert error.faults[0].line == line
    place = f"{path}:{line}:" if line else f"{path}:"
    assert str(error).startswith(f"{place} it is no TOML: ")
    assert why in str(error)


def test_later_refusals_find_their_lines(folder: Path) -> None:
    """What is found out after the reading, such as a missing key, is told with its line too."""
    path = folder / "syncauth.toml"
    path.write_text('[server]\napp_id = "a"\n[issuers.id]\nissuer = "i"\nkey_env = "K"\n')

    found = located(refusal("issuers.id.key_env", "it is not there", "Set it"), path)

    assert str(found) == f"{path}:5: issuers.id.key_env: it is not there. Set it"


def test_faults_without_any_are_no_refusal() -> None:
    """Nothing is raised for nothing; what was raised elsewhere joins the others."""
    faults = Faults()
    faults.check()
    faults.take(refusal("a.b", "why", "remedy"))
    faults.add("a.b", "again", "")

    with pytest.raises(InvalidConfig, match=r"^a\.b: why\. remedy$"):
        faults.check()
    assert faults.has("a.b")
