"""
Applies each patch of this folder to a copy of the tree and runs the test that its first line names.

The test must pass without the patch and fail with it; a patch that no longer applies is a failure too. Exits with 1
unless every mutant was killed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATCHES = sorted(Path(__file__).parent.glob("*.patch"))
EXPECTED = 8
TESTS_FAILED = 1
"""Pytest's exit code for failed tests; anything higher is an error of another kind."""


def run_test(tree: Path, name: str) -> int:
    """Run one test in a tree of its own; returns pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", name]
    return subprocess.run(command, cwd=tree, capture_output=True, check=False).returncode


def copy_of_tree(directory: Path) -> Path:
    """Copy what tests need, as it is on the disk."""
    tree = directory / "tree"
    ignore = shutil.ignore_patterns("__pycache__", ".venv", ".git", "build", ".hypothesis")
    shutil.copytree(ROOT, tree, ignore=ignore)
    return tree


def verdict(patch: Path) -> str:
    """Return "killed", or what is wrong."""
    name = patch.read_text("utf-8").splitlines()[0].removeprefix("Test: ")
    with tempfile.TemporaryDirectory() as directory:
        tree = copy_of_tree(Path(directory))
        if run_test(tree, name) != 0:
            return f"the test does not pass without it: {name}"
        command = ["git", "apply", str(patch)]
        applied = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        if applied.returncode != 0:
            return f"it does not apply: {applied.stdout}{applied.stderr}"
        code = run_test(tree, name)
    if code != TESTS_FAILED:
        return f"SURVIVED {name} (exit code {code})"
    return "killed"


def main() -> int:
    """Try every patch and say what became of it."""
    verdicts = {patch.stem: verdict(patch) for patch in PATCHES}
    for name, found in verdicts.items():
        print(f"{name:<40} {found}")
    return 0 if list(verdicts.values()) == ["killed"] * EXPECTED else 1


if __name__ == "__main__":
    sys.exit(main())
