"""The page of the command line is complete: every command, option, finding and exit code."""

from __future__ import annotations

import re

import click
import pytest

from syncauth.cli import main
from syncauth.cli.exits import Exit
from tests.support.source import ROOT

PAGE = (ROOT / "docs" / "reference" / "command-line.md").read_text("utf-8")
CONTEXT = click.Context(main)


def found(group: click.Group, context: click.Context) -> dict[str, click.Command]:
    """Return all commands, those of groups by their whole names."""
    commands = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            inner = found(command, click.Context(command, parent=context))
            commands |= {f"{name} {each}": inner[each] for each in inner}
        else:
            commands[name] = command
    return commands


COMMANDS = found(main, CONTEXT)


def section(command: str) -> str:
    """Return what the page says of a command."""
    return PAGE.partition(f"\n## `syncauth {command}`\n")[2].partition("\n## ")[0]


def test_commands_are_those_of_the_page() -> None:
    """Every command has a section, and every section a command."""
    told = re.findall(r"^## `syncauth (\w[\w -]*)`$", PAGE, re.MULTILINE)

    assert sorted(told) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_those_of_the_page(name: str) -> None:
    """The table of a command has all of its options in their order, with the variables that give them."""
    options = [each for each in COMMANDS[name].params if isinstance(each, click.Option)]

    told = re.findall(r"^\| `(--[\w-]+)` \| (.*) \|$", section(name), re.MULTILINE)

    assert [option for option, _ in told] == [each.opts[0] for each in options]
    for (_, meaning), option in zip(told, options, strict=True):
        if isinstance(option.envvar, str) and "as for" not in meaning:
            assert option.envvar in meaning


def test_exit_codes_are_those_of_the_page() -> None:
    """Every exit code is explained."""
    codes = PAGE.partition("\n## Exit codes\n")[2].partition("\n## ")[0]

    assert [int(code) for code in re.findall(r"^\| (\d) \|", codes, re.MULTILINE)] == list(Exit)


def test_findings_are_those_of_the_page() -> None:
    """Every finding of doctor is explained."""
    source = (ROOT / "syncauth" / "cli" / "doctor.py").read_text("utf-8")
    found = set(re.findall(r'\.(?:note|trouble)\(\s*"(\w+)"', source))

    assert set(re.findall(r"^\| `(\w+)` \| \d \|", section("doctor"), re.MULTILINE)) == found
