"""
The sessions of one app: opened, linked, refreshed with rotation, checked and ended.

A session's kind and its end are fixed at login: a rotating one never answers a refresh without a new refresh token,
and rotation does not extend it. Custom data is looked up whenever an access token is signed. This module must never
let a token into a text, and never trusts a user id that did not come out of a verified token.
"""

from __future__ import annotations

import asyncio
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from syncauth.interfaces import Clock, Randomness
from syncauth.models import ANONYMOUS_DEVICE, Secret
from syncauth.server.accounts import answers
from syncauth.server.accounts.answers import Denied, LoggedIn, Refreshed
from syncauth.server.accounts.custom_data import CustomData, Found
from syncauth.server.accounts.endings import Endings
from syncauth.server.accounts.issuer import Claims, Issued, Issuer, TokenFault, token_hash
from syncauth.server.accounts.lifetimes import LiveLifetimes
from syncauth.server.accounts.pace import Pace
from syncauth.server.accounts.rotations import Rotations, Wish
from syncauth.server.operations.ids import name_user
from syncauth.server.settings.config import DAY, ServerConfig
from syncauth.server.stores.admin_interface import Lifetime
from syncauth.server.stores.interface import (
    AccountStore,
    LinkOutcome,
    LoginRecord,
    NewUser,
    Rotation,
    RotationOutcome,
    SessionRecord,
    SessionStatus,
)
from syncauth.server.stores.thread import StoreThread

FORGET_AFTER: Final = DAY
FORGET_AT_ONCE: Final = 100

Revoked = Callable[[Sequence[str]], None]
"""Called on the event loop with the ids of sessions that have just been ended."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What a client says at login: where it calls from, its device id, and whether to rotate.

    With `link`, the claims of a verified access token, no session is opened: the identity becomes that user's.
    """

    address: str
    device_id: str | None = None
    rotate: bool = False
    link: Claims | None = None


