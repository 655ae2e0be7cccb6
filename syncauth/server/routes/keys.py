"""
`GET /.well-known/jwks.json`: the public keys with which other services verify access tokens (RFC 7517 section 5).

This module must never answer with a private key.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncauth.interfaces import Clock
from syncauth.server.accounts.issuer import Issuer
from syncauth.server.routes.operations import Operation

PATH: Final = "/.well-known/jwks.json"

SECONDS_TO_KEEP: Final = 300
"""For caches: the key that signs next is in the set long before, and a retired one longer than its tokens live."""


class _KeySet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Public keys, each a JSON Web Key (RFC 7517 section 4)."""

    keys: list[dict[str, Any]]


MEDIA: Final = "application/jwk-set+json"
OPERATIONS: Final = (
    Operation("GET", PATH, "Give the keys that verify access tokens", {200: _KeySet}, media=MEDIA),
)


def keys_route(issuer: Issuer, clock: Clock) -> Route:
    """Return the route; the keys are public, so that any caller may have them."""

    async def answer(_request: Request) -> Response:
        return Response(
            msgspec.json.encode(_KeySet(issuer.public_keys(clock.wall()))),
            headers={"Cache-Control": f"public, max-age={SECONDS_TO_KEEP}"},
            media_type=MEDIA,
        )

    return Route(PATH, answer, methods=["GET"])
