"""
The user's access token as a header, for any client that is not of `httpx`'s kind (RFC 6750 section 2.1).

The headers are for one request to one URL. The caller sends them nowhere else and follows no redirect with them. This
module must never print a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from syncauth.adapters.bearer_origins import Origin, origin_of_text
from syncauth.adapters.bearer_tokens import TokenSource
from syncauth.models import Secret

_HEADER: Final = "Authorization"
_SCHEME: Final = "Bearer "


class BearerHeaders(dict[str, str]):
    """Headers of one request; their texts are not printed (I10)."""

    def __repr__(self) -> str:
        """Show the names alone."""
        return f"<headers {', '.join(self) or 'none'}>"

    __str__ = __repr__


class HeaderProvider:
    """Gives the header for a URL, or none if its origin is not listed."""

    def __init__(self, tokens: TokenSource, origins: frozenset[Origin]) -> None:
        """Give the token to these origins alone."""
        self._tokens = tokens
        self._origins = origins

    def __repr__(self) -> str:
        """Name the origins."""
        return f"<HeaderProvider for {', '.join(sorted(map(str, self._origins)))}>"

    async def headers(self, url: str, *, refused: Mapping[str, str] | None = None) -> BearerHeaders:
        """Return {"Authorization": "Bearer …"} for a listed origin, else {}; in the App's own loop.

        Args:
            url: where the request goes, whole, with its scheme: http, https, ws or wss.
            refused: the headers of a request that was answered with 401. Their token is renewed if it is still the
                present one; send the request once more with what is returned, and not a third time.

        Raises:
            TokenUnavailableError, ReloginRequiredError, NotLoggedInError, UserRemovedError: there is no token now.
        """
        if origin_of_text(str(url)) not in self._origins:
            return BearerHeaders()
        rejected = _token_of(refused)
        token = None if rejected else self._tokens.usable_access_token()
        return _header(token or await self._tokens.valid_access_token(rejected))

    def headers_now(self, url: str, *, refused: Mapping[str, str] | None = None) -> BearerHeaders:
        """Return the same in any other thread, which waits; raises `Closed` in the App's own loop as well."""
        if origin_of_text(str(url)) not in self._origins:
            return BearerHeaders()
        rejected = _token_of(refused)
        token = None if rejected else self._tokens.usable_access_token()
        return _header(token or self._tokens.valid_access_token_now(rejected))


def _token_of(headers: Mapping[str, str] | None) -> Secret | None:
    shown = (headers or {}).get(_HEADER, "")
    return Secret(shown.removeprefix(_SCHEME)) if shown.startswith(_SCHEME) else None


def _header(token: Secret) -> BearerHeaders:
    return BearerHeaders({_HEADER: f"{_SCHEME}{token.reveal()}"})
