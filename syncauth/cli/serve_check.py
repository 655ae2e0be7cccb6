"""
What `syncauth serve --check` prints: every fault of a configuration and of what it names, for people or as JSON.

This module must never start a server, nor touch its data directory.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from syncauth.cli.exits import Exit
from syncauth.cli.tables import as_json, clean
from syncauth.errors import ConfigFault, InvalidConfig, StorageError
from syncauth.server.checking import Checked, check_config
from syncauth.server.settings.config import located, read_config
from syncauth.server.settings.faults import told


def report(config_path: Path, *, json: bool) -> Exit:
    """Check the file and print what was found; returns how the command ends, with 0 or 2."""
    try:
        # What the team's modules print while they are imported is none of our output.
        with contextlib.redirect_stdout(sys.stderr):
            found = _checked(config_path)
    except InvalidConfig as error:
        found = Checked(error.faults, ())
    except (StorageError, OSError) as error:
        found = Checked((ConfigFault("", f"it cannot be checked: {error}"),), ())
    if json:
        document = {
            "config": str(config_path),
            "ok": not found.faults,
            "faults": [_document(fault) for fault in found.faults],
            "warnings": [_document(warning) for warning in found.warnings],
        }
        click.echo(as_json(document))
    else:
        _print(config_path, found)
    return Exit.USAGE if found.faults else Exit.OK


def _checked(config_path: Path) -> Checked:
    config = read_config(config_path)
    sys.path.insert(0, str(config_path.resolve().parent))
    logging.disable(logging.CRITICAL)  # what is logged at a start is told as a warning here
    try:
        found = check_config(config)
    finally:
        logging.disable(logging.NOTSET)
    return Checked(_with_lines(found.faults, config_path), _with_lines(found.warnings, config_path))


def _with_lines(faults: tuple[ConfigFault, ...], path: Path) -> tuple[ConfigFault, ...]:
    if not faults:
        return ()
    return located(InvalidConfig("", setting="", faults=faults), path).faults


def _print(config_path: Path, found: Checked) -> None:
    _print_lines(config_path, found.faults, "")
    _print_lines(config_path, found.warnings, "warning: ")
    if not found.faults:
        click.echo(f"{config_path}: no fault")


def _print_lines(path: Path, faults: Iterable[ConfigFault], kind: str) -> None:
    for fault in faults:
        line = "" if fault.line is None else f"{fault.line}:"
        bare = ConfigFault(fault.setting, fault.why, fault.remedy)
        click.echo(clean(f"{path}:{line} {kind}{told(bare)}"), err=True)


def _document(fault: ConfigFault) -> dict[str, Any]:
    return {
        "line": fault.line,
        "setting": fault.setting,
        "why": fault.why,
        "remedy": fault.remedy,
    }
