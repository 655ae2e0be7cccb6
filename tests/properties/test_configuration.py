"""Any document is a configuration or refused as one; settings are found in their lines whatever stands around them."""

from __future__ import annotations

import json
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from syncauth.errors import InvalidConfig
from syncauth.server.settings.config import ServerConfig, parse_config, read_config
from syncauth.server.settings.lines import lines_of

SECTIONS = {
    "server": ["app_id", "schema", "test_mode"],
    "lifetimes": ["access_seconds", "refresh_seconds"],
    "tables": ["notes", "NOTES", "_sync_a", ""],
    "rules": ["read", "write"],
    "limits": ["window", "batch_rows"],
    "login": ["anonymous", "password_cost"],
    "email": ["confirmation", "confirm_url", "conceal_accounts", "token_seconds"],
    "mail": ["sender", "from_address", "smtp_host", "smtp_tls", "smtp_password_file"],
    "issuers": ["id", "a.b", "\x1b"],
    "hooks": ["mail", "custom_login"],
    "functions": ["sum", "a b"],
    "custom_data": ["query"],
}
INNER = ["issuer", "audience", "algorithm", "key_env", "key_file", "jwks_url", "fields"]
INNER += ["partition", "partition_column", "counters"]
WORDS = ["low", "mail", "smtp", "none", "ES256", "column", "", " ", "http://[", "https://a.example"]
WORDS += ["schema.sql", "a\0b", "x" * 5000, "\x1b[2J"]
PLAIN = (
    st.none().map(lambda _: float("nan"))
    | st.booleans()
    | st.integers()
    | st.integers(-(16**4000), 16**4000)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text()
    | st.datetimes()
)
VALUES = st.recursive(
    PLAIN,
    lambda deeper: (
        st.lists(deeper, max_size=3)
        | st.dictionaries(st.sampled_from(INNER) | st.text(), deeper, max_size=4)
    ),
    max_leaves=8,
)


def section(name: str) -> st.SearchStrategy[Any]:
    """Return what may stand under a name: mostly a table with some of its settings."""
    return st.dictionaries(st.sampled_from(SECTIONS[name]) | st.text(), VALUES, max_size=4) | VALUES


DOCUMENTS = st.fixed_dictionaries(
    {}, optional={name: section(name) for name in SECTIONS} | {"other": VALUES}
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that holds a schema file."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "schema.sql").write_text("")
        yield Path(place)


@given(DOCUMENTS, st.booleans())
@settings(max_examples=400, deadline=None)
def test_any_document_is_a_configuration_or_refused(
    folder: Path, document: dict[str, Any], sound: bool
) -> None:
    """There is no other exception than InvalidConfig, which has a reason and a remedy for each fault."""
    if sound:
        document = {**document, "server": {"app_id": "a", "schema": "schema.sql"}}
    found: ServerConfig | InvalidConfig
    try:
        found = parse_config(document, folder=folder)
    except InvalidConfig as error:
        found = error

    faults = found.faults if isinstance(found, InvalidConfig) else ()
    assert faults or isinstance(found, ServerConfig)
    assert all(fault.why and fault.remedy for fault in faults)


@given(st.binary(max_size=200) | st.text(alphabet="[]{}=\"'\\#.\n\r\t ,a1_-é", max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_file_is_a_configuration_or_refused(folder: Path, content: bytes | str) -> None:
    """Whatever stands in the file, the answer is InvalidConfig."""
    path = folder / "syncauth.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)

    with pytest.raises(InvalidConfig) as caught:
        read_config(path)
    assert caught.value.faults


KEYS = st.text(alphabet="abA1_-", min_size=1, max_size=4) | st.text(
    alphabet="a.=[]#\"'\\ \té", max_size=4
)
LITERALS = st.sampled_from(
    [
        "1",
        "1979-05-27 07:32:00",
        '"[a]"',
        '"a\\"b # c = ["',
        "'a\\'",
        '"""\n[header]\nkey = 1\n"""',
        '"""one quote: "and two: ""\\""""',
        '"""ends with two"""""',
        '""""""',
        "'''\n# [not a header]\n'ends with one''''",
        "[\n  1, # [comment]\n  [2, '''\n]'''],\n]",
        "{ a = 1, b = [\n1\n], c = '}' }",
        "[]",
    ]
)
BETWEEN = st.sampled_from(["", "\n", "# a = [\n", "\t\n \n", "  "])


def written(key: str, *, literal: bool) -> str:
    """Write a key as TOML does, bare where it can be."""
    if key and all(sign in "abA1_-" for sign in key):
        return key
    if literal and "'" not in key:
        return f"'{key}'"
    return json.dumps(key)


@st.composite
def known_documents(draw: st.DrawFn) -> tuple[str, dict[str, int]]:
    """Return a document, with the line of each of its headers and keys."""
    text, lines, table, seen = "", {}, "", set()
    for _ in range(draw(st.integers(0, 6))):
        text += draw(BETWEEN)
        # Each name begins with a number of its own, so that no document declares one twice.
        names = [f"{len(seen)}", *draw(st.lists(KEYS, max_size=2))]
        seen.add(len(seen))
        space = draw(st.sampled_from(["", " "]))
        key = f"{space}.{space}".join(written(each, literal=draw(st.booleans())) for each in names)
        line = text.count("\n") + 1
        brackets = draw(st.sampled_from(["", "[", "[["]))
        if brackets:
            table = ""
            text += f"{brackets}{space}{key}{space}{brackets.replace('[', ']')}"
        else:
            text += f"{key}{space}={space}{draw(LITERALS)}"
        for length in range(len(names)):
            lines.setdefault(".".join(([table] if table else []) + names[: length + 1]), line)
        if brackets:
            table = ".".join(names)
        text += draw(st.sampled_from(["\n", " # [comment] = 1\n", "\n\n"]))
    return text, lines


@given(known_documents())
@settings(max_examples=400, deadline=None)
def test_settings_are_found_in_their_lines(document: tuple[str, dict[str, int]]) -> None:
    """Comments, strings over several lines and lists that look like headers and keys are not taken for such."""
    text, lines = document
    tomllib.loads(text)

    assert lines_of(text) == lines
