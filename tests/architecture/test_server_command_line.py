"""The page of the command line explains every finding of `syncauth server doctor`."""

from __future__ import annotations

import re

from tests.support.source import ROOT


def test_findings_are_those_of_the_page() -> None:
    """Every finding stands there, and nothing else does."""
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text("utf-8")
    _, _, section = page.partition("\n### `syncauth server doctor`\n")
    source = (ROOT / "syncauth" / "cli" / "server_findings.py").read_text("utf-8")
    found = set(re.findall(r'\.(?:note|trouble)\(\s*"(\w+)"', source))

    told = re.findall(r"^\| `(\w+)` \| \d \|", section.partition("\n## ")[0], re.MULTILINE)

    assert set(told) == found
