"""The page of parsers names every module that reads a format, each with a test that gives it anything."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.source import ROOT, package_files

PAGE = (ROOT / "docs" / "explanation" / "parsers.md").read_text("utf-8")
OUTSIDE, OWN = PAGE.split("## What the program has written itself")
FUZZED = re.findall(r"^\| [^|]+ \| `([\w/]+\.py)` \| `([\w/]+\.py)` \|$", OUTSIDE, re.MULTILINE)
OURS = re.findall(r"^\| `([\w/]+\.py)` \| [^|]+ \|$", OWN, re.MULTILINE)
READS = re.compile(
    r"json\.decode\(|json\.Decoder\(|json\.loads\(|msgspec\.convert\(|b64decode\(|a2b_base64\("
    r"|ejson\.decode\(|urlsplit\(|parse_qs\(|parsedate_to_datetime\(|tomllib\.loads?\(|jwt\.decode\("
)
"""What turns bytes or texts into something else."""


def test_every_module_that_reads_a_format_is_named() -> None:
    """A module that decodes anything stands in one of the two tables, and in one only."""
    readers = {
        path.relative_to(ROOT / "syncauth").as_posix()
        for path in package_files()
        if READS.search(path.read_text("utf-8")) and "demo" not in path.parts
    }
    fuzzed = {module for module, _ in FUZZED}

    assert readers - fuzzed - set(OURS) == set()
    assert fuzzed & set(OURS) == set()


@pytest.mark.parametrize("module", sorted({module for module, _ in FUZZED} | set(OURS)))
def test_the_named_modules_are_there(module: str) -> None:
    """No line is about a module that is gone."""
    assert (ROOT / "syncauth" / module).exists()


@pytest.mark.parametrize(("module", "test"), FUZZED)
def test_the_named_test_gives_anything_to_the_parser(module: str, test: str) -> None:
    """The test makes its input with hypothesis, and reaches the module: by its name, or over the network."""
    place = ROOT / "tests" / test
    wanted = "syncauth." + module.removesuffix(".py").replace("/", ".")
    direct = _imported(place)
    files = (ROOT / Path(*name.split(".")).with_suffix(".py") for name in direct)
    behind = set().union(*(_imported(file) for file in files if file.exists()))

    assert "@given(" in place.read_text("utf-8")
    assert wanted in direct | behind or "integration" in test


def _imported(file: Path) -> set[str]:
    """Return the modules that a file imports, and the names in them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return found
