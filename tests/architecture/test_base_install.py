"""What a device installs: the package without its extras."""

from __future__ import annotations

import subprocess
import sys

import pytest

EXTRAS = ("starlette", "uvicorn", "argon2", "airportsdata")


@pytest.mark.parametrize("module", ["syncauth", "syncauth.cli"])
def test_the_package_is_imported_without_its_extras(module: str) -> None:
    """An app needs none of the server's libraries; nothing of the server is loaded for it."""
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"
        f"import {module}\n"
        "assert not [name for name in sys.modules if name.startswith('syncauth.server')]\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False
    )

    assert ended.returncode == 0, ended.stderr
