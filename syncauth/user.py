"""
A user, as an app holds it: who it is, its tokens, and what it may call at the server.

The same id is the same `User` as long as its App lives, through logouts and logins. One that was
removed from the device stays dead, also when the same person logs in again. This module decides
nothing: it asks the driver for tokens and the account service for the rest, and repeats a call
once, with a renewed token, when the server did not take the one that it was made with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from syncauth.adapters.bearer_auth import make_auth
from syncauth.adapters.bearer_headers import HeaderProvider
from syncauth.adapters.bearer_origins import Origin, own_origin, read_origins
from syncauth.errors import Closed, InvalidToken, UnexpectedAnswer, UserRemovedError
from syncauth.interfaces import AccessRejected
from syncauth.models import ApiKey, Credentials, Profile, Secret, SessionState
from syncauth.sansio import inputs
from syncauth.sansio.accounts import Account
from syncauth.sansio.tokens import claims_of

if TYPE_CHECKING:
    import httpx

    from syncauth.replica.adopting import Counts
    from syncauth.user_verbs import UserVerbs

WAIT_SECONDS: Final = 10.0
"""How long whoever needs a token waits for it at most, if nothing else is said."""

_Result = TypeVar("_Result")


class User:
    """Someone who has logged in on this device at least once."""

    def __init__(self, app: UserVerbs, user_id: str) -> None:
        """Made by the App alone."""
        self._app = app
        self.id = user_id
        self._removed = False

    def __repr__(self) -> str:
        """Show the id and the state, and no token (I10)."""
        return f"<User {self.id} {'removed' if self._removed else self.state.value}>"

    # --- who it is -------------------------------------------------------------------------------

    @property
    def removed(self) -> bool:
        """Whether this user was removed from the device: then every verb raises `UserRemovedError`."""
        return self._removed

    @property
    def state(self) -> SessionState:
        """Where this user's session stands; `logged_out` for one who was removed."""
        return SessionState.LOGGED_OUT if self._removed else self._app.session_of(self.id)

    @property
    def profile(self) -> Profile:
        """What the server told of the user when it was last asked; known offline."""
        return self._account().profile

    @property
    def custom_data(self) -> dict[str, Any]:
        """The custom data in the access token as it was last renewed; {} if there is none.

        `refresh_custom_user_data` brings what has changed since.
        """
        tokens = self._account().tokens
        if tokens is None:
            return {}
        try:
            data = claims_of(tokens.access).get("user_data")
        except InvalidToken:  # of an issuer whose access tokens are not to be read
            return {}
        return data if isinstance(data, dict) else {}

    # --- tokens ----------------------------------------------------------------------------------

    @property
    def access_token(self) -> Secret | None:
        """The access token as it is, perhaps ended; None if there is none. `reveal()` shows it.

        For a request use `http_auth` or `valid_access_token`, which renew it where that is needed.
        """
        tokens = self._account().tokens
        return None if tokens is None else tokens.access

    @property
    def refresh_token(self) -> Secret | None:
        """The refresh token, or None; `reveal()` shows it. It must go nowhere but to its issuer.

        Whoever uses it beside syncauth, where refresh tokens rotate, ends the session.
        """
        tokens = self._account().tokens
        return None if tokens is None else tokens.refresh

    async def valid_access_token(
        self,
        rejected: Secret | None = None,
        *,
        timeout: float = WAIT_SECONDS,  # noqa: ASYNC109 - a documented verb
    ) -> Secret:
        """Return an access token that may be sent, renewed if it has to be; on any event loop.

        All who wait for one wait for the same request, in this process and in others (I4).

        Args:
            rejected: a token that a server did not take; never returned again.
            timeout: seconds to wait at most. Nobody waits through a back-off.

        Raises:
            ReloginRequiredError: the session has ended; the user has to log in.
            TokenUnavailableError: there is none now; `retry_at` tells when it is tried again.
            NotLoggedInError, UserRemovedError, Closed: there is no session.
        """
        waiting = self._token(timeout, rejected=rejected)
        loop = self._app.loop
        if asyncio.get_running_loop() is loop:
            return await waiting
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(waiting, loop))

    def valid_access_token_now(
        self, rejected: Secret | None = None, *, timeout: float = WAIT_SECONDS
    ) -> Secret:
        """Return what `valid_access_token` does, to any other thread than the App's.

        Raises:
            Closed: this is the App's own thread, which cannot wait for itself.
        """
        loop = self._app.loop
        try:
            if asyncio.get_running_loop() is loop:
                what = "a blocking verb was called in the thread of the App's loop"
                raise Closed(what, remedy="Await User.valid_access_token there")
        except RuntimeError:  # a thread without a loop
            pass
        waiting = self.valid_access_token(rejected, timeout=timeout)
        try:
            return asyncio.run_coroutine_threadsafe(waiting, loop).result()
        except RuntimeError:
            waiting.close()
            what = "the App was closed"
            raise Closed(what, remedy="Make a new App") from None

    def usable_access_token(self) -> Secret | None:
        """Return the access token if it may be sent now, without waiting, to any thread; else None."""
        account = self._account()
        tokens = account.tokens
        if tokens is None or not account.usable(self._app.driver.now()):
            return None
        return tokens.access

    def remaining_life(self) -> float:
        """Return how many seconds the access token is still good for, by the life that was told."""
        account = self._account()
        now = self._app.driver.now()
        if account.tokens is None or not account.usable(now):
            return 0.0
        return account.received_at + account.tokens.life - now

    async def refresh_custom_user_data(
        self,
        timeout: float = WAIT_SECONDS,  # noqa: ASYNC109 - a documented verb
    ) -> dict[str, Any]:
        """Renew the access token now, and return the custom data that the new one holds.

        Raises what `valid_access_token` raises.
        """
        await self._token(timeout, renew=True)
        return self.custom_data

    async def adopt(self) -> Mapping[str, Counts]:
        """Make every row of the guest's file a change of this user's, whose replica is open.

        The guest's replica is closed, and can be opened by nobody any more. A row whose key the
        user's file has already is left out. Called again, also after a kill, it changes nothing.

        Returns:
            what became of the rows, by table: `adopted`, `kept` and `refused`.

        Raises:
            FileNotOurs: another user has adopted them.
            TableNotTrackable: the user's replica has no place for a table; nothing was changed.
            InvalidConfig: the user's replica is not open.
            FileInUse, FileFull, StorageError: it stands where it stood, and can be done again.
        """
        self._check()
        return await self._app.adopt_guest(self)

    # --- the app's own requests ------------------------------------------------------------------

    def http_auth(self, origins: Iterable[str] | None = None) -> httpx.Auth:
        """Return what lets the app's own requests bear this user's token: `httpx.Client(auth=…)`.

        For synchronous and asynchronous clients of `httpx` and of `httpx2`. A request that is
        answered with 401 is repeated once, with a renewed token; all share the one refresh.

        Args:
            origins: where the token may go, such as "https://api.example.com"; the App's own server
                if None. Requests to others pass without it, and no redirect takes it elsewhere.

        Raises:
            InvalidConfig, InsecureServer: an origin cannot be used.
        """
        return make_auth(self, self._origins(origins))

    def http_headers(self, origins: Iterable[str] | None = None) -> HeaderProvider:
        """Return what gives the header for one request, for any other client; see `http_auth`."""
        return HeaderProvider(self, self._origins(origins))

    def _origins(self, origins: Iterable[str] | None) -> frozenset[Origin]:
        self._check()
        own = (own_origin(self._app.config.base_url),)
        return read_origins(own if origins is None else origins)

    # --- the server ------------------------------------------------------------------------------

    @property
    def functions(self) -> Functions:
        """The functions of the server, called as this user."""
        return Functions(self)

    @property
    def api_keys(self) -> ApiKeys:
        """The keys by which programs log in as this user."""
        return ApiKeys(self)

    async def refresh_profile(self) -> Profile:
        """Ask the server anew who this user is, and keep the answer.

        Raises what `valid_access_token` raises, and `UnreachableError`, `ProtocolError`, `StorageError`.
        """
        accounts = self._app.accounts
        profile = await self.with_access_token(accounts.profile)
        await self._app.driver.ask(lambda request: inputs.ProfileRead(request, self.id, profile))
        return profile

    async def link(self, credentials: Credentials) -> None:
        """Add a way to log in: afterwards these credentials log in this user.

        An anonymous user who is linked keeps its id and its rows.

        Raises:
            CredentialsRefused: they are wrong, or belong to another user.
            ReloginRequiredError, TokenUnavailableError, NotLoggedInError: there is no session now.
            UnreachableError, ProtocolError: the server could not be asked.
        """
        accounts = self._app.accounts
        await self.with_access_token(lambda token: accounts.link(token, credentials))
        await self.refresh_custom_user_data()
        await self.refresh_profile()

    async def with_access_token(self, call: Callable[[Secret], Awaitable[_Result]]) -> _Result:
        """Make a call with an access token, once more with a renewed one if it is not taken."""
        token = await self.valid_access_token()
        try:
            return await call(token)
        except AccessRejected:
            renewed = await self.valid_access_token(token)
            return await self._once_more(lambda: call(renewed))

    async def with_refresh_token(self, call: Callable[[Secret], Awaitable[_Result]]) -> _Result:
        """Make a call that App Services authorises by the refresh token; see `with_access_token`."""
        await self.valid_access_token()
        try:
            return await call(self._present_refresh_token())
        except AccessRejected:
            await self._token(WAIT_SECONDS, renew=True)
            return await self._once_more(lambda: call(self._present_refresh_token()))

    async def _once_more(self, call: Callable[[], Awaitable[_Result]]) -> _Result:
        try:
            return await call()
        except AccessRejected:
            what = "the server does not take a token that it has just renewed"
            remedy = "Check the server's clock and its keys"
            raise UnexpectedAnswer(what, status=401, remedy=remedy) from None

    def _present_refresh_token(self) -> Secret:
        token = self.refresh_token
        if token is None:  # logged out since the look before
            raise AccessRejected
        return token

    async def _token(
        self, seconds: float, *, rejected: Secret | None = None, renew: bool = False
    ) -> Secret:
        self._check()
        driver = self._app.driver
        until = driver.now() + seconds
        token: Secret = await driver.ask(
            lambda request: inputs.TokenWanted(request, self.id, until, rejected, renew)
        )
        return token

    # --- for the App -----------------------------------------------------------------------------

    def die(self) -> None:
        """Be removed: nothing of this handle works any more."""
        self._removed = True

    def _account(self) -> Account:
        self._check()
        return self._app.account_of(self.id)

    def _check(self) -> None:
        if self._removed:
            raise removed_error()


