"""
The account service: registration, logins, refreshes with rotation, logout and removal of users.

It decides; the store keeps, the issuer signs, and `auth_api` speaks HTTP. A session's kind and its
end are fixed at login: a rotating one never answers a refresh without a new refresh token, and
rotation does not extend it. This module must never let a token or password into a text, and never
trusts a user id that did not come out of a verified token.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from syncauth.errors import ServerBusy
from syncauth.interfaces import Clock, Randomness
from syncauth.models import ANONYMOUS_DEVICE, Secret
from syncauth.server import answers
from syncauth.server.answers import Denied, LoggedIn, Refreshed
from syncauth.server.config import DAY, ServerConfig
from syncauth.server.issuer import Claims, Issued, Issuer, TokenFault, token_hash
from syncauth.server.passwords import Passwords
from syncauth.server.rate_limit import RateLimit
from syncauth.server.stores.interface import (
    AccountStore,
    LoginRecord,
    NewUser,
    RotationOutcome,
    SessionRecord,
    SessionStatus,
    UserRecord,
)
from syncauth.server.stores.thread import StoreThread

ANONYMOUS: Final = "anon-user"
EMAIL_PASSWORD: Final = "local-userpass"  # noqa: S105 - the provider's name in App Services
LONGEST_EMAIL: Final = 254
PASSWORD_LENGTHS: Final = range(6, 129)
FORGET_AFTER: Final = DAY
FORGET_AT_ONCE: Final = 100

Revoked = Callable[[Sequence[str]], None]
"""Called on the event loop with the ids of sessions that have just been ended."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What a client says at login: where it calls from, its device id, and whether to rotate."""

    address: str
    device_id: str | None = None
    rotate: bool = False


