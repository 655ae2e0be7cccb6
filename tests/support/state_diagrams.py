"""
Draws the state machines into their page, from the tables that the program runs on.

`python -m tests.support.state_diagrams` writes the page; a test compares it.
"""

from __future__ import annotations

import re

from syncauth.sansio.connection import CONNECTION_TABLE
from syncauth.sansio.session import SESSION_TABLE
from tests.support.source import ROOT

PAGE = ROOT / "docs" / "explanation" / "state-machines.md"
_DRAWINGS = {table.name: table.mermaid() for table in (SESSION_TABLE, CONNECTION_TABLE)}


def drawn(text: str) -> str:
    """Return the page with each drawing between its two markers drawn anew."""
    for name, drawing in _DRAWINGS.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        block = f"{begin}\n\n```mermaid\n{drawing}```\n\n{end}"
        between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        text, count = between.subn(block, text)
        if count != 1:
            message = f"{PAGE.name} has {count} places for the machine {name}, not one"
            raise ValueError(message)
    return text


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text("utf-8")), "utf-8")
