"""The settings of `[metrics]` and `[drain]`, read and refused by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.settings.faults import Faults
from syncauth.server.settings.operations import (
    DrainSettings,
    MetricsSettings,
    read_drain,
    read_metrics,
)
from syncauth.server.settings.section import Section

HERE = Path("folder")


def metrics(**values: Any) -> MetricsSettings:
    """Read `[metrics]` with these settings."""
    faults = Faults()
    section = Section("metrics", values, faults)
    read = read_metrics(section, HERE)
    section.finish()
    faults.check()
    return read


def drain(**values: Any) -> DrainSettings:
    """Read `[drain]` with these settings."""
    faults = Faults()
    section = Section("drain", values, faults)
    read = read_drain(section)
    section.finish()
    faults.check()
    return read


def test_defaults_open_nothing() -> None:
    """Without the sections nobody reads metrics, and the server ends as the reference says."""
    assert metrics() == MetricsSettings(None, "", None)
    assert drain() == DrainSettings(20, 1, 500)


def test_settings_are_taken() -> None:
    """What is said holds; the token's file lies beside the configuration."""
    taken = metrics(port=9464, token_file="token")

    assert taken == MetricsSettings(9464, "", HERE / "token")
    assert metrics(port=0, token_env="TOKEN") == MetricsSettings(0, "TOKEN", None)
    assert drain(seconds=5, retry_after_seconds=0, reconnects_per_second=9) == DrainSettings(
        5, 0, 9
    )


@pytest.mark.parametrize(
    ("read", "values", "settings"),
    [
        (metrics, {"port": 65_536}, ["metrics.port"]),
        (metrics, {"port": "9464"}, ["metrics.port"]),
        (metrics, {"token_env": "A", "token_file": "b"}, ["metrics.token_file"]),
        (metrics, {"host": "::"}, ["metrics.host"]),
        (metrics, {"port": -1, "token_env": ""}, ["metrics.token_env", "metrics.port"]),
        (drain, {"seconds": -1}, ["drain.seconds"]),
        (drain, {"reconnects_per_second": 0}, ["drain.reconnects_per_second"]),
        (drain, {"to": "x", "seconds": True}, ["drain.seconds", "drain.to"]),
    ],
)
def test_what_cannot_be_used_is_named(
    read: Any, values: dict[str, Any], settings: list[str]
) -> None:
    """Values out of their range, two tokens and unknown settings are refused, all at once."""
    with pytest.raises(InvalidConfig) as refusal:
        read(**values)

    assert sorted(fault.setting for fault in refusal.value.faults) == sorted(settings)
