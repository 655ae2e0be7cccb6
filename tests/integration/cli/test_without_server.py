"""Where the extra `server` is not installed, the commands for people work and `serve` says what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT

PROGRAM = """
import sys
for name in ("starlette", "uvicorn", "argon2"):
    sys.modules[name] = None
from syncauth.cli import main
main(sys.argv[1:])
"""


def run_alone(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that cannot import the server's libraries."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT,
        check=False,
    )


def test_commands_for_people_need_no_server(tmp_path: Path) -> None:
    """The client's libraries are enough for what reads a data directory, and for the help."""
    users = run_alone("users", "--data", str(tmp_path))
    told = run_alone("--help")

    assert (users.returncode, told.returncode) == (0, 0), (users, told)
    assert "serve" in told.stdout


def test_serve_says_what_to_install() -> None:
    """`serve` ends with 2 and names the extra, whatever it is given, without a traceback."""
    ended = run_alone("serve", "--data", "data", "--port", "0")

    assert ended.returncode == 2
    assert "extra `server`" in ended.stderr
    assert "Traceback" not in ended.stderr
