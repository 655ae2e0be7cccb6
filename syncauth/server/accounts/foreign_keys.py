"""
The keys of other issuers: read from a file or the environment, or chosen out of a published set.

A key counts only if it is of the kind that the settings' algorithm needs, and strong enough for it (RFC 7518 sections
3.2 to 3.4). Of a published set, keys that are not understood or are meant for something else are passed over (RFC 7517
section 5). This module must never let a key's text into an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey

from syncauth.server.accounts import secret_sources
from syncauth.server.settings.issuers import Algorithm, TokenIssuer
from syncauth.server.settings.section import refusal

Key = OctKey | RSAKey | ECKey
KINDS: Final[dict[Algorithm, type[Key]]] = {"HS256": OctKey, "RS256": RSAKey, "ES256": ECKey}
KEY_TYPES: Final[dict[Algorithm, str]] = {"HS256": "oct", "RS256": "RSA", "ES256": "EC"}

SHORTEST_SECRET: Final = 32
"""Bytes of an HS256 key (RFC 7518 section 3.2)."""

SHORTEST_RSA: Final = 2048
"""Bits of an RS256 key (RFC 7518 section 3.3)."""

MOST_KEYS: Final = 16
"""So many keys of a set are looked at for one algorithm; each may cost a token one check."""


def read_key(settings: TokenIssuer) -> Key:
    """Return the key that the settings name.

    Raises:
        InvalidConfig: it is missing, or not one for the algorithm.
    """
    setting = f"{settings.name}.{'key_env' if settings.key_env else 'key_file'}"
    shared = settings.algorithm == "HS256"
    text = secret_sources.read_key(
        f"{settings.name}.key", env=settings.key_env, file=settings.key_file, public=not shared
    )
    if shared:
        text = text.strip()
        if len(text) < SHORTEST_SECRET:
            raise refusal(setting, "the secret is too short", f"It has {SHORTEST_SECRET} bytes")
    try:
        key = KINDS[settings.algorithm].import_key(text)
    except (JoseError, ValueError, TypeError):
        key = None
    if key is None or not _fits(key, settings.algorithm):
        # Raised here, not while the other is handled: its text might hold a part of the key.
        remedy = f"Give a key for {settings.algorithm}, in PEM"
        raise refusal(setting, "it is no such key", remedy)
    return key


def read_published(content: dict[str, Any], algorithm: Algorithm) -> tuple[Key, ...]:
    """Return the keys of a set that may have signed under an algorithm."""
    found: list[Key] = []
    for told in content["keys"]:
        if not isinstance(told, dict) or told.get("kty") != KEY_TYPES[algorithm]:
            continue
        if told.get("use", "sig") != "sig" or told.get("alg", algorithm) != algorithm:
            continue
        if algorithm == "RS256" and len(str(told.get("n"))) < SHORTEST_RSA // 6:  # base64url
            continue  # unread: joserfc warns of it
        try:
            key = KINDS[algorithm].import_key(told)
        except (JoseError, ValueError, KeyError, TypeError):
            continue
        if _fits(key, algorithm):
            found.append(key)
    return tuple(found[:MOST_KEYS])


def candidates(keys: Sequence[Key], kid: str | None) -> list[Key]:
    """Return the keys that a token may be signed with: those of its `kid`, or all if it names none.

    Two keys may bear one `kid`, for instance while an issuer goes from one to the next.
    """
    return [key for key in keys if kid is None or key.kid == kid]


def _fits(key: object, algorithm: Algorithm) -> bool:
    if isinstance(key, RSAKey):
        return algorithm == "RS256" and key.raw_value.key_size >= SHORTEST_RSA
    if isinstance(key, ECKey):
        return algorithm == "ES256" and key.curve_name == "P-256"
    return isinstance(key, OctKey) and algorithm == "HS256"
