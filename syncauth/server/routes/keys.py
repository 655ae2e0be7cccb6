"""
`GET /.well-known/jwks.json`: the public keys with which other services verify access tokens (RFC 7517 section 5).

This module must never answer with a private key.
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncauth.interfaces import Clock
from syncauth.server.accounts.issuer import Issuer

PATH: Final = "/.well-known/jwks.json"

SECONDS_TO_KEEP: Final = 300
"""For caches: the key that signs next is in the set long before, and a retired one longer than its tokens live."""


def keys_route(issuer: Issuer, clock: Clock) -> Route:
    """Return the route; the keys are public, so that any caller may have them."""

    async def answer(_request: Request) -> Response:
        return Response(
            msgspec.json.encode({"keys": issuer.public_keys(clock.wall())}),
            headers={"Cache-Control": f"public, max-age={SECONDS_TO_KEEP}"},
            media_type="application/jwk-set+json",
        )

    return Route(PATH, answer, methods=["GET"])
