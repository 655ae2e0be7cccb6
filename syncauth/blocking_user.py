"""
A user for programs without asyncio: the verbs of `syncauth.User`, each waited for.

Nothing is implemented here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from syncauth.adapters.bearer_headers import HeaderProvider
from syncauth.loop_thread import LoopThread
from syncauth.models import ApiKey, Credentials, Profile, Secret, SessionState
from syncauth.replica.adopting import Counts
from syncauth.user import WAIT_SECONDS, User as AsyncUser

if TYPE_CHECKING:
    import httpx


class User:
    """Someone who has logged in on this device at least once; see `syncauth.User`."""

    def __init__(self, thread: LoopThread, user: AsyncUser) -> None:
        """Made by the App alone."""
        self._thread = thread
        self.asynchronous = user
        self.id = user.id

    def __repr__(self) -> str:
        """Show the id and the state, and no token (I10)."""
        return repr(self.asynchronous)

    @property
    def removed(self) -> bool:
        """Whether this user was removed from the device."""
        return self.asynchronous.removed

    @property
    def state(self) -> SessionState:
        """Where this user's session stands."""
        return self._thread.run(lambda: self.asynchronous.state)

    @property
    def profile(self) -> Profile:
        """What the server told of the user when it was last asked."""
        return self._thread.run(lambda: self.asynchronous.profile)

    @property
    def custom_data(self) -> dict[str, Any]:
        """The custom data in the access token as it was last renewed."""
        return self._thread.run(lambda: self.asynchronous.custom_data)

    @property
    def access_token(self) -> Secret | None:
        """The access token as it is, perhaps ended."""
        return self._thread.run(lambda: self.asynchronous.access_token)

    @property
    def refresh_token(self) -> Secret | None:
        """The refresh token; it must go nowhere but to its issuer."""
        return self._thread.run(lambda: self.asynchronous.refresh_token)

    def valid_access_token(
        self, rejected: Secret | None = None, *, timeout: float = WAIT_SECONDS
    ) -> Secret:
        """Return an access token that may be sent, renewed if it has to be."""
        return self._thread.call(self.asynchronous.valid_access_token(rejected, timeout=timeout))

    def refresh_custom_user_data(self, timeout: float = WAIT_SECONDS) -> dict[str, Any]:
        """Renew the access token now, and return the custom data that the new one holds."""
        return self._thread.call(self.asynchronous.refresh_custom_user_data(timeout))

    def refresh_profile(self) -> Profile:
        """Ask the server anew who this user is."""
        return self._thread.call(self.asynchronous.refresh_profile())

    def link(self, credentials: Credentials) -> None:
        """Add a way to log in."""
        self._thread.call(self.asynchronous.link(credentials))

    def adopt(self) -> Mapping[str, Counts]:
        """Make every row of the guest's file a change of this user's, whose replica is open."""
        return self._thread.call(self.asynchronous.adopt())

    def http_auth(self, origins: Iterable[str] | None = None) -> httpx.Auth:
        """Return what lets the app's own requests bear this user's token."""
        return self.asynchronous.http_auth(origins)

    def http_headers(self, origins: Iterable[str] | None = None) -> HeaderProvider:
        """Return what gives the header for one request: use its `headers_now`."""
        return self.asynchronous.http_headers(origins)

    @property
    def functions(self) -> Functions:
        """The functions of the server, called as this user."""
        return Functions(self._thread, self.asynchronous)

    @property
    def api_keys(self) -> ApiKeys:
        """The keys by which programs log in as this user."""
        return ApiKeys(self._thread, self.asynchronous)


class Functions:
    """The functions of the server, called as one user."""

    def __init__(self, thread: LoopThread, user: AsyncUser) -> None:
        """Made by `User.functions` alone."""
        self._thread = thread
        self._user = user

    def call(self, name: str, *arguments: Any, service: str | None = None) -> Any:
        """Call a function and return its result."""
        return self._thread.call(self._user.functions.call(name, *arguments, service=service))


class ApiKeys:
    """The keys of one user."""

    def __init__(self, thread: LoopThread, user: AsyncUser) -> None:
        """Made by `User.api_keys` alone."""
        self._thread = thread
        self._user = user

    def create(self, name: str) -> ApiKey:
        """Make a key; its text is told here alone."""
        return self._thread.call(self._user.api_keys.create(name))

    def fetch_all(self) -> Sequence[ApiKey]:
        """Return all keys."""
        return self._thread.call(self._user.api_keys.fetch_all())

    def fetch(self, key_id: str) -> ApiKey:
        """Return one key."""
        return self._thread.call(self._user.api_keys.fetch(key_id))

    def delete(self, key_id: str) -> None:
        """Delete a key."""
        self._thread.call(self._user.api_keys.delete(key_id))

    def enable(self, key_id: str) -> None:
        """Let a key be used again."""
        self._thread.call(self._user.api_keys.enable(key_id))

    def disable(self, key_id: str) -> None:
        """Let a key log nobody in for now."""
        self._thread.call(self._user.api_keys.disable(key_id))
