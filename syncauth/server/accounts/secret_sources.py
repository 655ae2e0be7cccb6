"""
Secrets that the settings name by an environment variable or a file, read at the start.

What container runtimes and systemd hand over is taken as they hand it over. A file that others may change is refused,
since they could put a key of their own there; one that others may read is told in the log. This module must never put
a part of a secret into a text.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Final

from syncauth.models import Secret
from syncauth.server.settings.section import refusal

LOGGER: Final = logging.getLogger("syncauth.server.accounts.secret_sources")

LARGEST: Final = 64_000
"""Bytes; what is larger is no secret but a mistake."""

OF_CONTAINERS: Final = Path("/run/secrets")
"""Where container runtimes put secrets, by default readable by all of the container (0444), which has one program."""


def read_secret(setting: str, *, env: str, file: Path | None) -> Secret:
    """Return the text of `<setting>_env` or `<setting>_file`, without the newline at its end.

    Raises:
        InvalidConfig: as `read_key`, or it is no text.
    """
    content = read_key(setting, env=env, file=file)
    try:
        return Secret(content.decode())
    except UnicodeDecodeError:
        # Not "from": it holds the content.
        name = _name(setting, file)
        raise refusal(name, "it is no text in UTF-8", "Give the right one") from None


def read_key(setting: str, *, env: str, file: Path | None, public: bool = False) -> bytes:
    """Return the bytes of `<setting>_env` or `<setting>_file`, without the newline at their end.

    A key that is public may be read by anybody, but changed by nobody else.

    Raises:
        InvalidConfig: it is not there, empty or too large, or others may change its file.
    """
    name = _name(setting, file)
    if file is None:
        text = os.environ.get(env)
        if text is None:
            why = f"there is no environment variable {env}"
            raise refusal(name, why, "Set it before the server starts")
        content = text.encode("utf-8", "surrogateescape")
    else:
        content = _content(name, file)
        if not public and (told := exposure(file)) is not None:
            LOGGER.warning("%s: %s", name, told)
    content = content.rstrip(b"\r\n")
    if not content:
        raise refusal(name, "it is empty", "Put the secret there")
    return content


def _name(setting: str, file: Path | None) -> str:
    return f"{setting}_env" if file is None else f"{setting}_file"


def exposure(file: Path) -> str | None:
    """Say how others on the machine may read a file, or None if they may not.

    Who may not enter a folder above it cannot read it, whatever its own mode says; credentials of systemd lie so.
    """
    try:
        real = file.resolve()
        mode = real.stat().st_mode
        closed = any(not folder.stat().st_mode & stat.S_IXOTH for folder in real.parents)
    except OSError:
        return None
    if not mode & stat.S_IROTH or closed or OF_CONTAINERS in (*file.parents, *real.parents):
        return None
    return f"{file} can be read by every user of this machine (mode {stat.S_IMODE(mode):04o}); chmod it to 0600"


def _content(name: str, file: Path) -> bytes:
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise refusal(name, f"{file} is no file", "Give the path of a file with the secret")
        if status.st_mode & stat.S_IWOTH:
            why = f"{file} can be changed by every user of this machine"
            raise refusal(name, why, "Look at what is in it, and chmod it to 0600")
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        remedy = "Put the secret there, readable by the user that the server runs as"
        raise refusal(name, f"{file} cannot be read: {error.strerror}", remedy) from error
    if len(content) > LARGEST:
        raise refusal(name, f"{file} is larger than {LARGEST} bytes", "Give the right file")
    return content
