"""The demonstration tells its story to the end, and its check finds a single altered cell."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.processes import ROOT

SECONDS = 150
STATES = ("active → refreshing", "refreshing → refresh_expired", "refresh_expired → active")


@contextmanager
def start(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the demonstration; what has not ended with the test is ended."""
    command = [sys.executable, "-m", "syncauth.demo", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.timeout(200)
def test_the_demonstration_ends_well_and_sabotage_is_found() -> None:
    """Every transition is printed by its states; one altered cell makes the exit code 1."""
    with start() as honest, start("--sabotage") as sabotaged:
        told, _ = honest.communicate(timeout=SECONDS)
        altered, _ = sabotaged.communicate(timeout=SECONDS)
    assert honest.returncode == 0, told
    assert all(state in told for state in STATES)
    assert "3 files hold the same" in told
    assert sabotaged.returncode == 1, altered
    assert altered.count("WRONG") == 1
