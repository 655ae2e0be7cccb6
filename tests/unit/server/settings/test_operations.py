"""The settings of `[metrics]` and `[drain]`, read and refused by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.settings.operations import (
    DrainSettings,
    MetricsSettings,
    read_drain,
    read_metrics,
)
from syncauth.server.settings.section import Section


def test_defaults_open_nothing(tmp_path: Path) -> None:
    """Without the sections nobody reads metrics, and the server ends as the reference says."""
    assert read_metrics(Section("metrics", {}), tmp_path) == MetricsSettings(None, None, None)
    assert read_drain(Section("drain", {})) == DrainSettings(20, 1, 500)


def test_settings_are_taken(tmp_path: Path) -> None:
    """What is said holds; the token's file lies beside the configuration."""
    metrics = read_metrics(Section("metrics", {"port": 9464, "token_file": "token"}), tmp_path)
    drain = {"seconds": 5, "retry_after_seconds": 0, "reconnects_per_second": 9}

    assert metrics == MetricsSettings(9464, None, tmp_path / "token")
    assert read_drain(Section("drain", drain)) == DrainSettings(5, 0, 9)


@pytest.mark.parametrize(
    ("section", "values", "setting"),
    [
        ("metrics", {"port": 65_536}, "metrics.port"),
        ("metrics", {"port": "9464"}, "metrics.port"),
        ("metrics", {"token_env": "A", "token_file": "b"}, "metrics.token_file"),
        ("metrics", {"host": "::"}, "metrics.host"),
        ("drain", {"seconds": -1}, "drain.seconds"),
        ("drain", {"reconnects_per_second": 0}, "drain.reconnects_per_second"),
        ("drain", {"to": "https://b.example.com"}, "drain.to"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, section: str, values: dict[str, Any], setting: str
) -> None:
    """A value out of its range, two tokens and unknown settings are refused."""

    def read() -> object:
        one = Section(section, values)
        return read_metrics(one, tmp_path) if section == "metrics" else read_drain(one)

    with pytest.raises(InvalidConfig) as refusal:
        read()

    assert refusal.value.setting == setting
