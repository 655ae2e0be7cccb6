"""
What `syncauth doctor` found, as JSON for programs and as text for people.

This module must never look at anything itself.
"""

from __future__ import annotations

from typing import Any, Final

from syncauth.adapters.locks_holders import Holder
from syncauth.adapters.sessions_seen import StoreSeen
from syncauth.cli.directory import UserFile
from syncauth.cli.doctor import EXPLAINED, Examination, Finding, told_skew
from syncauth.cli.exits import Exit
from syncauth.cli.tables import clean, moment, pairs, table

GUEST: Final = "(guest)"
"""What tables show for the guest, who has no id."""


def open_in(holder: Holder | None) -> str | None:
    """Return where a file is open, for a table."""
    if holder is None:
        return None
    return "yes" if holder.pid is None else f"pid {holder.pid}"


def document(found: Examination) -> dict[str, Any]:
    """Return an examination as JSON has it."""
    store = found.store or StoreSeen()
    return {
        "data": found.path,
        "keys": {"protection": store.protection, "state": found.keys},
        "users": [
            {
                "user": user.user_id,
                "current": user.current,
                "state": user.state.value,
                "meaning": EXPLAINED[user.state],
                "reason": None if user.reason is None else user.reason.value,
                "since": moment(user.since),
            }
            for user in store.users
        ],
        "locks": [{"lock": kind, "of": of, "pid": holder.pid} for kind, of, holder in found.locks],
        "stuck": [_stuck(file) for file in found.files],
        "revocations": store.revocations,
        "removals": list(store.removals),
        "clock": None
        if found.server is None
        else {
            "server": found.server,
            "reachable": found.skew is not None,
            "skew_seconds": None if found.skew is None else round(found.skew.seconds, 1),
            "uncertainty_seconds": None if found.skew is None else round(found.skew.uncertainty, 1),
        },
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


def _stuck(file: UserFile) -> dict[str, Any]:
    seen = file.seen
    owner = None if seen is None else seen.owner
    return {
        "path": file.path,
        "user": None if owner is None else owner.user,
        "guest": owner is not None and owner.user is None,
        "outbox": None if seen is None else seen.outbox,
        "in_flight": None if seen is None else seen.in_flight,
        "oldest": None if seen is None else moment(seen.oldest_at),
        "dead_letters": None if seen is None else seen.refused,
        "waiting": None if seen is None else seen.waiting,
    }


def text(found: Examination) -> str:
    """Return an examination for people."""
    told = document(found)
    clock = "not compared; give --server"
    if found.server is not None:
        clock = "the server cannot be reached" if found.skew is None else told_skew(found.skew)
    summary = [
        ("data", told["data"]),
        ("keys", f"{told['keys']['protection'] or 'none'}: {told['keys']['state']}"),
        ("clock", clock),
        ("to be revoked", told["revocations"]),
        ("to be deleted", len(told["removals"])),
    ]
    users = [(each["user"], each["state"], each["meaning"]) for each in told["users"]]
    locks = [(kind, of, open_in(holder)) for kind, of, holder in found.locks]
    stuck = [
        (
            GUEST if each["guest"] else each["user"],
            each["outbox"],
            each["in_flight"],
            None if each["dead_letters"] is None else sum(each["dead_letters"].values()),
            each["oldest"],
            each["path"],
        )
        for each in told["stuck"]
    ]
    sections = [
        pairs(summary),
        table(("user", "state", "meaning"), users, empty="Nobody has logged in on this device."),
        table(("lock", "of", "held by"), locks, empty="No lock is held."),
        table(
            ("user", "outbox", "in flight", "refused", "oldest", "file"),
            stuck,
            empty="No user has a file.",
        ),
        "\n".join(map(told_finding, found.findings)) or "Nothing was found.",
    ]
    return "\n\n".join(sections)


def told_finding(finding: Finding) -> str:
    """Return a finding as people read it."""
    mark = "note" if finding.exit_code is Exit.OK else "trouble"
    remedy = f". {finding.remedy}" if finding.remedy else ""
    return clean(f"{mark} {finding.code}: {finding.what}{remedy}")
