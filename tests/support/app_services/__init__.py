"""Clients of App Services, as npm has them: each a process of its own under Node, driven by a program from here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.support.source import ROOT

PACKAGES: Final = ROOT / ".services" / "app_services" / "node_modules"
PROGRAMS: Final = Path(__file__).parent


def drive(program: str, *arguments: str) -> dict[str, Any]:
    """Run a program under Node and return what it saw."""
    assert PACKAGES.is_dir(), "run `make services`: the clients of App Services are not installed"
    ended = subprocess.run(
        ["node", str(PROGRAMS / program), str(PACKAGES), *arguments],  # noqa: S607 - Node as the path has it
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    seen: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return seen
