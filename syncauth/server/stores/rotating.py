"""
What a presented refresh token is good for: judged over the state of its session, which changes as it is judged.

Several tokens of one session may be judged one after the other over the same state, and only then does a store write
it down. This module must never touch a database or read a clock, and never see a token, only hashes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from syncauth.server.stores.interface import (
    Rotated,
    Rotation,
    RotationOutcome,
    SessionRecord,
    SessionStatus,
)

REUSE_DETECTED: Final = "reuse_detected"


@dataclass(slots=True)
class HeldSession:
    """A session as a store holds it; `token`, `spent` and `refresh_id` as in the table.

    `changed` tells whether its hashes have to be written, `reused` whether it has to be ended, and at what time.
    """

    record: SessionRecord
    user_state: str
    ended: bool
    token: bytes = field(repr=False)
    spent: bytes | None = field(repr=False)
    refresh_id: bytes | None = field(repr=False)
    changed: bool = False
    reused_at: float | None = None

    def status(self, now: float) -> SessionStatus:
        """Return what the session is good for; of several cases the one that a person can do least about."""
        if self.user_state == "removed":
            return SessionStatus.USER_REMOVED
        if self.user_state == "disabled":
            return SessionStatus.USER_DISABLED
        if self.ended:
            return SessionStatus.REVOKED
        return SessionStatus.ACTIVE if now < self.record.expires_at else SessionStatus.EXPIRED


def judge(held: HeldSession | None, wanted: Rotation) -> Rotated:
    """Judge one presented token; `held` becomes what has to be written down, None is a session that is not known."""
    if held is None:
        return Rotated(RotationOutcome.ENDED, None, SessionStatus.REVOKED.value)
    status = held.status(wanted.now)
    if status is not SessionStatus.ACTIVE:
        why = held.record.end_reason if status is SessionStatus.REVOKED else None
        return Rotated(RotationOutcome.ENDED, held.record, why or status.value)
    if held.token == wanted.presented:
        if not held.record.rotates:
            return Rotated(RotationOutcome.STANDS, held.record)
        held.spent, held.refresh_id = wanted.presented, wanted.refresh_id
    elif not _is_repeat(held, wanted):
        held.ended, held.changed, held.reused_at = True, False, wanted.now
        held.record = replace(held.record, end_reason=REUSE_DETECTED)
        return Rotated(RotationOutcome.REUSED, held.record, REUSE_DETECTED)
    held.token, held.changed = wanted.successor, True
    return Rotated(RotationOutcome.ROTATED, held.record)


def _is_repeat(held: HeldSession, wanted: Rotation) -> bool:
    """Tell whether the answer was lost: the successor is unused while the token before it is the last one spent.

    Without a refresh id there is no repeat.
    """
    known = wanted.refresh_id is not None and held.refresh_id == wanted.refresh_id
    return known and held.spent == wanted.presented
