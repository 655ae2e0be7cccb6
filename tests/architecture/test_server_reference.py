"""The page of the server in Python lists every public name, verb, argument and attribute, and no other."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest

from syncauth import errors, server
from tests.support.source import ROOT

PAGE = (ROOT / "docs" / "reference" / "server-api.md").read_text("utf-8")
VALUES = [
    getattr(server, name)
    for name in server.__all__
    if dataclasses.is_dataclass(getattr(server, name)) and name != "ServerConfig"
]
"""The settings have a page of their own."""


def lines(heading: str) -> dict[str, list[str]]:
    """Return the cells of the lines of the first table below a text, by the first name in each."""
    table: dict[str, list[str]] = {}
    for line in PAGE.partition(heading)[2].splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
            found = re.match(r"`(?:await )?(\w+)", cells[0])
            assert found is not None
            table[found[1]] = cells
        elif table:
            break
    return table


def test_every_public_name_is_described() -> None:
    """What may be imported stands on the page, is documented, and is what `__all__` says."""
    for name in server.__all__:
        assert re.search(rf"\b{name}\b", PAGE)
        assert getattr(server, name).__doc__ or name == "Authenticate"
    assert len(set(server.__all__)) == len(server.__all__)


def test_arguments_are_listed() -> None:
    """The arguments of the constructor, in their order."""
    parameters = [*inspect.signature(server.SyncServer).parameters]

    assert [*lines("| Argument |")] == parameters
    for name in parameters:
        assert re.search(rf"SyncServer\([^`]*\b{name}\b", PAGE)


def test_verbs_are_listed() -> None:
    """Every verb, in its order, with its arguments and with errors that exist."""
    verbs = {
        name: verb
        for name, verb in vars(server.SyncServer).items()
        if callable(verb) and not name.startswith("_")
    }
    table = lines("| Verb |")

    assert [*table] == [*verbs]
    for name, verb in verbs.items():
        for argument in [*inspect.signature(verb).parameters][1:]:
            assert re.search(rf"\b{argument.lstrip('_')}\b", table[name][0]), (name, argument)
        for error in re.findall(r"`(\w+)`", table[name][2]):
            assert hasattr(errors, error) or error == "start"


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_values_have_their_attributes(kind: type) -> None:
    """A value's line names its attributes, all and in their order."""
    told = lines("| Value |")[kind.__name__][1]

    assert re.findall(r"`(\w+)`", told) == [field.name for field in dataclasses.fields(kind)]
