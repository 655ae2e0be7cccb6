"""The file that `syncauth init` writes has every setting with its default, and is itself a good configuration."""

from __future__ import annotations

import dataclasses
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from syncauth.cli.starting import CONFIG, SCHEMA, write_files
from syncauth.errors import InvalidConfig
from syncauth.server.settings.config import ServerConfig, parse_config, read_config
from syncauth.server.settings.login import NamedFunction

COMMENTED = re.compile(r"^#(?=\[|\w+ = )", re.MULTILINE)
OF_THE_SERVER = {"app_id", "schema", "test_mode"}
FIELDS = {field.name for field in dataclasses.fields(ServerConfig)}
SECTIONS = (FIELDS - OF_THE_SERVER - {"functions"}) | {"server"}
SEVERAL = {"tables": "notes", "issuers": "company"}
"""Sections of which there may be several, each with the one in the file."""

OTHERS = {"smtp_password_file", "key_env", "key_file", "token_file"}
"""Of several settings exactly one is given: these are not, where all others are."""


@pytest.fixture
def text(tmp_path: Path) -> str:
    """What is written."""
    write_files(tmp_path, "field-notes")
    return (tmp_path / CONFIG).read_text("utf-8")


def uncommented(text: str) -> dict[str, Any]:
    """Read the file with every setting in it."""
    return tomllib.loads(COMMENTED.sub("", text))


def good(text: str, folder: Path) -> ServerConfig:
    """Read the file with every setting in it, but for those that exclude others."""
    document = uncommented(text)
    for section in (document["mail"], document["issuers"]["company"], document["metrics"]):
        for name in OTHERS:
            section.pop(name, None)
    return parse_config(document, folder=folder)


def test_the_file_alone_gives_every_default(tmp_path: Path, text: str) -> None:
    """What is not commented out is what a server needs: the id, the schema and a table."""
    config = read_config(tmp_path / CONFIG)
    table = config.tables[0]

    assert table == type(table)("notes")
    assert config == ServerConfig("field-notes", tmp_path / SCHEMA, tables=(table,))
    assert set(tomllib.loads(text)["server"]) == {"app_id", "schema"}


def test_every_section_stands_there(tmp_path: Path, text: str) -> None:
    """The sections are those of the settings' classes."""
    top = {field.name for field in dataclasses.fields(good(text, tmp_path))}

    assert set(uncommented(text)) == (top - OF_THE_SERVER) | {"server"}


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_every_setting_stands_there_with_its_default(
    tmp_path: Path, text: str, section: str
) -> None:
    """The file and the settings' class have the same settings; a default is that of the class."""
    there = uncommented(text)[section]
    config = good(text, tmp_path)
    kind = config if section == "server" else getattr(config, section)
    if section in SEVERAL:
        there, kind = there[SEVERAL[section]], kind[0]
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    names = OF_THE_SERVER if section == "server" else set(fields) - {"name"}

    assert set(there) == names, f"[{section}] of cli/template.toml"
    for name in names:
        default = list(fields[name]) if isinstance(fields[name], tuple) else fields[name]
        if default not in (None, "", [], dataclasses.MISSING):
            assert there[name] == default, f"{section}.{name} of cli/template.toml"


def test_examples_are_marked_and_good(tmp_path: Path, text: str) -> None:
    """A setting without a default is shown by an example that the reader of settings takes."""
    for line in ("These are examples", "This is an example", "An example"):
        assert line in text
    config = good(text, tmp_path)

    assert config.hooks.custom_login == "my_app:log_in"
    assert config.functions == {
        "sum": NamedFunction("my_app:add"),
        "report": NamedFunction("my_app:report", process=True, seconds=60),
    }
    assert config.metrics.port == 9464
    assert config.issuers[0].fields == (("email", "email"), ("name", "name"))
    assert config.issuers[0].required == (
        ("email_verified", (True,)),
        ("roles", ("notes", "admin")),
    )


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """If one of the files is there, none is written."""
    (tmp_path / SCHEMA).write_text("-- mine")

    with pytest.raises(InvalidConfig, match=re.escape(SCHEMA)):
        write_files(tmp_path, "app")
    assert [path.name for path in tmp_path.iterdir()] == [SCHEMA]
    assert (tmp_path / SCHEMA).read_text() == "-- mine"


@pytest.mark.parametrize("app_id", ["", "a b", 'a"', "ä", "a\n"])
def test_an_id_that_is_none_is_refused(tmp_path: Path, app_id: str) -> None:
    """It stands in URLs, and in the file between quotation marks."""
    with pytest.raises(InvalidConfig, match="--app-id") as caught:
        write_files(tmp_path, app_id)
    assert caught.value.setting == "--app-id"
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file in the way is no traceback; a directory that is missing is made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidConfig):
        write_files(tmp_path / "file" / "inner", "app")

    written = write_files(tmp_path / "new" / "inner", "app")
    assert [path.name for path in written] == [CONFIG, SCHEMA]
    assert all(stat.S_ISREG(path.stat().st_mode) for path in written)
