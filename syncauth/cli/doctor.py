"""
What `syncauth doctor` looks at in a data directory, and what it finds.

A finding has the exit code that it would end the command with; 0 is a note. This module must never change anything,
and never speak to anybody but the server whose clock is compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from syncauth.adapters.http_date import Skew, measure_skew
from syncauth.adapters.keys import check_keys
from syncauth.adapters.locks_holders import Holder
from syncauth.adapters.randomness import SystemRandomness
from syncauth.adapters.sessions_seen import StoreSeen
from syncauth.cli.directory import DataDirectory, UserFile, Wanted
from syncauth.cli.exits import Exit, code_of, gravest
from syncauth.cli.tables import moment, span
from syncauth.errors import ServerUnreachable, StorageError, SyncAuthError, UnexpectedAnswer
from syncauth.interfaces import Clock
from syncauth.models import SessionState
from syncauth.replica.files import Owner

CLOCK_DEADLINE: Final = 10.0
SKEW_SECONDS: Final = 60.0
"""A clock further ahead has its stamps lowered by the server, and one behind loses conflicts."""

EXPLAINED: Final = {
    SessionState.LOGGED_OUT: "no token is on this device; local rows stay, nothing is sent",
    SessionState.ACTIVE: "logged in; the access token is renewed when it is used",
    SessionState.REFRESHING: "a refresh was begun and has no answer yet; it is tried again by itself",
    SessionState.REFRESH_EXPIRED: "the server ended the session; local work goes on, sync waits for a login",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody should know, and what to do about it."""

    code: str
    exit_code: Exit
    what: str
    remedy: str = ""


@dataclass(slots=True)
class Examination:
    """What was looked at; `now` is this device's wall clock."""

    path: str
    now: float
    store: StoreSeen | None = None
    keys: str = ""
    files: list[UserFile] = field(default_factory=list)
    locks: list[tuple[str, str, Holder]] = field(default_factory=list)
    server: str | None = None
    skew: Skew | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def exit_code(self) -> Exit:
        """The code of the gravest finding."""
        return gravest([each.exit_code for each in self.findings])

    def note(self, code: str, what: str, remedy: str = "", grave: Exit = Exit.OK) -> None:
        """Add a finding."""
        self.findings.append(Finding(code, grave, what, remedy))

    def trouble(self, code: str, error: SyncAuthError) -> None:
        """Add a finding that is an error."""
        what = f"{error.what}: {error.why}" if error.why else error.what
        self.note(code, what, error.remedy, code_of(error))


def examine(directory: DataDirectory, clock: Clock, keyring_seconds: float) -> Examination:
    """Look at everything on the disk.

    Raises:
        StorageError: there is no such directory.
    """
    directory.check()
    found = Examination(str(directory.path), clock.wall())
    try:
        found.store = directory.store()
    except StorageError as error:
        found.trouble("store_unreadable", error)
    found.files = directory.files(Wanted())
    _look_at_keys(found, directory, keyring_seconds)
    _look_at_locks(found, directory)
    _judge_sessions(found)
    _judge_files(found)
    return found


async def compare_clocks(found: Examination, server: str, clock: Clock) -> None:
    """Compare this clock with the server's; a server that cannot be reached is a finding.

    Raises:
        InvalidConfig, InsecureServer: the URL cannot be used; nothing was sent.
    """
    found.server = server
    try:
        found.skew = await measure_skew(server, clock, deadline=CLOCK_DEADLINE)
    except (ServerUnreachable, UnexpectedAnswer) as error:
        found.trouble("server_unreachable", error)
        return
    if abs(found.skew.seconds) > SKEW_SECONDS + found.skew.uncertainty:
        found.note("clock_skew", told_skew(found.skew), "Set this device's clock", Exit.PERSON)


def _look_at_keys(found: Examination, directory: DataDirectory, seconds: float) -> None:
    store = found.store
    if store is None or store.protection is None:
        found.keys = "not known" if store is None else "not chosen yet: nobody has logged in"
        return
    try:
        check_keys(
            directory.path,
            store.name or "",
            store.protection,
            randomness=SystemRandomness(),
            seconds=seconds,
        )
    except StorageError as error:
        found.keys = "cannot be had now"
        found.trouble("keys_unavailable", error)
    else:
        in_memory = store.protection == "memory"
        found.keys = "gone with the process that made them" if in_memory else "there"


def _look_at_locks(found: Examination, directory: DataDirectory) -> None:
    try:
        opening = directory.opening()
        if opening is not None:
            found.locks.append(("opening", found.path, opening))
        for user in found.store.users if found.store else ():
            holder = directory.refreshing(user)
            if holder is not None:
                found.locks.append(("refresh", user.user_id, holder))
    except StorageError as error:
        found.trouble("locks_unreadable", error)
    found.locks += [("replica", file.path, file.holder) for file in found.files if file.holder]


def _judge_sessions(found: Examination) -> None:
    store = found.store
    if store is None:
        return
    for user in store.users:
        if user.state is SessionState.REFRESH_EXPIRED:
            why = "" if user.reason is None else f", reason {user.reason.value}"
            what = f"user {user.user_id} must log in again since {moment(user.since)}{why}"
            found.note("relogin_required", what, "Log in, in the app or here", Exit.PERSON)
    if store.revocations:
        what = f"{store.revocations} sessions that were logged out are still to be revoked"
        found.note("revocations_wait", what, "Run the app while there is a network")
    if store.removals:
        what = f"the files of {len(store.removals)} removed users are still to be deleted"
        found.note("removals_wait", what, "Close what has them open, then run the app")
    if store.erasing:
        what = "the log of the credential store is still to be truncated after a logout"
        found.note("erasing_waits", what, "Run the app")


def _judge_files(found: Examination) -> None:
    states = {user.user_id: user.state for user in found.store.users} if found.store else {}
    for file in found.files:
        seen = file.seen
        if seen is None:
            if file.trouble is not None:
                found.trouble("file_unreadable", file.trouble)
            continue
        if file.misplaced:
            what = f"{file.path} lies under the name of another owner's file: no app finds it"
            found.note("file_misplaced", what, "Put it back where it came from", Exit.STORAGE)
        if seen.pending:
            age = (
                ""
                if seen.oldest_at is None
                else f", the oldest for {span(found.now - seen.oldest_at)}"
            )
            what = f"{seen.pending} changes in {file.path} wait{age}"
            found.note("changes_wait", what, _why_waiting(file, seen.owner, states))
        if seen.refused:
            codes = ", ".join(f"{count} {code}" for code, count in seen.refused.items())
            what = f"the server refused {seen.dead_letters} changes in {file.path}: {codes}"
            found.note("changes_refused", what, "The app finds them in replica.dead_letters()")


def _why_waiting(file: UserFile, owner: Owner | None, states: dict[str, SessionState]) -> str:
    """Say what the changes wait for."""
    if owner is None or owner.user is None:
        return "They are the guest's, until a user who has logged in adopts them"
    if states.get(owner.user) in (SessionState.REFRESH_EXPIRED, SessionState.LOGGED_OUT, None):
        return "They are sent after the user's next login"
    if file.holder is None:
        return "No app has the file open; they are sent when one opens it"
    return "They are sent when the app reaches the server"


def told_skew(skew: Skew) -> str:
    """Say which clock is ahead, and by how much."""
    if abs(skew.seconds) <= skew.uncertainty:
        return f"this clock agrees with the server's (± {skew.uncertainty:.1f} s)"
    side = "behind" if skew.seconds > 0 else "ahead of"
    return f"this clock is {span(skew.seconds)} {side} the server's (± {skew.uncertainty:.1f} s)"