def removed_error() -> UserRemovedError:
    """Return the error for whoever asks something of a user who is not there any more."""
    what = "this user was removed from this device"
    return UserRemovedError(what, remedy="Log in again, and use the user that log_in returns")


class Functions:
    """The functions of the server, called as one user."""

    def __init__(self, user: User) -> None:
        """Made by `User.functions` alone."""
        self._user = user

    async def call(self, name: str, *arguments: Any, service: str | None = None) -> Any:
        """Call a function and return its result.

        Arguments and result are values of Extended JSON: see `syncauth.ejson`.

        Raises:
            FunctionFailed: the server refused the call, or the function failed.
            ReloginRequiredError, TokenUnavailableError, NotLoggedInError: there is no session now.
            UnreachableError, ProtocolError: the server could not be asked.
        """
        user = self._user
        accounts = user._app.accounts  # noqa: SLF001 - a part of the user
        return await user.with_access_token(
            lambda token: accounts.call_function(token, name, arguments, service)
        )


class ApiKeys:
    """The keys of one user."""

    def __init__(self, user: User) -> None:
        """Made by `User.api_keys` alone."""
        self._user = user
        self._accounts = user._app.accounts  # noqa: SLF001 - a part of the user

    async def create(self, name: str) -> ApiKey:
        """Make a key; `ApiKey.key` is told here alone. Raises `CredentialsRefused` and as a call."""
        return await self._call(lambda token: self._accounts.create_api_key(token, name))

    async def fetch_all(self) -> Sequence[ApiKey]:
        """Return all keys."""
        return await self._call(self._accounts.api_keys)

    async def fetch(self, key_id: str) -> ApiKey:
        """Return one key."""
        return await self._call(lambda token: self._accounts.api_key(token, key_id))

    async def delete(self, key_id: str) -> None:
        """Delete a key: it logs nobody in any more."""
        await self._call(lambda token: self._accounts.delete_api_key(token, key_id))

    async def enable(self, key_id: str) -> None:
        """Let a key be used again."""
        await self._call(lambda token: self._accounts.enable_api_key(token, key_id, enabled=True))

    async def disable(self, key_id: str) -> None:
        """Let a key log nobody in for now."""
        await self._call(lambda token: self._accounts.enable_api_key(token, key_id, enabled=False))

    async def _call(self, call: Callable[[Secret], Awaitable[_Result]]) -> _Result:
        return await self._user.with_refresh_token(call)
