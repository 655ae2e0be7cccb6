"""The reference is complete: every public name, setting and message stands in it, with its default where it has one."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from fnmatch import fnmatch
from typing import Any

import msgspec
import pytest

import syncauth
from syncauth import errors, events, models
from syncauth.config import AppConfig
from syncauth.sansio import messages, sync_errors
from syncauth.server.settings import admin, config, login
from tests.support.source import ROOT, package_files, shown

API = (ROOT / "docs" / "reference" / "api.md").read_text("utf-8")
SETTINGS = (ROOT / "docs" / "reference" / "configuration.md").read_text("utf-8")
PROTOCOL = (ROOT / "docs" / "reference" / "protocol.md").read_text("utf-8")
FOR_EACH_OTHER = {
    *("driver", "loop", "accounts", "session_of", "status_of", "account_of"),
    *("close_replica", "close_file", "adopt_guest", "die"),
}
"""What App, users and replicas have for one another alone."""

GIVEN_APART = {"base_url", "app_id", "data_dir"}
SECTIONS = (
    config.Lifetimes,
    config.Rules,
    config.ServerLimits,
    config.LoginSettings,
    config.CustomDataSettings,
    login.EmailSettings,
    login.MailSettings,
    admin.AdminSettings,
)
WITHOUT_DEFAULT = {"read": "the user's own partition", "write": "the user's own partition"}


def row_of(page: str, name: str) -> list[str]:
    """Return the cells of the line of a table that begins with this name."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.match(rf"`(await )?{name}\b", cells[0]):
            return cells
    raise AssertionError(f"{name} has no line in the page")


@pytest.mark.parametrize("name", syncauth.__all__)
def test_public_names_are_in_the_reference(name: str) -> None:
    """Whatever may be imported from syncauth is described."""
    assert re.search(rf"\b{name}\b", API)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in (*syncauth.App.__mro__[:-1], syncauth.OpenReplica, syncauth.User)
        for name in vars(kind)
        if not name.startswith("_") and name not in FOR_EACH_OTHER
    ],
)
def test_verbs_are_in_the_reference(kind: type, name: str) -> None:
    """Every verb that is meant for apps is described."""
    assert re.search(rf"\b{name}\b", API), kind


def test_events_are_described_with_their_attributes() -> None:
    """An event's line names exactly what it carries beyond user and time."""
    kinds = [kind for kind in vars(events).values() if dataclasses.is_dataclass(kind)]
    for kind in kinds:
        own = {field.name for field in dataclasses.fields(kind)} - {"user_id", "at"}
        if kind in (events.Event, events.LoggedIn):
            assert own == set()
        else:
            assert (
                set(re.findall(r"`(\w+)`", row_of(API, kind.__name__)[1])) - {"DeadLetter"} == own
            )


@pytest.mark.parametrize(
    "kind",
    [
        models.SessionState,
        models.ConnectionState,
        models.PauseReason,
        models.ReloginReason,
    ],
)
def test_states_and_reasons_are_listed(kind: type[Any]) -> None:
    """The values of an enumeration stand in its line, all and in their order."""
    assert re.findall(r"`(\w+)`", row_of(API, kind.__name__)[1]) == [each.name for each in kind]


@pytest.mark.parametrize("kind", [models.Status, models.DeadLetter])
def test_attributes_of_values_are_listed(kind: type[Any]) -> None:
    """The attributes of a value stand in its line, all and in their order."""
    names = [field.name for field in dataclasses.fields(kind)]

    assert re.findall(r"`(\w+)`", row_of(API, kind.__name__)[1]) == names


def test_errors_of_the_reference_exist() -> None:
    """Every error that the reference names is one, and stands in its own group."""
    section = API.partition("\n## Errors\n")[2]
    for line in section.splitlines():
        cells = line.strip("|").split("|")
        if line.startswith("| `"):
            group = getattr(errors, cells[0].strip(" `"))
            for name in re.findall(r"`(\w+)`", cells[1]):
                assert issubclass(getattr(errors, name), group)


@pytest.mark.parametrize(
    "field",
    [field for section in SECTIONS for field in dataclasses.fields(section)],
    ids=lambda field: field.name,
)
def test_server_settings_have_their_defaults(field: dataclasses.Field[Any]) -> None:
    """Every setting of the server has a line with its default."""
    told = row_of(SETTINGS, field.name)[1].strip("`")

    assert told == (
        WITHOUT_DEFAULT.get(field.name, "none")
        if field.default is None
        else json.dumps(field.default)
    )


def test_hooks_and_settings_of_issuers_are_listed() -> None:
    """Every hook has a line, and so has every setting of an issuer, with its default if it has one."""
    for field in dataclasses.fields(login.Hooks):
        assert row_of(SETTINGS, field.name)
    for field in dataclasses.fields(login.TokenIssuer):
        if field.name not in {"name", "fields", "algorithm", "issuer", "audience"}:
            told = row_of(SETTINGS, field.name)[1].strip("`")
            assert told == ("none" if field.default is None else json.dumps(field.default))