class Accounts:
    """The account service of one app. Its methods run on the event loop."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        store: AccountStore,
        thread: StoreThread,
        issuer: Issuer,
        passwords: Passwords,
        clock: Clock,
        randomness: Randomness,
        on_revoked: Revoked,
    ) -> None:
        """Take the parts; all calls to `store` are made in `thread`."""
        self._config = config
        self._store = store
        self._thread = thread
        self._issuer = issuer
        self._passwords = passwords
        self._clock = clock
        self._randomness = randomness
        self._on_revoked = on_revoked
        limits = config.limits
        self._logins = RateLimit(burst=limits.login_burst, per_minute=limits.logins_per_minute)
        self._registrations = RateLimit(
            burst=limits.register_burst, per_minute=limits.registrations_per_minute
        )

    async def check_store(self) -> None:
        """Raise an exception if the store cannot be read."""
        await self._thread.run(self._store.ping)

    async def register(self, email: str, password: Secret, address: str) -> Denied | None:
        """Make an account; None when it is made.

        Addresses are compared as they are written, as App Services does.
        """
        if not self._config.login.email_password:
            return answers.provider_off(EMAIL_PASSWORD)
        if not 0 < len(email) <= LONGEST_EMAIL or not email.isprintable():
            return answers.bad_request(f"email must have 1 to {LONGEST_EMAIL} printable characters")
        if len(password.reveal()) not in PASSWORD_LENGTHS:
            return answers.bad_request("password must be between 6 and 128 characters")
        if wait := self._registrations.take(address, self._clock.now()):
            return answers.too_many(wait)
        try:
            password_hash = await self._passwords.hash(password)
        except ServerBusy as busy:
            return answers.too_many(busy.retry_after or 1)
        user = NewUser(
            user_id=self._new_id(),
            identity_id=self._new_id(),
            provider_type=EMAIL_PASSWORD,
            provider_id=email,
            password_hash=password_hash,
            data={"email": email},
        )
        made = await self._thread.run(self._store.add_user, user, self._clock.wall())
        return None if made else answers.NAME_IN_USE

    async def log_in_with_password(
        self, email: str, password: Secret, options: ClientOptions
    ) -> LoggedIn | Denied:
        """Open a session; unknown accounts and wrong passwords are answered alike."""
        if not self._config.login.email_password:
            return answers.provider_off(EMAIL_PASSWORD)
        # Cut, so that long names cannot fill the memory; no account has a longer one.
        key = (email[:LONGEST_EMAIL], options.address)
        if wait := self._logins.take(key, self._clock.now()):
            return answers.too_many(wait)
        record = await self._thread.run(self._store.find_login, EMAIL_PASSWORD, email)
        try:
            password_hash = record.password_hash if record else None
            right = await self._passwords.verify(password_hash, password)
        except ServerBusy as busy:
            return answers.too_many(busy.retry_after or 1)
        if record is None or not right:
            return answers.WRONG_PASSWORD
        self._logins.give_back(key, self._clock.now())
        life = self._config.lifetimes.refresh_seconds
        return await self._open_session(record, EMAIL_PASSWORD, life, options)

    async def log_in_anonymously(self, options: ClientOptions) -> LoggedIn | Denied:
        """Make a user without a name and open its session."""
        if not self._config.login.anonymous:
            return answers.provider_off(ANONYMOUS)
        if not self._admits(options):
            return answers.ROTATION_REQUIRED
        if wait := self._registrations.take(options.address, self._clock.now()):
            return answers.too_many(wait)
        user_id, identity_id = self._new_id(), self._new_id()
        user = NewUser(user_id, identity_id, ANONYMOUS, identity_id, password_hash=None, data={})
        await self._thread.run(self._store.add_user, user, self._clock.wall())
        record = LoginRecord(user_id, identity_id, password_hash=None, custom_data=None)
        life = self._config.lifetimes.anonymous_refresh_seconds
        return await self._open_session(record, ANONYMOUS, life, options)

    async def refresh(self, token: Secret, refresh_id: str | None) -> Refreshed | Denied:
        """Give a new access token, and a new refresh token if the session rotates.

        `refresh_id` is the client's random id of this refresh: if the answer is lost, the same old
        token with the same id gets a fresh successor, as long as the one before has not been used.
        """
        session = await self._session_of(token)
        if isinstance(session, Denied):
            return session
        now = self._clock.wall()
        successor = self._sign_refresh(session, now)
        outcome = await self._thread.run(
            lambda: self._store.rotate(
                session.session_id,
                presented=token_hash(token),
                refresh_id=None if refresh_id is None else token_hash(Secret(refresh_id)),
                successor=token_hash(successor.text),
                now=now,
            )
        )
        if outcome is RotationOutcome.REUSED:
            self._on_revoked([session.session_id])
            return answers.session_ended("reuse_detected")
        if outcome is RotationOutcome.ENDED:
            return answers.session_ended(await self._end_reason(session.session_id, now))
        access, life_ms = self._sign_access(session)
        return Refreshed(access, successor if session.rotates else None, life_ms)

    async def log_out(self, token: Secret) -> Denied | None:
        """End the session of a refresh token, the present or an older one; None when it is done."""
        claims = self._issuer.verify_refresh(token, self._clock.wall())
        if isinstance(claims, TokenFault):
            return answers.NO_SUCH_SESSION
        now = self._clock.wall()
        if not await self._thread.run(self._store.revoke_session, claims.session_id, now):
            return answers.NO_SUCH_SESSION
        self._on_revoked([claims.session_id])
        return None

    async def profile(self, token: Secret) -> UserRecord | Denied:
        """Return the user of an access token."""
        claims = await self._check_access(token)
        if isinstance(claims, Denied):
            return claims
        user = await self._thread.run(self._store.user, claims.user_id)
        return user or answers.session_ended("user_removed")

    async def remove_user(self, token: Secret) -> Denied | None:
        """Remove the user of an access token with all its sessions; None when it is done."""
        claims = await self._check_access(token)
        if isinstance(claims, Denied):
            return claims
        now = self._clock.wall()
        ended = await self._thread.run(self._store.remove_user, claims.user_id, now)
        self._on_revoked(ended)
        return None

    async def _check_access(self, token: Secret) -> Claims | Denied:
        claims = self._issuer.verify_access(token, self._clock.wall())
        if claims is TokenFault.EXPIRED:
            return answers.ACCESS_EXPIRED
        if isinstance(claims, TokenFault):
            return answers.INVALID_ACCESS
        now = self._clock.wall()
        status = await self._thread.run(self._store.session_status, claims.session_id, now)
        if status is SessionStatus.ACTIVE:
            return claims
        return answers.session_ended(await self._end_reason(claims.session_id, now))

    async def _session_of(self, token: Secret) -> SessionRecord | Denied:
        """Return the session of a refresh token, ended or not, if its kind is still served."""
        claims = self._issuer.verify_refresh(token, self._clock.wall())
        if claims is TokenFault.EXPIRED:
            return answers.session_ended("expired")
        if isinstance(claims, TokenFault):
            return answers.session_ended("revoked")
        session = await self._thread.run(self._store.session, claims.session_id)
        if session is None or not (session.rotates or self._config.login.non_rotating_sessions):
            return answers.session_ended("revoked")
        return session

    async def _end_reason(self, session_id: str, now: float) -> str:
        """Return why a session is not active, in a word of `ReloginReason`."""
        status = await self._thread.run(self._store.session_status, session_id, now)
        if status is not SessionStatus.REVOKED:
            return str(status.value)
        session = await self._thread.run(self._store.session, session_id)
        return session.end_reason if session and session.end_reason else str(status.value)

    async def _open_session(
        self, record: LoginRecord, provider: str, life: float, options: ClientOptions
    ) -> LoggedIn | Denied:
        if not self._admits(options):
            return answers.ROTATION_REQUIRED
        now = self._clock.wall()
        session = SessionRecord(
            session_id=self._new_id(),
            user_id=record.user_id,
            device_id=_device_id(options.device_id) or self._new_id(),
            identity_id=record.identity_id,
            provider_type=provider,
            rotates=options.rotate,
            expires_at=now + life,
            end_reason=None,
            custom_data=record.custom_data,
        )
        refresh = self._sign_refresh(session, now)
        opened = await self._thread.run(
            lambda: self._store.open_session(session, token_hash=token_hash(refresh.text), now=now)
        )
        if not opened:
            return answers.USER_DISABLED
        await self._thread.run(self._store.forget_sessions, now - FORGET_AFTER, FORGET_AT_ONCE)
        access, life_ms = self._sign_access(session)
        return LoggedIn(session.user_id, session.device_id, access, refresh, life_ms)

    def _admits(self, options: ClientOptions) -> bool:
        return options.rotate or self._config.login.non_rotating_sessions

    def _sign_access(self, session: SessionRecord) -> tuple[Issued, int]:
        now = self._clock.wall()
        life = self._config.lifetimes.access_seconds
        access = self._issuer.access_token(session, now=now, life=life)
        return access, max(0, int((access.expires_at - now) * 1000))

    def _sign_refresh(self, session: SessionRecord, now: float) -> Issued:
        return self._issuer.refresh_token(session, now=now, unique=self._randomness.token(16))

    def _new_id(self) -> str:
        return self._randomness.token(12).hex()


def _device_id(wanted: str | None) -> str | None:
    """Return the client's device id if it is one: 24 hexadecimal digits, not all zero."""
    if wanted is None or len(wanted) != len(ANONYMOUS_DEVICE) or wanted == ANONYMOUS_DEVICE:
        return None
    return wanted.lower() if set(wanted) <= set(string.hexdigits) else None
