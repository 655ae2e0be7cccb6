"""The server runs on uvloop where there is one, and on Python's own loop elsewhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, sys
{before}
from syncauth.cli.loops import run_on_fast_loop
async def loop():
    return type(asyncio.get_running_loop()).__module__
print(run_on_fast_loop(loop()))
"""


@pytest.mark.parametrize(
    ("before", "module"),
    [("", "uvloop"), ("sys.modules['uvloop'] = None", "asyncio.unix_events")],
    ids=["installed", "missing"],
)
def test_loop_is_the_fastest_there_is(before: str, module: str) -> None:
    """Where uvloop cannot be imported, as on Windows, the server starts all the same."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before)],
        capture_output=True,
        text=True,
        timeout=40,
        check=True,
    )

    assert ended.stdout.strip() == module