def test_settings_of_tables_have_their_defaults() -> None:
    """Every setting of a served table has a line with its default."""
    for field in dataclasses.fields(config.ServedTable):
        if field.name != "name":
            default = list(field.default) if field.name == "counters" else field.default
            assert row_of(SETTINGS, field.name)[1].strip("`") == json.dumps(default)


def test_ranges_are_those_that_are_checked() -> None:
    """The bounds in the reference are accepted and what lies beyond them is refused."""
    sections = {"lifetimes": config.Lifetimes, "limits": config.ServerLimits}
    for section, kind in sections.items():
        for field in dataclasses.fields(kind):
            low, high = (int(cell.split()[0]) for cell in row_of(SETTINGS, field.name)[2:4])
            for value in (low, high):
                assert (
                    getattr(getattr(read(section, field.name, value), section), field.name) == value
                )
            for value in (low - 1, high + 1):
                with pytest.raises(errors.InvalidConfig):
                    read(section, field.name, value)


def read(section: str, name: str, value: int) -> config.ServerConfig:
    """Read a configuration with one setting besides those that are required."""
    server = {"app_id": "field-notes", "schema": "README.md"}
    return config.parse_config({"server": server, section: {name: value}}, folder=ROOT)


@pytest.mark.parametrize(
    "field",
    [field for field in dataclasses.fields(AppConfig) if field.name not in GIVEN_APART],
    ids=lambda field: field.name,
)
def test_app_settings_have_their_defaults(field: dataclasses.Field[Any]) -> None:
    """Every further setting of an App has a line with its default."""
    default = frozenset() if field.default is dataclasses.MISSING else field.default
    told = row_of(SETTINGS, field.name)[1].strip("`")

    assert (frozenset() if told == "frozenset()" else ast.literal_eval(told)) == default


@pytest.mark.parametrize(
    "kind",
    [*messages.ClientMessage.__args__, *messages.ServerMessage.__args__],
    ids=lambda kind: kind.__name__,
)
def test_messages_have_their_fields(kind: type[msgspec.Struct]) -> None:
    """Every message has a line with its fields in their order; those with a default are marked."""
    told = row_of(PROTOCOL, str(kind.__struct_config__.tag))[1]
    fields = msgspec.structs.fields(kind)

    assert re.findall(r"`(\w+)`", told) == [field.name for field in fields]
    assert set(re.findall(r"`(\w+)`\?", told)) == {
        field.name for field in fields if not field.required
    }


def test_close_codes_are_listed() -> None:
    """Every code that the server closes with is explained."""
    section = PROTOCOL.partition("\n## Close codes\n")[2]
    told = {int(code) for code in re.findall(r"\b\d{4}\b", section)}

    assert told == {value for name, value in vars(sync_errors.Close).items() if name.isupper()}


def test_invariants_are_tested_where_the_page_says() -> None:
    """Each of I1 to I15 has a line, and every test file or folder named there names the invariant."""
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
    lines = re.findall(r"^\| (I\d+) \|.*\| (.*) \|$", page, re.MULTILINE)

    assert [name for name, _ in lines] == [f"I{number}" for number in range(1, 16)]
    for name, places in lines:
        for place in re.findall(r"`([^`]+)`", places):
            path = ROOT / "tests" / place
            texts = path.rglob("*.py") if path.is_dir() else [path]
            named = [text for text in texts if re.search(rf"\b{name}\b", text.read_text("utf-8"))]
            assert named, f"{place} does not name {name}"


def test_features_are_shown_by_tests_that_are_there() -> None:
    """Every line of the tables of the SDK's features names tests that exist."""
    page = (ROOT / "docs" / "reference" / "device-sdk.md").read_text("utf-8")
    texts = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    there = {name for text in texts for name in re.findall(r"def (test_\w+)\(", text)}
    lines = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    for line in lines:
        if "Shown by" not in line:
            named = re.findall(r"`(test_\w+)`", line.rpartition("|")[0].rpartition("|")[2])
            assert named, line
            assert set(named) <= there, line


def test_every_module_is_on_the_map() -> None:
    """The map of the code names every module, by itself or by its family."""
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
    code_map = page.partition("\n## Code map\n")[2].partition("\n## ")[0]
    patterns = re.findall(r"`([\w*]+\.py)`", code_map)
    folders = re.findall(r"`(\w+)/`", code_map)
    for path in package_files():
        parts = path.relative_to(ROOT / "syncauth").parts
        on_map = any(fnmatch(parts[-1], pattern) for pattern in patterns)
        whole = {"stores", "cli", "demo"} & set(parts[:-1])
        assert set(parts[:-1]) <= set(folders)
        assert on_map or whole or path.name == "__init__.py", shown(path)
