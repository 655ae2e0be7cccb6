"""
Rotations of refresh tokens in the server's SQLite file: many in one transaction, in a handful of statements.

Each statement gives the processor to another thread and has to win it back, which under load takes longer than the
statement. So all sessions of a group are read in one step, judged in Python (`rotating`), and written in one step.
This module must never see a token, only hashes, and never read a clock.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

import msgspec

from syncauth.server.stores.account_tables import AccountTables, json_object
from syncauth.server.stores.interface import Rotated, Rotation, RotationOutcome, SessionRecord
from syncauth.server.stores.rotating import REUSE_DETECTED, HeldSession, judge

# The whole group as one value: JSON has no blobs, and too few digits for a number of 64 bits.
_READ: Final = (
    "SELECT json_group_array(json_array(s.id, s.user_id, s.device_id, s.identity_id,"
    " s.provider_type, s.rotates, printf('%!.17g', s.expires_at), s.end_reason, u.custom_data,"
    " u.state, s.ended_at IS NOT NULL, hex(s.token), hex(s.spent), hex(s.refresh_id)))"
    " FROM json_each(?) AS wanted CROSS JOIN _sync_sessions AS s ON s.id = wanted.value"
    " CROSS JOIN _sync_users AS u ON u.id = s.user_id"
)


class _Row(msgspec.Struct, array_like=True, frozen=True):
    session_id: str
    user_id: str
    device_id: str
    identity_id: str
    provider_type: str
    rotates: int
    expires_at: str
    end_reason: str | None
    custom_data: str | None
    user_state: str
    ended: int
    token: str
    spent: str
    refresh_id: str

    def __repr__(self) -> str:
        return "_Row(…)"

    def held(self) -> HeldSession:
        """Return the session as it is judged; no hash is empty, so that an empty text is NULL."""
        record = SessionRecord(
            session_id=self.session_id,
            user_id=self.user_id,
            device_id=self.device_id,
            identity_id=self.identity_id,
            provider_type=self.provider_type,
            rotates=bool(self.rotates),
            expires_at=float(self.expires_at),
            end_reason=self.end_reason,
            custom_data=json_object(self.custom_data),
        )
        return HeldSession(
            record,
            self.user_state,
            bool(self.ended),
            bytes.fromhex(self.token),
            bytes.fromhex(self.spent) or None,
            bytes.fromhex(self.refresh_id) or None,
        )


_ROWS: Final = msgspec.json.Decoder(list[_Row])


class SqliteRotations(AccountTables):
    """The rotations' part of the `AccountStore`."""

    def rotate(
        self,
        session_id: str,
        *,
        presented: bytes,
        refresh_id: bytes | None,
        successor: bytes,
        now: float,
    ) -> RotationOutcome:
        """Judge a presented refresh token; see `AccountStore.rotate`."""
        (rotated,) = self.rotate_all([Rotation(session_id, presented, refresh_id, successor, now)])
        return rotated.outcome

    def rotate_all(self, rotations: Sequence[Rotation]) -> list[Rotated]:
        """Judge several one after the other, and keep them in one transaction."""
        with self._transaction():
            held = self._read_held({each.session_id for each in rotations})
            judged = [judge(held.get(each.session_id), each) for each in rotations]
            changed = [each for each in held.values() if each.changed]
            if changed:
                self._write_held(changed)
            for each in held.values():
                if each.reused_at is not None:
                    self._end(each.reused_at, REUSE_DETECTED, session=each.record.session_id)
        return judged

    def _read_held(self, session_ids: set[str]) -> dict[str, HeldSession]:
        wanted = msgspec.json.encode(sorted(session_ids)).decode()
        row = self._one(_READ, wanted)
        rows = [] if row is None else _ROWS.decode(row[0])
        return {each.session_id: each.held() for each in rows}

    def _write_held(self, changed: Sequence[HeldSession]) -> None:
        values: list[object] = []
        for each in changed:
            values += (each.record.session_id, each.token, each.spent, each.refresh_id)
        self._connection.execute(_write(len(changed)), values)


@functools.cache
def _write(count: int) -> str:
    """Return the statement that writes so many sessions."""
    rows = ", ".join(["(?, ?, ?, ?)"] * count)
    return (
        "UPDATE _sync_sessions SET token = new.column2, spent = new.column3,"
        f" refresh_id = new.column4 FROM (VALUES {rows}) AS new WHERE id = new.column1"
    )
