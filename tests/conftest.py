"""What tests measured and drew is printed at the end of a run, whichever process ran them."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Where a change is judged the examples are the same on every run; elsewhere each run looks for new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

FIGURES = "figures"
"""The property by which a test tells its figures: `record_property(FIGURES, text)`."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of all tests, passed or failed."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, text in getattr(report, "user_properties", []):
                if name == FIGURES:
                    terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {text}")
