"""Secrets come from the environment or from files, as containers and systemd give them, and are shown nowhere (I10)."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncauth.errors import InvalidConfig
from syncauth.models import Secret
from syncauth.server.accounts import secret_sources
from syncauth.server.accounts.secret_sources import exposure, read_key, read_secret

WORD = "hunter2-hunter2"


@pytest.fixture
def file() -> Iterator[Path]:
    """A file with a secret, in a folder that everybody may enter; the folders of tests are closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "secret"
        path.write_text(f"{WORD}\n")
        path.chmod(0o600)
        yield path


def refused(file: Path) -> InvalidConfig:
    """Return the error of reading a secret from the file; it never shows the secret."""
    with pytest.raises(InvalidConfig) as caught:
        read_secret("mail.smtp_password", env="", file=file)
    assert caught.value.setting == "mail.smtp_password_file"
    assert WORD not in str(caught.value)
    assert caught.value.remedy
    return caught.value


def test_both_sources_give_the_same(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newline that editors and `echo` put at the end is not part of a secret; other space is."""
    monkeypatch.setenv("WORD", f" {WORD}\r\n")

    assert read_secret("a.b", env="WORD", file=None) == Secret(f" {WORD}")
    assert read_secret("a.b", env="", file=file) == Secret(WORD)
    file.write_bytes(b"\xff\xfe")
    assert read_key("a.b", env="", file=file) == b"\xff\xfe"


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing or empty is told by its setting, before anything starts."""
    monkeypatch.delenv("WORD", raising=False)
    with pytest.raises(InvalidConfig, match="WORD") as caught:
        read_secret("a.b", env="WORD", file=None)
    assert caught.value.setting == "a.b_env"
    monkeypatch.setenv("WORD", "")

    with pytest.raises(InvalidConfig, match="empty"):
        read_secret("a.b", env="WORD", file=None)


def test_files_that_cannot_be_secrets_are_refused(file: Path) -> None:
    """Missing, a folder, empty, far too large, no text: each is told, and no content with it."""
    assert "cannot be read" in str(refused(file.parent / "none"))
    assert "is no file" in str(refused(file.parent))
    file.write_text("\n")
    assert "empty" in str(refused(file))
    file.write_text(WORD * 10_000)
    assert "larger" in str(refused(file))
    file.write_bytes(WORD.encode() + b"\xff")
    assert "no text" in str(refused(file))


def test_a_file_that_others_may_change_is_refused(file: Path) -> None:
    """Who can write it could put in a key of their own, be it public or not."""
    file.chmod(0o602)

    assert "can be changed" in str(refused(file))
    with pytest.raises(InvalidConfig):
        read_key("a.b", env="", file=file, public=True)


def test_a_file_that_others_may_read_is_told_in_the_log(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """I10: the server starts, since runtimes choose modes for themselves, and the log names the file alone."""
    read_secret("a.b", env="", file=file)
    assert caplog.text == ""
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        read_key("a.b", env="", file=file, public=True)
        assert caplog.text == ""
        read_secret("a.b", env="", file=file)

    assert f"a.b_file: {file} can be read by every user of this machine (mode 0644)" in caplog.text
    assert WORD not in caplog.text


def test_what_nobody_can_reach_is_not_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed folder closes what is in it (systemd), and containers have one place for their secrets."""
    file.chmod(0o444)
    assert exposure(file) is not None
    file.parent.chmod(0o700)
    assert exposure(file) is None
    file.parent.chmod(0o755)
    # Kubernetes mounts links to files.
    link = file.with_name("link")
    link.symlink_to(file)
    assert exposure(link) is not None
    monkeypatch.setattr(secret_sources, "OF_CONTAINERS", file.parent)

    assert exposure(file) is None
    assert exposure(link) is None
    assert exposure(file.parent / "none") is None
