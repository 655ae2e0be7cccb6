"""What the doctor of a server says about room; everything else is tested with real directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncauth.cli.exits import Exit
from syncauth.cli.server_findings import LARGE_LOG, Examination, judge_file
from syncauth.server.upkeep.examine import FileSeen

MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    ("size", "log", "free", "codes"),
    [
        (100, 10, 220, {}),
        (100, 10, 219, {"disk_low": Exit.STORAGE}),
        (1, LARGE_LOG // MEGABYTE, 1_000, {}),
        (1, LARGE_LOG // MEGABYTE + 1, 1_000, {"log_large": Exit.PERSON}),
    ],
)
def test_room_is_judged(size: int, log: int, free: int, codes: dict[str, Exit]) -> None:
    """A backup and a restore need the file's size once more each; a log does not grow for ever."""
    found = Examination(Path("data"), Path("syncauth.toml"), 0.0)

    judge_file(found, FileSeen(Path("f"), size * MEGABYTE, log * MEGABYTE, free * MEGABYTE))

    assert {each.code: each.exit_code for each in found.findings} == codes


def test_room_is_judged_of_a_damaged_file_too() -> None:
    """That it is damaged does not make the disk larger."""
    found = Examination(Path("data"), Path("syncauth.toml"), 0.0)

    judge_file(found, FileSeen(Path("f"), 1, 0, 0, faults=["page 3"]))

    assert [each.code for each in found.findings] == ["file_damaged", "disk_low"]
    assert found.exit_code is Exit.STORAGE
