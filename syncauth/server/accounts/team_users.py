"""
What the team's own code may ask about users: a session for one it has signed in, whose token this is, an end.

Refusals are typed errors here, since no client waits for an answer. This module must never show a token in a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncauth.errors import CredentialsRefused, InvalidConfig, ServerBusy, TokenRefused
from syncauth.interfaces import Clock
from syncauth.models import Secret
from syncauth.server.accounts.answers import ACCESS_EXPIRED, Denied
from syncauth.server.accounts.logins import CUSTOM_FUNCTION, LONGEST_ID, Logins
from syncauth.server.accounts.sessions import ClientOptions, Sessions
from syncauth.server.stores.interface import AccountStore
from syncauth.server.stores.subjects import read_subject_session
from syncauth.server.stores.thread import StoreThread

ADDRESS = "the team"


@dataclass(frozen=True, slots=True)
class Tokens:
    """A session that `SyncServer.log_in` has opened; neither token is printed.

    `user_id` is the user's id here. `life_ms` is what is left of the access token, in milliseconds.
    """

    user_id: str
    device_id: str
    access_token: Secret
    refresh_token: Secret
    life_ms: int

    def reveal(self) -> dict[str, Any]:
        """Return the body of an App Services login, ready for JSON: the tokens in clear text."""
        return {
            "access_token": self.access_token.reveal(),
            "refresh_token": self.refresh_token.reveal(),
            "user_id": self.user_id,
            "device_id": self.device_id,
            "life_ms": self.life_ms,
            "expires_in": self.life_ms // 1000,
        }


@dataclass(frozen=True, slots=True)
class VerifiedUser:
    """Whose access token was verified; `expires_at`, the token's end, in wall-clock seconds.

    `custom_data` is what the token carries.
    """

    user_id: str
    session_id: str
    expires_at: float
    custom_data: Mapping[str, Any]


class TeamUsers:
    """The users of one app, for the team's code. Its methods run on the event loop."""

    def __init__(
        self,
        *,
        logins: Logins,
        sessions: Sessions,
        store: AccountStore,
        thread: StoreThread,
        clock: Clock,
    ) -> None:
        """Take the parts; all calls to `store` are made in `thread`."""
        self._logins = logins
        self._sessions = sessions
        self._store = store
        self._thread = thread
        self._clock = clock

    async def log_in(
        self, own_id: str, data: Mapping[str, Any], *, device_id: str | None, rotates: bool
    ) -> Tokens:
        """Open a session; see `SyncServer.log_in`."""
        if not isinstance(own_id, str) or not 0 < len(own_id) <= LONGEST_ID:
            remedy = f"Give a text of 1 to {LONGEST_ID} characters"
            raise InvalidConfig("this is no user's id", setting="own_id", remedy=remedy)
        options = ClientOptions(ADDRESS, device_id, rotate=rotates)
        login = await self._logins.admit_own(own_id, dict(data), options)
        if isinstance(login, Denied):
            raise _refusal(login)
        if login.refresh is None:  # a link only, which was not asked for
            raise TypeError
        return Tokens(
            login.user_id, login.device_id, login.access.text, login.refresh.text, login.life_ms
        )

    async def verify(self, token: Secret) -> VerifiedUser:
        """Check an access token and its session; see `SyncServer.verify`."""
        claims = await self._sessions.check_access(token)
        if isinstance(claims, Denied):
            told = "expired" if claims is ACCESS_EXPIRED else "invalid"
            raise TokenRefused(reason=claims.reason or told)
        custom_data = claims.custom_data or {}
        return VerifiedUser(claims.user_id, claims.session_id, claims.expires_at, custom_data)

    async def revoke(self, user_id: str) -> int:
        """End all sessions; see `SyncServer.revoke_user`."""
        now = self._clock.wall()
        ended = await self._thread.run(self._store.revoke_user, user_id, now)
        self._sessions.ended(ended)
        return sum(read_subject_session(each) is None for each in ended)

    async def user_id_of(self, own_id: str) -> str | None:
        """Find a user by the team's id; see `SyncServer.user_id_of`."""
        found = await self._thread.run(self._store.find_login, CUSTOM_FUNCTION, own_id)
        return None if found is None else found.user_id


def _refusal(denied: Denied) -> Exception:
    if denied.retry_after is not None or denied.status >= 500:  # noqa: PLR2004 - RFC 9110 section 15.6
        return ServerBusy("the login must wait", retry_after=denied.retry_after, why=denied.text)
    return CredentialsRefused(code=denied.code, why=denied.text)
