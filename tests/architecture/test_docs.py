"""The documentation holds together: links lead somewhere, examples compile, drawings are true."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest

from tests.support import state_diagrams
from tests.support.source import files, shown

PAGES = list(files(".md"))
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_relative_links_resolve(page: Path) -> None:
    """Every link to a file of the repository finds it, and its heading if it names one."""
    text = FENCE.sub("", page.read_text("utf-8"))
    broken = [link for link in LINK.findall(text) if not _leads_somewhere(page, link)]

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_python_examples_compile(page: Path) -> None:
    """Every block of Python is Python; it may await at its top level."""
    for _, language, block in FENCE.findall(page.read_text("utf-8")):
        if language in {"python", "py"}:
            source = textwrap.dedent(block)
            compile(source, shown(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_state_diagrams_are_those_of_the_tables() -> None:
    """The page of the state machines is what `python -m tests.support.state_diagrams` writes."""
    text = state_diagrams.PAGE.read_text("utf-8")

    assert text == state_diagrams.drawn(text)


def test_a_drawing_follows_its_table() -> None:
    """A drawing that differs from its table is replaced by the table's."""
    text = state_diagrams.PAGE.read_text("utf-8")
    stale = text.replace("refresh_due", "something_else")

    assert stale != text
    assert state_diagrams.drawn(stale) == text


def _leads_somewhere(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    name, _, heading = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists():
        return False
    return not heading or heading in _headings(target.read_text("utf-8"))


def _headings(text: str) -> set[str]:
    """Return the anchors of a page as GitHub makes them."""
    found = re.findall(r"^#+ +(.+?) *$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in found}
