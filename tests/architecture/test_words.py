"""The repository names no package registry and no place on the machine of whoever wrote it."""

from __future__ import annotations

import re

import pytest

from tests.support.source import files, shown

# Put together here, so that this file does not name them either.
REGISTRIES = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "deb." + "debian.org",
    "crates" + ".io",
    "golang" + ".org",
]
PLACES = re.compile(r"(?<![\w.~\-}/])/" + r"(?:work|root|home/\w+|Users/\w+|tmp/\w+)/")
TEXTS = [path for path in files() if path.suffix not in {".db", ".sqlite", ".gz", ".png"}]


@pytest.mark.parametrize("word", REGISTRIES)
def test_no_registry_is_named(word: str) -> None:
    """A registry is the choice of whoever installs."""
    naming = [shown(path) for path in TEXTS if word in path.read_text("utf-8")]

    assert naming == []


def test_no_place_of_one_machine_is_named() -> None:
    """No path of a home directory or of a place that only one machine has."""
    naming = {
        f"{shown(path)}: {found.group()}"
        for path in TEXTS
        if (found := PLACES.search(path.read_text("utf-8")))
    }

    assert naming == set()
