"""Servers share a data directory, a restore has it alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncauth.errors import FileInUse, StorageError
from syncauth.server.upkeep import holding


def test_servers_share_and_keep_a_restore_out(tmp_path: Path) -> None:
    """Two have it open at once; alone it can be had only after both have ended."""
    with holding.share(tmp_path), holding.share(tmp_path), pytest.raises(FileInUse):
        holding.hold_alone(tmp_path)
    holding.hold_alone(tmp_path).release()


def test_a_restore_keeps_servers_out(tmp_path: Path) -> None:
    """Nobody opens a file that is being replaced."""
    with holding.hold_alone(tmp_path), pytest.raises(FileInUse):
        holding.share(tmp_path)


def test_a_child_process_does_not_keep_it(tmp_path: Path) -> None:
    """What was forked while a server ran holds nothing back when the server has let go."""
    held = holding.share(tmp_path)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    held.release()
    held.release()
    try:
        holding.hold_alone(tmp_path).release()
    finally:
        os.close(writing)
        os.waitpid(child, 0)
        os.close(reading)


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The lock file has no place."""
    with pytest.raises(StorageError) as raised:
        holding.share(tmp_path / "nowhere")
    assert not isinstance(raised.value, FileInUse)
