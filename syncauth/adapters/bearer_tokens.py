"""
What the app's own requests need of one user's tokens, as a protocol; whoever owns the session implements it.

This module must never have behaviour.
"""

from __future__ import annotations

from typing import Protocol

from syncauth.models import Secret


class TokenSource(Protocol):
    """One user's access token.

    `rejected` is a token that a server did not take. If it is still the present one, it counts as dead from then on
    and is renewed, whoever asks joining the one refresh; if another has taken its place, that one is returned at once.
    """

    async def valid_access_token(self, rejected: Secret | None = None) -> Secret:
        """Return a usable token, renewed if need be; for coroutines in the App's own loop.

        Raises `TokenUnavailableError`, `ReloginRequiredError`, `NotLoggedInError`, `UserRemovedError`, `Closed`.
        """
        ...

    def valid_access_token_now(self, rejected: Secret | None = None) -> Secret:
        """Return the same to any other thread, which waits; raises `Closed` in the App's own loop as well."""
        ...

    def usable_access_token(self) -> Secret | None:
        """Return the present token if it is usable now; waits for nothing, in any thread."""
        ...

    def remaining_life(self) -> float:
        """Tell how many seconds of monotonic time the present token has left; 0 if there is none."""
        ...
