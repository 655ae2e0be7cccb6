"""
The settings of whoever runs the server: `[metrics]` and `[drain]`.

This module must never read the secret itself: it is read once, when the application is put together.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncauth.server.settings.section import Section

HIGHEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Who may read `/metrics`: nobody, unless there is a port, or a token from the environment or a file.

    With `port` it has a listener of its own on loopback; else whoever has the token reads it beside the API.
    """

    port: int | None = None
    token_env: str = ""
    token_file: Path | None = None


@dataclass(frozen=True, slots=True)
class DrainSettings:
    """How the server ends: within how many seconds, and when and how fast devices come back."""

    seconds: int = 20
    retry_after_seconds: int = 1
    reconnects_per_second: int = 500


def read_metrics(section: Section, folder: Path) -> MetricsSettings:
    """Read `[metrics]`; `token_file` is relative to `folder`."""
    has_port = "port" in section.names()
    port = section.integer("port", 0, low=0, high=HIGHEST_PORT)
    token_env, token_file = section.secret("token", folder)
    return MetricsSettings(port if has_port else None, token_env, token_file)


def read_drain(section: Section) -> DrainSettings:
    """Read `[drain]`."""
    standard = DrainSettings()
    return DrainSettings(
        seconds=section.integer("seconds", standard.seconds, low=0, high=3_600),
        retry_after_seconds=section.integer(
            "retry_after_seconds", standard.retry_after_seconds, low=0, high=3_600
        ),
        reconnects_per_second=section.integer(
            "reconnects_per_second", standard.reconnects_per_second, low=1, high=100_000
        ),
    )
