"""An issuer of handwritten answers: its metadata, its keys, and tokens right or wrong."""

from __future__ import annotations

import base64
import json
from email.utils import formatdate
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from syncauth.adapters.oauth_provider import OAuthProvider
from syncauth.models import Secret
from tests.support.odd_server import OddServer, json_answer

DISCOVERY = "/.well-known/openid-configuration"
FALLBACK = "/.well-known/oauth-authorization-server"
TOKEN, DEVICE, REVOKE = "/token", "/device", "/revoke"
USERINFO, JWKS = "/userinfo", "/jwks"
CLIENT = "field-notes"
OLD = Secret("an-old-refresh-token")
PASSWORD = "correct horse battery staple"
NOW = 1_700_000_000
"""What the issuer's clock says: far from that of this machine."""

KEY = ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256"}, private=True)
OTHER = ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256"}, private=True)
SHARED = OctKey.import_key("a secret that both sides know, or guess")


def describe(issuer: OddServer, /, **changes: Any) -> None:
    """Tell these metadata from now on."""
    names = {
        "issuer": issuer.url,
        "token_endpoint": issuer.url + TOKEN,
        "authorization_endpoint": issuer.url + "/authorize",
        "device_authorization_endpoint": issuer.url + DEVICE,
        "revocation_endpoint": issuer.url + REVOKE,
        "jwks_uri": issuer.url + JWKS,
    }
    issuer.reply(DISCOVERY, json_answer(200, names | changes))
    issuer.reply(JWKS, json_answer(200, {"keys": [KEY.as_dict(private=False)]}))
    issuer.reply(REVOKE, json_answer(200, {}))


def provider_of(issuer: OddServer, **settings: Any) -> OAuthProvider:
    """Make a provider whose deadline a passing test never meets; the test closes it."""
    return OAuthProvider(issuer.url, CLIENT, **({"deadline": 5.0} | settings))


def tokens(**more: Any) -> bytes:
    """Write what a token endpoint gives; a None takes a member away."""
    body = {
        "access_token": "an-access-token",
        "token_type": "Bearer",
        "expires_in": 600,
        "refresh_token": "a-new-refresh-token",
    } | more
    given = {name: value for name, value in body.items() if value is not None}
    return json_answer(200, given, Date=formatdate(NOW, usegmt=True))


def denial(status: int, code: str, text: str = "", **headers: str) -> bytes:
    """Write the error JSON of RFC 6749."""
    return json_answer(status, {"error": code, "error_description": text}, **headers)


def claims_of(issuer: OddServer, **changes: Any) -> dict[str, Any]:
    """Return the claims of an ID token; a None of `changes` stays, as null."""
    right = {"iss": issuer.url, "aud": CLIENT, "sub": "u1", "iat": NOW - 1, "exp": NOW + 600}
    return right | changes


def signed(
    claims: Any, *, key: Any = KEY, alg: str = "ES256", kid: str | None = "k1", **header: Any
) -> str:
    """Sign claims; they need not be claims."""
    head = {"alg": alg} | ({"kid": kid} if kid else {}) | header
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    return jws.serialize_compact(head, json.dumps(claims).encode(), key, registry=registry)


def unsigned(claims: Any) -> str:
    """Write a token with the algorithm none."""
    parts = (json.dumps(part).encode() for part in ({"alg": "none", "kid": "k1"}, claims))
    head, payload = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    return f"{head}.{payload}."
