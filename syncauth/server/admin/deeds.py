"""
What an administrator does through the API: to users, sessions and lifetimes; each deed leaves a line in the log.

Every deed names the admin key that did it. Sessions that a deed ends are told to the open sockets and streams of this
process at once; other processes notice within a second. This module must never decide who is an administrator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from syncauth.interfaces import Clock
from syncauth.models import Secret
from syncauth.server.accounts.accounts import EMAIL_PASSWORD, Accounts
from syncauth.server.accounts.answers import Denied, bad_request, session_ended
from syncauth.server.accounts.issuer import AccessToken, Issuer
from syncauth.server.accounts.lifetimes import LiveLifetimes
from syncauth.server.accounts.sessions import Sessions
from syncauth.server.admin import audit
from syncauth.server.stores.admin_interface import (
    AccountRecord,
    AdminStore,
    Lifetime,
    OpenSession,
    UserFilter,
)
from syncauth.server.stores.thread import StoreThread

USER_NOT_FOUND: Final = Denied(404, "UserNotFound", "user not found")
SESSION_NOT_FOUND: Final = Denied(404, "SessionNotFound", "session not found")
EXPIRED: Final = "token expired"


class Deeds:
    """The deeds of administrators. Its methods run on the event loop."""

    def __init__(
        self,
        *,
        store: AdminStore,
        thread: StoreThread,
        sessions: Sessions,
        accounts: Accounts,
        lifetimes: LiveLifetimes,
        issuer: Issuer,
        clock: Clock,
    ) -> None:
        """Take the parts; all calls to `store` are made in `thread`."""
        self._store = store
        self._thread = thread
        self._sessions = sessions
        self._accounts = accounts
        self._lifetimes = lifetimes
        self._issuer = issuer
        self._clock = clock

    # --- looking ---------------------------------------------------------------------------------

    async def users(
        self, only: UserFilter, *, after: str | None, limit: int, descending: bool
    ) -> tuple[AccountRecord, ...]:
        """Return a page of users."""
        return await self._thread.run(
            lambda: self._store.accounts(only, after=after, limit=limit, descending=descending)
        )

    async def users_of_email(self, email: str) -> tuple[AccountRecord, ...]:
        """Return the user who has the email account, as a page of one or none."""
        login = await self._thread.run(self._store.find_login, EMAIL_PASSWORD, email)
        if login is None:
            return ()
        found = await self._thread.run(self._store.account, login.user_id)
        return () if found is None else (found,)

    async def user(self, user_id: str) -> AccountRecord | Denied:
        """Return one user."""
        found = await self._thread.run(self._store.account, user_id)
        return found or USER_NOT_FOUND

    async def sessions(self, user_id: str) -> tuple[OpenSession, ...] | Denied:
        """Return the sessions of a user that are active."""
        if await self._thread.run(self._store.account, user_id) is None:
            return USER_NOT_FOUND
        now = self._clock.wall()
        return await self._thread.run(self._store.open_sessions, user_id, now)

    async def life(self, which: Lifetime) -> int:
        """Return the life of tokens that are signed now, in seconds."""
        return await self._lifetimes.seconds(which)

    async def verify(self, token: Secret) -> AccessToken | str | Denied | None:
        """Return what an access token of a user says, `EXPIRED`, or None if it is not one of ours.

        Unlike App Services this also looks at the session: a token whose session has ended is denied.
        """
        read = self._issuer.read_access(token, self._clock.wall())
        if read is None:
            return None
        if read.claims.expires_at <= self._clock.wall():
            return EXPIRED
        active = await self._sessions.is_active(read.claims.session_id)
        return read if active else session_ended("revoked")

    # --- doing -----------------------------------------------------------------------------------

    async def create_user(self, actor: str, email: str, password: Secret) -> AccountRecord | Denied:
        """Make an account that needs no confirmation."""
        made = await self._accounts.create(email, password)
        if isinstance(made, Denied):
            audit.note(actor, "create_user", "-", made.code)
            return made
        audit.note(actor, "create_user", made, "done")
        return await self.user(made)

    async def log_user_out(self, actor: str, user_id: str) -> Denied | None:
        """End all sessions of a user, who may log in again."""
        return await self._end(actor, "log_out", user_id, self._store.revoke_user)

    async def disable_user(self, actor: str, user_id: str) -> Denied | None:
        """End all sessions of a user, who may not log in until it is enabled."""
        return await self._end(actor, "disable", user_id, self._store.disable_user)

    async def remove_user(self, actor: str, user_id: str) -> Denied | None:
        """Remove a user with its identities and sessions; its rows stay."""
        return await self._end(actor, "remove", user_id, self._store.remove_user)

    async def enable_user(self, actor: str, user_id: str) -> Denied | None:
        """Let a user log in again."""
        done = await self._thread.run(self._store.enable_user, user_id)
        audit.note(actor, "enable", user_id, "done" if done else USER_NOT_FOUND.code)
        return None if done else USER_NOT_FOUND

    async def set_custom_data(
        self, actor: str, user_id: str, data: dict[str, Any]
    ) -> Denied | None:
        """Set what the user's access tokens carry from the next one on."""
        done = await self._thread.run(self._store.set_custom_data, user_id, data)
        audit.note(actor, "set_custom_data", user_id, "done" if done else USER_NOT_FOUND.code)
        return None if done else USER_NOT_FOUND

    async def end_session(self, actor: str, user_id: str, session_id: str) -> Denied | None:
        """End one session of a user."""
        session = await self._thread.run(self._store.session, session_id)
        done = session is not None and session.user_id == user_id
        if done:
            now = self._clock.wall()
            done = await self._thread.run(self._store.revoke_session, session_id, now)
        audit.note(actor, "end_session", session_id, "done" if done else SESSION_NOT_FOUND.code)
        if not done:
            return SESSION_NOT_FOUND
        self._sessions.ended([session_id])
        return None

    async def set_life(self, actor: str, which: Lifetime, seconds: int) -> Denied | None:
        """Change the life of tokens that are signed from now on."""
        done = await self._lifetimes.change(which, seconds)
        deed = f"set_{which.value}_seconds"
        audit.note(actor, deed, str(seconds), "done" if done else "BadRequest")
        if done:
            return None
        low, high = self._lifetimes.range_of(which)
        return bad_request(f"expiration_time_seconds must be from {low} to {high}")

    async def _end(
        self,
        actor: str,
        deed: str,
        user_id: str,
        work: Callable[[str, float], Sequence[str]],
    ) -> Denied | None:
        if await self._thread.run(self._store.account, user_id) is None:
            audit.note(actor, deed, user_id, USER_NOT_FOUND.code)
            return USER_NOT_FOUND
        ended = await self._thread.run(work, user_id, self._clock.wall())
        self._sessions.ended(ended)
        audit.note(actor, deed, user_id, "done")
        return None
