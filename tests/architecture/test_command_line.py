"""The page of the command line is complete: every command, option, finding and exit code."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from syncauth.cli import main
from syncauth.cli.exits import Exit
from tests.support.source import ROOT

PAGE = (ROOT / "docs" / "reference" / "command-line.md").read_text("utf-8")
CONTEXT = click.Context(main)


COMMANDS = main.list_commands(CONTEXT)


def leaves(group: click.Group, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Return every command that does something, with its whole name."""
    for part in group.list_commands(CONTEXT):
        command = group.get_command(CONTEXT, part)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, f"{name}{part} ")
        else:
            yield f"{name}{part}", command


LEAVES = dict(leaves(main))


def section(command: str) -> str:
    """Return what the page says of a command."""
    _, _, text = PAGE.partition(f"# `syncauth {command}`\n")
    return re.split(r"^##+ ", text, maxsplit=1, flags=re.MULTILINE)[0]


def test_commands_are_those_of_the_page() -> None:
    """Every command has a section, and every section a command; those of a group have theirs below it."""
    assert sorted(re.findall(r"^## `syncauth (\w+)`$", PAGE, re.MULTILINE)) == COMMANDS
    below = re.findall(r"^### `syncauth ([\w -]+)`$", PAGE, re.MULTILINE)
    assert sorted(below) == sorted(set(LEAVES) - set(COMMANDS))


@pytest.mark.parametrize("name", LEAVES)
def test_options_are_those_of_the_page(name: str) -> None:
    """The table of a command has all of its options in their order, with the variables that give them."""
    command = LEAVES[name]
    options = [each for each in command.params if isinstance(each, click.Option)]

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
