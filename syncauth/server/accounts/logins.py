"""
Logins by API key, by the token of another issuer (also Google, Apple, Facebook), and by the team's own function.

A provider only says who somebody is; `sessions` opens or links. The name of an identity is what its provider vouches
for: of a token (iss, sub), never an email address. This module must never let a key, token or payload into a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from syncauth.errors import FunctionError, ServerBusy, WaitTimedOut
from syncauth.interfaces import Clock
from syncauth.models import Secret
from syncauth.server.accounts import answers
from syncauth.server.accounts.answers import Denied, LoggedIn
from syncauth.server.accounts.foreign_tokens import ForeignFault, ForeignTokens, is_jwt
from syncauth.server.accounts.issuer import token_hash
from syncauth.server.accounts.pace import Pace
from syncauth.server.accounts.sessions import ClientOptions, Sessions
from syncauth.server.settings.config import ServerConfig
from syncauth.server.settings.issuers import Provider
from syncauth.server.stores.interface import AccountStore, NewUser, SessionStatus
from syncauth.server.stores.subjects import FOREIGN, subject_name
from syncauth.server.stores.thread import StoreThread
from syncauth.server.team.extensions import Extensions
from syncauth.server.team.runner import Runner

API_KEY: Final = "api-key"
CUSTOM_FUNCTION: Final = "custom-function"
LONGEST_ID: Final = 255
FACEBOOK: Final = "oauth2-facebook"
OPAQUE: Final = (
    "accessToken is no JWT: of Facebook only tokens of Limited Login can be verified here"
)


class Logins:
    """The providers beside passwords and anonymous users. Its methods run on the event loop."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        store: AccountStore,
        thread: StoreThread,
        sessions: Sessions,
        foreign: ForeignTokens,
        runner: Runner,
        extensions: Extensions,
        pace: Pace,
        clock: Clock,
    ) -> None:
        """Take the parts; all calls to `store` are made in `thread`."""
        self._config = config
        self._store = store
        self._thread = thread
        self._sessions = sessions
        self._foreign = foreign
        self._runner = runner
        self._custom_login = extensions.custom_login
        self._pace = pace
        self._authenticate = extensions.authenticate
        self._clock = clock

    async def log_in_with_key(self, key: Secret, options: ClientOptions) -> LoggedIn | Denied:
        """Open a session for the owner of an API key."""
        if not self._config.login.api_key:
            return answers.provider_off(API_KEY)
        if slowed := self._pace.login(API_KEY, options.address):
            return slowed
        record = await self._thread.run(self._store.find_api_key, token_hash(key))
        if record is None:
            return answers.INVALID_API_KEY
        self._pace.proved(API_KEY, options.address)
        if options.link is not None:
            own = record.user_id == options.link.user_id
            return await self._sessions.linked(options.link) if own else answers.IDENTITY_TAKEN
        life = await self._sessions.refresh_life()
        return await self._sessions.open(record, API_KEY, life, options)

    def takes_tokens(self, provider: Provider) -> bool:
        """Tell whether there is an issuer whose tokens are taken at that login."""
        return self._foreign.any_for(provider)

    async def log_in_with_token(
        self, provider: Provider, token: Secret, options: ClientOptions
    ) -> LoggedIn | Denied:
        """Open a session for whom another issuer's token names; the first time makes the user."""
        if not self.takes_tokens(provider):
            return answers.provider_off(provider)
        if slowed := self._pace.login(provider, options.address):
            return slowed
        if provider == FACEBOOK and not is_jwt(token):
            return answers.refused(OPAQUE)
        wall, now = self._clock.wall(), self._clock.now()
        found = await self._foreign.verify(token, provider, wall=wall, now=now)
        if isinstance(found, ForeignFault) and found is not ForeignFault.UNCHECKED:
            return answers.refused(found.value)
        self._pace.proved(provider, options.address)  # which a missing key does not refute
        if isinstance(found, ForeignFault):
            return answers.KEYS_UNAVAILABLE
        name = subject_name(found.issuer, found.subject)
        return await self._admit(provider, name, found.data, options)

    @property
    def sees_requests(self) -> bool:
        """Whether the team's own sign-in decides, which may believe a cookie."""
        return self._authenticate is not None

    async def log_in_with_function(
        self, payload: dict[str, Any], options: ClientOptions, connection: Any
    ) -> LoggedIn | Denied:
        """Open a session for the id that the team's function gives for the payload.

        `connection` is what the team's own sign-in is shown; nothing else looks at it.
        """
        arguments: tuple[Any, ...] = (payload,)
        function: Callable[..., Any] | None = self._custom_login
        if self._authenticate is not None:
            arguments, function = (connection, payload), self._authenticate
        if function is None:
            return answers.provider_off(CUSTOM_FUNCTION)
        if slowed := self._pace.login(CUSTOM_FUNCTION, options.address):
            return slowed
        try:
            answer = await self._runner.call(function, *arguments)
        except ServerBusy as busy:
            return answers.too_many(busy.retry_after or 1)
        except WaitTimedOut:
            return answers.too_many(1)
        except FunctionError as error:
            return answers.refused(error.what)
        data: dict[str, Any] = {}
        if isinstance(answer, Mapping):
            data = {key: value for key, value in answer.items() if key != "id"}
            answer = answer.get("id")
        if not isinstance(answer, str) or not 0 < len(answer) <= LONGEST_ID:
            return answers.refused("invalid credentials")
        self._pace.proved(CUSTOM_FUNCTION, options.address)
        return await self._admit(CUSTOM_FUNCTION, answer, data, options)

    async def admit_own(
        self, own_id: str, data: dict[str, Any], options: ClientOptions
    ) -> LoggedIn | Denied:
        """Open a session for a user whom the team itself has authenticated, by the team's id."""
        return await self._admit(CUSTOM_FUNCTION, own_id, data, options)

    async def _admit(
        self, provider: str, name: str, data: dict[str, Any], options: ClientOptions
    ) -> LoggedIn | Denied:
        user = NewUser(
            user_id=self._sessions.new_id(),
            identity_id=self._sessions.new_id(),
            provider_type=provider,
            provider_id=name,
            password_hash=None,
            data=data,
        )
        if options.link is not None:
            return await self._sessions.link(options.link, user)
        if not self._sessions.admits(options):
            return answers.ROTATION_REQUIRED
        now = self._clock.wall()
        if provider in FOREIGN:
            record = await self._thread.run(
                lambda: self._store.admit_subject(user, now, returning=True)
            )
        else:
            record = await self._thread.run(self._store.admit, user, now)
        if isinstance(record, SessionStatus):
            return answers.USER_DISABLED
        life = await self._sessions.refresh_life()
        return await self._sessions.open(record, provider, life, options)
