"""
What a program gives to an App, checked before anything is done with it.

Python checks no types, and a text is an iterable of letters: what is no list of names is refused here, and told by the
name of the argument. This module must never do I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final

from syncauth.config import AppConfig
from syncauth.errors import InvalidConfig
from syncauth.models import TableSpec

KEYS_BY_APP: Final = "assigned by the app"


def app_config(
    url: str, app_id: str, data_dir: str | PathLike[str], settings: Mapping[str, Any]
) -> AppConfig:
    """Make the settings of an App.

    Raises:
        InvalidConfig: one of them is unknown, of the wrong type or out of its range.
        InsecureServer: plain http to another machine.
    """
    known = {field.name for field in fields(AppConfig)} - {"base_url", "app_id", "data_dir"}
    for name in settings:
        if name not in known:
            remedy = f"The settings are {', '.join(sorted(known))}"
            raise InvalidConfig("unknown setting", setting=name, remedy=remedy)
    if not isinstance(url, str):
        remedy = "Give a URL such as https://sync.example.com"
        raise InvalidConfig("the server's URL is no text", setting="url", remedy=remedy)
    if not isinstance(data_dir, (str, PathLike)) or "\0" in str(fspath(data_dir)):
        remedy = "Give a path"
        raise InvalidConfig("the data directory is no path", setting="data_dir", remedy=remedy)
    return AppConfig(url.rstrip("/"), app_id, Path(data_dir), **settings)


def table_specs(
    tables: Iterable[str],
    counters: Mapping[str, Iterable[str]] | None,
    keys: Mapping[str, str] | None,
    local_triggers: Iterable[str],
    create: str,
) -> tuple[TableSpec, ...]:
    """Return what is to be synchronised; raises `InvalidConfig`."""
    if not isinstance(create, str):
        raise InvalidConfig("this is no SQL", setting="create", remedy="Give a text")
    names = _names(tables, "tables")
    local = _names(local_triggers, "local_triggers")
    counted = {
        table: _names(columns, "counters") for table, columns in _mapping(counters, "counters")
    }
    kinds = dict(_mapping(keys, "keys"))
    for name in (*counted, *kinds, *local):
        if name not in names:
            what = f"table {name!r} is not among the tables to synchronise"
            raise InvalidConfig(what, setting="tables", remedy="Name it in tables as well")
    for value in kinds.values():
        if value != KEYS_BY_APP:
            remedy = f"The one value is {KEYS_BY_APP!r}"
            raise InvalidConfig("unknown kind of key", setting="keys", remedy=remedy)
    return tuple(
        TableSpec(name, counted.get(name, ()), name in kinds, name in local) for name in names
    )


def _mapping(given: Mapping[str, Any] | None, setting: str) -> Iterable[tuple[str, Any]]:
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise InvalidConfig("this is no mapping", setting=setting, remedy="Give a dict by table")
    return given.items()


def _names(given: Iterable[str], setting: str) -> tuple[str, ...]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        remedy = "Give a list of them, such as ['notes']"
        raise InvalidConfig("this is no list of names", setting=setting, remedy=remedy)
    names = tuple(given)
    for name in names:
        if not isinstance(name, str) or not _is_unicode(name):
            raise InvalidConfig(f"{name!a} is no name", setting=setting, remedy="Give a text")
    return names


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)
