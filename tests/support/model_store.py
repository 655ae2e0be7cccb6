"""A credential store in a dictionary, written from the rules alone: it compares before it sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from syncauth.interfaces import StaleWrite
from syncauth.models import ReloginReason, Secret, SessionState, TokenPair
from syncauth.sansio import effects
from syncauth.sansio.effects import StoreWrite
from syncauth.sansio.records import StoredUser
from tests.support.stored_users import never_seen


class ModelStore:
    """What two processes share; a commit happens whole or not at all."""

    def __init__(self) -> None:
        self.users: dict[str, StoredUser] = {}
        self.fences: dict[str, int] = {}

    def load(self) -> tuple[StoredUser, ...]:
        """Return every user."""
        return tuple(self.users[user] for user in sorted(self.users))

    def raise_fence(self, user: str) -> tuple[int, StoredUser | None]:
        """Raise the fencing number of a user and return the user."""
        if user not in self.users:
            return 0, None
        self.fences[user] += 1
        return self.fences[user], self.users[user]

    def commit(self, writes: Sequence[StoreWrite]) -> None:
        """Do all writes, or none and raise `StaleWrite`."""
        before = dict(self.users)
        try:
            for write in writes:
                self._write(write)
        except StaleWrite:
            self.users = before
            raise

    def write_elsewhere(
        self, user: str, deed: str, pair: TokenPair, wall: float, episode: str
    ) -> None:
        """Write as another process does that knows what is stored; what it cannot do it leaves."""
        stored = self.users.get(user)
        if deed == "login":
            epoch = stored.epoch + 1 if stored else 1
            self._log_in(user, epoch, pair, wall)
        elif stored is None:
            return
        elif deed == "logout":
            self._change(
                user, **_ended(SessionState.LOGGED_OUT), epoch=stored.epoch + 1, current=False
            )
        elif deed == "removal":
            del self.users[user]
        elif stored.tokens is not None and deed == "end":
            ended = _ended(SessionState.REFRESH_EXPIRED)
            self._change(user, **ended | {"episode": episode, "reason": ReloginReason.REVOKED})
        elif stored.tokens is not None:
            self._change(user, tokens=pair, received_at=wall, refresh_id=None)

    def _write(self, write: StoreWrite) -> None:
        match write:
            case effects.PutLogin():
                login = write.login
                self._log_in(login.user_id, write.epoch, login.tokens, write.received_at)
            case effects.PutMark():
                self._expect(write.user_id, write.epoch, write.refresh_token, write.fence)
                self._change(write.user_id, refresh_id=write.refresh_id)
            case effects.PutTokens():
                self._expect(write.user_id, write.epoch, write.replaces, write.fence)
                received = write.received_at
                self._change(
                    write.user_id, tokens=write.tokens, received_at=received, refresh_id=None
                )
            case effects.PutExpired():
                self._expect(write.user_id, write.epoch, write.replaces, write.fence)
                ended = _ended(SessionState.REFRESH_EXPIRED)
                self._change(
                    write.user_id, **ended | {"episode": write.episode, "reason": write.reason}
                )
            case effects.PutLogout():
                if write.user_id not in self.users:
                    raise StaleWrite(write.user_id)
                ended = _ended(SessionState.LOGGED_OUT)
                self._change(write.user_id, **ended, epoch=write.epoch, current=False)
            case effects.PutCurrent():
                for user in self.users:
                    self._change(user, current=user == write.user_id)
            case effects.PutRemoval():
                self.users.pop(write.user_id, None)

    def _log_in(self, user: str, epoch: int, pair: TokenPair, wall: float) -> None:
        for other in self.users:
            self._change(other, current=False)
        self.fences.setdefault(user, 0)
        fresh = never_seen(user, state=SessionState.ACTIVE, epoch=epoch, current=True)
        self.users[user] = replace(fresh, tokens=pair, received_at=wall)

    def _expect(self, user: str, epoch: int, token: Secret, fence: int | None) -> None:
        stored = self.users.get(user)
        if stored is None or stored.epoch != epoch or fence not in {None, self.fences[user]}:
            raise StaleWrite(user)
        if stored.tokens is None or stored.tokens.refresh != token:
            raise StaleWrite(user)

    def _change(self, user: str, **fields: Any) -> None:
        self.users[user] = replace(self.users[user], **fields)


def _ended(state: SessionState) -> dict[str, Any]:
    return {"state": state, "tokens": None, "refresh_id": None, "episode": None, "reason": None}
