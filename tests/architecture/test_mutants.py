"""The patches of `make mutants` stay in step with the code that they break."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.mutants.__main__ import EXPECTED, PATCHES, ROOT


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_every_mutant_applies_and_names_a_test_that_is_there(patch: Path) -> None:
    """Otherwise a promise would lose its guard without anybody noticing."""
    file, _, name = patch.read_text("utf-8").splitlines()[0].removeprefix("Test: ").partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text("utf-8")
    command = ["git", "apply", "--check", str(patch)]
    tried = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_all_mutants_are_there() -> None:
    """One for each promise."""
    assert len(PATCHES) == EXPECTED
