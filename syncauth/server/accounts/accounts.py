"""
Accounts: registration, logins with password and without a name, profile and removal.

It decides; the store keeps, and `sessions` signs. Unknown accounts and wrong passwords are answered alike. This module
must never let a token or password into a text.
"""

from __future__ import annotations

from typing import Final

from syncauth.errors import ServerBusy
from syncauth.interfaces import Clock
from syncauth.models import Secret
from syncauth.server.accounts import answers
from syncauth.server.accounts.answers import Denied, LoggedIn
from syncauth.server.accounts.emails import Emails, password_fault
from syncauth.server.accounts.pace import LONGEST_KEY, Pace
from syncauth.server.accounts.passwords import Passwords
from syncauth.server.accounts.sessions import ClientOptions, Sessions
from syncauth.server.settings.config import ServerConfig
from syncauth.server.stores.interface import AccountStore, LoginRecord, NewUser, UserRecord
from syncauth.server.stores.thread import StoreThread

ANONYMOUS: Final = "anon-user"
EMAIL_PASSWORD: Final = "local-userpass"  # noqa: S105 - the provider's name in App Services
LONGEST_EMAIL: Final = LONGEST_KEY


class Accounts:
    """The account service of one app. Its methods run on the event loop."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        store: AccountStore,
        thread: StoreThread,
        sessions: Sessions,
        emails: Emails,
        passwords: Passwords,
        pace: Pace,
        clock: Clock,
    ) -> None:
        """Take the parts; all calls to `store` are made in `thread`."""
        self._config = config
        self._store = store
        self._thread = thread
        self._sessions = sessions
        self._emails = emails
        self._passwords = passwords
        self._pace = pace
        self._clock = clock

    async def check_store(self) -> None:
        """Raise an exception if the store cannot be read."""
        await self._thread.run(self._store.ping)

    async def register(self, email: str, password: Secret, address: str) -> Denied | None:
        """Make an account; None when it is made.

        Addresses are compared as they are written, as App Services does.
        """
        if fault := self._fault(email, password):
            return fault
        if slowed := self._pace.registration(address):
            return slowed
        made = await self._make(
            email, password, confirmed=self._config.email.confirmation == "automatic"
        )
        if isinstance(made, Denied):
            concealed = made is answers.NAME_IN_USE and self._config.email.conceal_accounts
            return None if concealed else made
        return await self._emails.begin(email, made)

    async def create(self, email: str, password: Secret) -> str | Denied:
        """Make an account for an administrator, without pace and confirmation; returns its user's id."""
        return self._fault(email, password) or await self._make(email, password, confirmed=True)

    def _fault(self, email: str, password: Secret) -> Denied | None:
        """Return why no account can be made of these."""
        if not self._config.login.email_password:
            return answers.provider_off(EMAIL_PASSWORD)
        if not 0 < len(email) <= LONGEST_EMAIL or not email.isprintable():
            return answers.bad_request(f"email must have 1 to {LONGEST_EMAIL} printable characters")
        return password_fault(password)

    async def _make(self, email: str, password: Secret, *, confirmed: bool) -> str | Denied:
        try:
            password_hash = await self._passwords.hash(password)
        except ServerBusy as busy:
            return answers.too_many(busy.retry_after or 1)
        user = NewUser(
            user_id=self._sessions.new_id(),
            identity_id=self._sessions.new_id(),
            provider_type=EMAIL_PASSWORD,
            provider_id=email,
            password_hash=password_hash,
            data={"email": email},
            confirmed=confirmed,
        )
        added = await self._thread.run(self._store.add_user, user, self._clock.wall())
        return user.user_id if added else answers.NAME_IN_USE

    async def log_in_with_password(
        self, email: str, password: Secret, options: ClientOptions
    ) -> LoggedIn | Denied:
        """Open a session; unknown accounts and wrong passwords are answered alike."""
        if not self._config.login.email_password:
            return answers.provider_off(EMAIL_PASSWORD)
        if slowed := self._pace.login(email, options.address):
            return slowed
        record = await self._thread.run(self._store.find_login, EMAIL_PASSWORD, email)
        try:
            password_hash = record.password_hash if record else None
            right = await self._passwords.verify(password_hash, password)
        except ServerBusy as busy:
            return answers.too_many(busy.retry_after or 1)
        if record is None or not right:
            return answers.WRONG_PASSWORD
        self._pace.proved(email, options.address)
        if not record.confirmed:
            return answers.UNCONFIRMED
        if options.link is not None:
            identity = NewUser(
                "", record.identity_id, EMAIL_PASSWORD, email, None, {"email": email}
            )
            return await self._sessions.link(options.link, identity, single=True)
        life = await self._sessions.refresh_life()
        return await self._sessions.open(record, EMAIL_PASSWORD, life, options)

    async def log_in_anonymously(self, options: ClientOptions) -> LoggedIn | Denied:
        """Make a user without a name and open its session."""
        if not self._config.login.anonymous:
            return answers.provider_off(ANONYMOUS)
        if options.link is not None:
            return answers.bad_request("an anonymous identity cannot be linked")
        if not self._sessions.admits(options):
            return answers.ROTATION_REQUIRED
        if slowed := self._pace.registration(options.address):
            return slowed
        user_id, identity_id = self._sessions.new_id(), self._sessions.new_id()
        user = NewUser(user_id, identity_id, ANONYMOUS, identity_id, password_hash=None, data={})
        await self._thread.run(self._store.add_user, user, self._clock.wall())
        record = LoginRecord(user_id, identity_id, password_hash=None, custom_data=None)
        life = self._config.lifetimes.anonymous_refresh_seconds
        return await self._sessions.open(record, ANONYMOUS, life, options)

    async def profile(self, token: Secret) -> UserRecord | Denied:
        """Return the user of an access token."""
        claims = await self._sessions.check_access(token)
        if isinstance(claims, Denied):
            return claims
        user = await self._thread.run(self._store.user, claims.user_id)
        return user or answers.session_ended("user_removed")

    async def remove_user(self, token: Secret) -> Denied | None:
        """Remove the user of an access token with all its sessions; None when it is done."""
        claims = await self._sessions.check_access(token)
        if isinstance(claims, Denied):
            return claims
        now = self._clock.wall()
        ended = await self._thread.run(self._store.remove_user, claims.user_id, now)
        self._sessions.ended(ended)
        return None