class Sessions:
    """The sessions of one app. Its methods run on the event loop."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        store: AccountStore,
        thread: StoreThread,
        issuer: Issuer,
        clock: Clock,
        randomness: Randomness,
        pace: Pace,
        on_revoked: Revoked,
        custom_data: CustomData,
        lifetimes: LiveLifetimes,
    ) -> None:
        """Take the parts; all calls to `store` are made in `thread`."""
        self._config = config
        self._store = store
        self._thread = thread
        self._issuer = issuer
        self._clock = clock
        self._randomness = randomness
        self._pace = pace
        self._on_revoked = on_revoked
        self._custom_data = custom_data
        self._lifetimes = lifetimes
        self._endings = Endings()
        self._rotations = Rotations(store, custom_data, thread)

    async def refresh(
        self, token: Secret, refresh_id: str | None, address: str
    ) -> Refreshed | Denied:
        """Give a new access token, and a new refresh token if the session rotates.

        `refresh_id` is the client's random id of this refresh: if the answer is lost, the same old
        token with the same id gets a fresh successor, as long as the one before has not been used.
        """
        now = self._clock.wall()
        told = self._issuer.read_refresh(token, now)
        if isinstance(told, TokenFault):
            return answers.session_ended("expired" if told is TokenFault.EXPIRED else "revoked")
        name_user(told.user_id, told.session_id)
        if slowed := self._pace.refresh(told.session_id, address):
            return slowed
        # Before the rotation: what cannot be looked up must not cost the client its token.
        asked = await self._custom_data.ask(told.user_id)
        if isinstance(asked, Denied):
            return asked
        life = await self._lifetimes.seconds(Lifetime.ACCESS)
        now = self._clock.wall()
        successor = self._sign_refresh(told, now)
        rotation = Rotation(
            told.session_id,
            presented=token_hash(token),
            refresh_id=None if refresh_id is None else token_hash(Secret(refresh_id)),
            successor=token_hash(successor.text),
            now=now,
        )
        done = await self._rotations.do(Wish(rotation, told.user_id, asked))
        if isinstance(done, Denied):
            return done
        rotated, found = done
        session = rotated.session
        if session is None or not (session.rotates or self._config.login.non_rotating_sessions):
            return answers.session_ended("revoked")
        if rotated.outcome is RotationOutcome.REUSED:
            self.ended([session.session_id])
        if rotated.reason is not None:
            return answers.session_ended(rotated.reason)
        access, life_ms = self._signed(session, found, life)
        return Refreshed(access, successor if session.rotates else None, life_ms)

    async def log_out(self, token: Secret) -> Denied | None:
        """End the session of a refresh token, the present or an older one; None when it is done."""
        claims = self._issuer.verify_refresh(token, self._clock.wall())
        if isinstance(claims, TokenFault):
            return answers.NO_SUCH_SESSION
        name_user(claims.user_id, claims.session_id)
        now = self._clock.wall()
        if not await self._thread.run(self._store.revoke_session, claims.session_id, now):
            return answers.NO_SUCH_SESSION
        self.ended([claims.session_id])
        return None

    async def check_access(self, token: Secret) -> Claims | Denied:
        """Check an access token and its session."""
        claims = self._issuer.verify_access(token, self._clock.wall())
        if claims is TokenFault.EXPIRED:
            return answers.ACCESS_EXPIRED
        if isinstance(claims, TokenFault):
            return answers.INVALID_ACCESS
        name_user(claims.user_id, claims.session_id)
        now = self._clock.wall()
        status = await self._thread.run(self._store.session_status, claims.session_id, now)
        if status is SessionStatus.ACTIVE:
            return claims
        return answers.session_ended(await self._end_reason(claims.session_id, now))

    async def check_refresh(self, token: Secret) -> Claims | Denied:
        """Check a refresh token without using it up; only the session's present one counts."""
        claims = self._issuer.verify_refresh(token, self._clock.wall())
        session = await self._session_of(token)
        if isinstance(session, Denied):
            return session
        if isinstance(claims, TokenFault):
            return answers.session_ended("revoked")
        now = self._clock.wall()
        if await self._thread.run(self._store.holds, session.session_id, token_hash(token), now):
            return claims
        return answers.session_ended(await self._end_reason(session.session_id, now))

    async def is_active(self, session_id: str) -> bool:
        """Tell whether the session is good for anything now."""
        now = self._clock.wall()
        status = await self._thread.run(self._store.session_status, session_id, now)
        return status is SessionStatus.ACTIVE

    def ended(self, session_ids: Sequence[str]) -> None:
        """Tell the open sockets and streams which sessions have been ended."""
        self._on_revoked(session_ids)
        self._endings.tell(session_ids)

    def ending_of(self, session_id: str) -> asyncio.Future[None]:
        """Return a future that is done as soon as this process ends the session; cancel it at last."""
        return self._endings.of(session_id)

    async def refresh_life(self) -> int:
        """Return the life of a session that is opened now, in seconds; anonymous users have their own."""
        return await self._lifetimes.seconds(Lifetime.REFRESH)

    async def link(
        self, claims: Claims, identity: NewUser, *, single: bool = False
    ) -> LoggedIn | Denied:
        """Give the user of an access token another identity, and sign a new access token.

        No refusal is `InvalidSession`, which existing clients answer with a refresh and the same call again, but that
        of a session that has ended since its token was checked: the refresh is refused, too.
        """
        now = self._clock.wall()

        def link() -> LinkOutcome | None:
            if self._store.session_status(claims.session_id, now) is not SessionStatus.ACTIVE:
                return None
            return self._store.link(claims.user_id, identity, single=single)

        outcome = await self._thread.run(link)
        if outcome is None or outcome is LinkOutcome.NO_USER:
            return answers.session_ended(await self._end_reason(claims.session_id, now))
        if outcome is LinkOutcome.TAKEN:
            return answers.IDENTITY_TAKEN
        if outcome is LinkOutcome.SECOND:
            return answers.SECOND_IDENTITY
        if outcome is LinkOutcome.DENIED:
            return answers.USER_DISABLED
        return await self.linked(claims)

    async def linked(self, claims: Claims) -> LoggedIn | Denied:
        """Answer a link with a new access token of the session that asked."""
        session = await self._thread.run(self._store.session, claims.session_id)
        if session is None:
            return answers.session_ended("revoked")
        signed = await self._sign_access(session)
        if isinstance(signed, Denied):
            return signed
        now = (
            self._clock.wall()
        )  # at last: what the login and the team's code took may have been long
        if not await self.is_active(claims.session_id):
            return answers.session_ended(await self._end_reason(claims.session_id, now))
        access, life_ms = signed
        return LoggedIn(session.user_id, session.device_id, access, None, life_ms)

    async def _session_of(self, token: Secret) -> SessionRecord | Denied:
        """Return the session of a refresh token, ended or not, if its kind is still served."""
        claims = self._issuer.verify_refresh(token, self._clock.wall())
        if claims is TokenFault.EXPIRED:
            return answers.session_ended("expired")
        if isinstance(claims, TokenFault):
            return answers.session_ended("revoked")
        name_user(claims.user_id, claims.session_id)
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

    async def open(
        self, record: LoginRecord, provider: str, life: float, options: ClientOptions
    ) -> LoggedIn | Denied:
        """Open a session of `life` seconds for an identity that has proved itself."""
        if not self.admits(options):
            return answers.ROTATION_REQUIRED
        now = self._clock.wall()
        session = SessionRecord(
            session_id=self.new_id(),
            user_id=record.user_id,
            device_id=_device_id(options.device_id) or self.new_id(),
            identity_id=record.identity_id,
            provider_type=provider,
            rotates=options.rotate,
            expires_at=now + life,
            end_reason=None,
            custom_data=record.custom_data,
        )
        signed = await self._sign_access(session)
        if isinstance(signed, Denied):
            return signed
        access, life_ms = signed
        refresh = self._sign_refresh(session, now)
        opened = await self._thread.run(
            lambda: self._store.open_session(session, token_hash=token_hash(refresh.text), now=now)
        )
        if not opened:
            return answers.USER_DISABLED
        name_user(session.user_id, session.session_id)
        await self._thread.run(self._store.forget_sessions, now - FORGET_AFTER, FORGET_AT_ONCE)
        return LoggedIn(session.user_id, session.device_id, access, refresh, life_ms)

    def admits(self, options: ClientOptions) -> bool:
        """Tell whether sessions of the kind that the client asks for are opened."""
        return options.rotate or self._config.login.non_rotating_sessions

    async def _sign_access(self, session: SessionRecord) -> tuple[Issued, int] | Denied:
        found = await self._custom_data.of(session.user_id, session.custom_data)
        if isinstance(found, Denied):
            return found
        return self._signed(session, Found(found), await self._lifetimes.seconds(Lifetime.ACCESS))

    def _signed(self, session: SessionRecord, found: Found, life: float) -> tuple[Issued, int]:
        """Sign an access token with that custom data; returns it with what is left of it in ms."""
        now = self._clock.wall()
        session = replace(session, custom_data=found.data)
        access = self._issuer.access_token(session, now=now, life=life)
        return access, max(0, int((access.expires_at - now) * 1000))

    def _sign_refresh(self, session: SessionRecord, now: float) -> Issued:
        return self._issuer.refresh_token(session, now=now, unique=self._randomness.token(16))

    def new_id(self) -> str:
        """Return a new id of 24 hexadecimal digits."""
        return self._randomness.token(12).hex()


def _device_id(wanted: str | None) -> str | None:
    """Return the client's device id if it is one: 24 hexadecimal digits, not all zero."""
    if wanted is None or len(wanted) != len(ANONYMOUS_DEVICE) or wanted == ANONYMOUS_DEVICE:
        return None
    return wanted.lower() if set(wanted) <= set(string.hexdigits) else None
