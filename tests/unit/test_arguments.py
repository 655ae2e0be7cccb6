"""What a program gives to an App is checked before anything is done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import syncauth
from syncauth.arguments import table_specs
from syncauth.errors import InvalidConfig
from syncauth.models import TableSpec

SERVER = "https://sync.example.com"


@pytest.mark.parametrize(
    ("setting", "given"),
    [
        ("url", {"url": None}),
        ("url", {"url": "http://[::1"}),
        ("url", {"url": "https://sync.example.com:99999"}),
        ("url", {"url": "https://sync.example.com:abc"}),
        ("url", {"url": "https://sync example.com"}),
        ("url", {"url": "https://sync.example.com\n"}),
        ("app_id", {"app_id": 5}),
        ("app_id", {"app_id": "notes\n"}),
        ("data_dir", {"data_dir": None}),
        ("data_dir", {"data_dir": "a\0b"}),
        ("token_deadline", {"token_deadline": "10"}),
        ("token_deadline", {"token_deadline": float("inf")}),
        ("connect_timeout", {"connect_timeout": float("nan")}),
        ("trusted_hosts", {"trusted_hosts": "a.example.com"}),
        ("colour", {"colour": "red"}),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    tmp_path: Path, setting: str, given: dict[str, Any]
) -> None:
    """The constructor raises, before any I/O, and says which setting it is and what is right."""
    settings = {"url": SERVER, "app_id": "notes", "data_dir": tmp_path, **given}
    with pytest.raises(InvalidConfig) as raised:
        syncauth.App(settings.pop("url"), **settings)
    assert raised.value.setting == setting
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("setting", "given"),
    [
        ("tables", {"tables": "notes"}),
        ("tables", {"tables": None}),
        ("tables", {"tables": [5]}),
        ("tables", {"tables": ["half \ud800"]}),
        ("tables", {"counters": {"others": ["n"]}}),
        ("counters", {"counters": {"notes": "likes"}}),
        ("counters", {"counters": ["notes"]}),
        ("keys", {"keys": ["notes"]}),
        ("keys", {"keys": {"notes": "random"}}),
        ("local_triggers", {"local_triggers": "notes"}),
        ("create", {"create": b"SELECT 1"}),
    ],
)
def test_a_list_of_tables_that_is_none_is_named(setting: str, given: dict[str, Any]) -> None:
    """A text is no list of its letters, and what is no mapping is told as that."""
    usual: dict[str, Any] = {
        "tables": ["notes"],
        "counters": None,
        "keys": None,
        "local_triggers": (),
        "create": "",
    }
    with pytest.raises(InvalidConfig) as raised:
        table_specs(**{**usual, **given})
    assert raised.value.setting == setting


def test_tables_are_taken_as_they_are_declared() -> None:
    """Generators and tuples do as well as lists."""
    specs = table_specs(
        (name for name in ("a", "b")), {"a": ("n",)}, {"b": "assigned by the app"}, ["b"], ""
    )
    assert specs == (TableSpec("a", ("n",)), TableSpec("b", (), True, True))
