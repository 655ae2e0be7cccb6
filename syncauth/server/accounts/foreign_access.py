"""
Tokens of other issuers as access tokens of the sync socket: whose they are, and who is admitted at first sight.

Whoever comes is named by (issuer, subject), never by an email address, and has no session here: what stands in its
place (`stores.subjects`) is looked at wherever a session is, so that a denial takes effect on open sockets and in the
commit of a batch (I3). This module must never let a token into a text, and never judge one (`foreign_tokens` does).
"""

from __future__ import annotations

from syncauth.interfaces import Clock, Randomness
from syncauth.models import Secret
from syncauth.server.accounts.foreign_tokens import ForeignFault, ForeignTokens, ForeignUser
from syncauth.server.accounts.issuer import Claims, TokenFault
from syncauth.server.stores.interface import AccountStore, NewUser, SessionStatus
from syncauth.server.stores.subjects import subject_name
from syncauth.server.stores.thread import StoreThread

_ID_BYTES = 12
_FAULTS = {
    ForeignFault.INVALID: TokenFault.INVALID,
    ForeignFault.EXPIRED: TokenFault.EXPIRED,
    ForeignFault.UNCHECKED: TokenFault.UNCHECKED,
}


class ForeignAccess:
    """Checks tokens of other issuers for the sync socket. Its methods run on the event loop."""

    def __init__(
        self,
        foreign: ForeignTokens,
        *,
        store: AccountStore,
        thread: StoreThread,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        """Take the parts; all calls to `store` are made in `thread`."""
        self._foreign = foreign
        self._store = store
        self._thread = thread
        self._clock = clock
        self._randomness = randomness

    def concerns(self, token: Secret) -> bool:
        """Tell whether a token says it is of an issuer whose tokens the socket takes."""
        return self._foreign.concern(token, "sync")

    async def check(self, token: Secret) -> Claims | TokenFault:
        """Check a token and admit its user; the status of whoever it names is not looked at.

        One who is kept out is named all the same, and made no user: the status tells why.
        """
        wall, now = self._clock.wall(), self._clock.now()
        found = await self._foreign.verify(token, "sync", wall=wall, now=now)
        if isinstance(found, ForeignFault):
            return _FAULTS[found]
        name = subject_name(found.issuer, found.subject)
        user_id, session_id = await self._thread.run(self._admit, self._new_user(found, name))
        return Claims(user_id, session_id, found.expires_at)

    def _new_user(self, found: ForeignUser, name: str) -> NewUser:
        return NewUser(
            user_id=self._randomness.token(_ID_BYTES).hex(),
            identity_id=self._randomness.token(_ID_BYTES).hex(),
            provider_type=found.provider,
            provider_id=name,
            password_hash=None,
            data=found.data,
        )

    def _admit(self, user: NewUser) -> tuple[str, str]:
        """Return the id of the subject's user and what stands for its session; in the store thread.

        One that is kept out and has no user has the id "".
        """
        record = self._store.admit_subject(user, self._clock.wall(), returning=False)
        if isinstance(record, SessionStatus):
            known = self._store.find_login(user.provider_type, user.provider_id)
            user_id = "" if known is None else known.user_id
        else:
            user_id = record.user_id
        return user_id, self._store.session_of_subject(user_id, user.provider_id)
