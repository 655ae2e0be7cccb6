"""`syncauth server backup` and `restore`, from the shell, beside a server that runs."""

from __future__ import annotations

from pathlib import Path

from tests.support.app_bench import SERVER_SCHEMA
from tests.support.commands import run
from tests.support.processes import Server, configure


def test_a_backup_goes_back(tmp_path: Path) -> None:
    """Made while the server runs, put back after its end; what was there is named and kept."""
    configure(tmp_path, SERVER_SCHEMA, "[tables.notes]")
    data, target = tmp_path / "data", tmp_path / "b.db"
    with Server(tmp_path) as server:
        made = run("server", "backup", "--data", data, "--to", target, "--json")
        assert made.code == 0, made
        assert made.document["bytes"] == target.stat().st_size
        again = run("server", "backup", "--data", data, "--to", target)
        assert (again.code, "already" in again.err) == (4, True)
        busy = run("server", "restore", "--data", data, "--from", target, "--json")
        assert (busy.code, busy.document["error"]["type"]) == (4, "FileInUse")
        server.kill()

    done = run("server", "restore", "--data", data, "--from", target, "--json")

    assert done.code == 0, done
    assert done.document["backed_up_at"] == made.document["at"]
    assert Path(done.document["replaced"]).exists()
    with Server(tmp_path):
        pass


def test_what_is_no_backup_is_told(tmp_path: Path) -> None:
    """In words for people on stderr, with 4."""
    (tmp_path / "letter").write_text("no database" * 1000)

    ended = run("server", "restore", "--data", tmp_path / "data", "--from", tmp_path / "letter")

    assert (ended.code, ended.out) == (4, "")
    assert f"{tmp_path / 'letter'} is damaged or no database" in ended.err


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    """Whoever mistypes one of two paths is told which, and nothing is made."""
    absent = tmp_path / "absent"

    restored = run("server", "restore", "--data", tmp_path / "data", "--from", absent)
    backed_up = run("server", "backup", "--data", tmp_path / "data", "--to", tmp_path / "copy")

    assert (restored.code, backed_up.code) == (4, 4)
    assert f"there is no file {absent}" in restored.err
    assert f"there is no file {tmp_path / 'data' / 'server.db'}" in backed_up.err
    assert list(tmp_path.iterdir()) == []
