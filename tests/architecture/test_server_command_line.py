"""The page of the command line is complete for `syncauth server …`: every command, option and finding."""

from __future__ import annotations

import re

import click
import pytest

from syncauth.cli.server_group import server
from tests.support.source import ROOT

PAGE = (ROOT / "docs" / "reference" / "command-line.md").read_text("utf-8")


def section(command: str) -> str:
    """Return what the page says of a command."""
    return PAGE.partition(f"\n## `syncauth server {command}`\n")[2].partition("\n## ")[0]


def test_commands_are_those_of_the_page() -> None:
    """Every command of the group has a section, and every section a command."""
    told = re.findall(r"^## `syncauth server ([\w-]+)`$", PAGE, re.MULTILINE)

    assert sorted(told) == sorted(server.commands)


@pytest.mark.parametrize("name", sorted(server.commands))
def test_options_are_those_of_the_page(name: str) -> None:
    """The table of a command has all of its options in their order."""
    options = [each for each in server.commands[name].params if isinstance(each, click.Option)]

    told = re.findall(r"^\| `(--[\w-]+)` \| ", section(name), re.MULTILINE)

    assert told == [each.opts[0] for each in options]


def test_findings_are_those_of_the_page() -> None:
    """Every finding of `syncauth server doctor` is explained."""
    source = (ROOT / "syncauth" / "cli" / "server_findings.py").read_text("utf-8")
    found = set(re.findall(r'\.(?:note|trouble)\(\s*"(\w+)"', source))

    assert set(re.findall(r"^\| `(\w+)` \| \d \|", section("doctor"), re.MULTILINE)) == found
