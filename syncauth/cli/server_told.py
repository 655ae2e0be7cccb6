"""
What `syncauth server doctor` found, as JSON for programs and as text for people.

This module must never look at anything itself.
"""

from __future__ import annotations

from typing import Any

from syncauth.cli.doctor_told import told_finding
from syncauth.cli.server_findings import Examination
from syncauth.cli.tables import moment, pairs


def document(found: Examination) -> dict[str, Any]:
    """Return an examination as JSON has it."""
    file, backup = found.file, found.backup
    return {
        "data": str(found.data),
        "config": str(found.config),
        "file": None
        if file is None
        else {
            "path": str(file.path),
            "bytes": file.size,
            "log_bytes": file.log,
            "free_bytes": file.free,
            "format": file.format,
            "restores": file.restores,
        },
        "users": {} if file is None else file.users,
        "sessions": None if file is None else {"active": file.active, "unswept": file.unswept},
        "devices": None if file is None else file.devices,
        "open": found.holder is not None,
        "pid": None if found.holder is None else found.holder.pid,
        "server": found.server,
        "healthy": found.healthy,
        "backup": None if backup is None else {"at": moment(backup.at), "file": backup.file},
        "findings": [
            {
                "code": each.code,
                "exit_code": int(each.exit_code),
                "what": each.what,
                "remedy": each.remedy,
            }
            for each in found.findings
        ],
        "exit_code": int(found.exit_code),
    }


def text(found: Examination) -> str:
    """Return an examination as people read it."""
    findings = "\n".join(map(told_finding, found.findings)) or "Nothing was found."
    return f"{pairs(_facts(found))}\n\n{findings}"


def _facts(found: Examination) -> list[tuple[str, Any]]:
    file, holder = found.file, found.holder
    facts: list[tuple[str, Any]] = [("data", found.data), ("config", found.config)]
    if file is not None:
        users = ", ".join(f"{count} {state}" for state, count in file.users.items())
        facts += [
            ("file", f"{file.size // 1_000} kB, log {file.log // 1_000} kB, format {file.format}"),
            ("disk", f"{file.free // 1_000_000} MB left"),
            ("users", users or "none"),
            ("sessions", f"{file.active} active"),
            ("devices", file.devices),
            ("restores", file.restores),
        ]
    open_in = "no" if holder is None else "yes" if holder.pid is None else f"pid {holder.pid}"
    facts.append(("open", open_in))
    if found.healthy is not None:
        facts.append(("server", f"{found.server} {'is well' if found.healthy else 'is not well'}"))
    backup = None if found.backup is None else f"{moment(found.backup.at)} {found.backup.file}"
    facts.append(("last backup", backup))
    return facts
