"""
Whose login it is: ID tokens and other signed claims, and the client's one door to `joserfc`.

A signature counts only under an algorithm of a fixed list of asymmetric ones: never `none`, and
never one whose key both sides share. Time is that of the issuer's own answer, since the clock of a
device may be months off. This module must never do I/O, and never put a token into a text.
"""

from __future__ import annotations

from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from syncauth.adapters.oauth_answers import Malformed
from syncauth.errors import InvalidToken
from syncauth.models import Identity, Profile, Secret
from syncauth.sansio.tokens import claims_of

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519", "EdDSA"),
)
LEEWAY_SECONDS: Final = 60.0
LONGEST_ID: Final = 255
"""The longest `sub` of OpenID Connect Core 1.0, section 2."""

_PROTOCOL: Final = frozenset(
    {"acr", "amr", "at_hash", "aud", "auth_time", "azp", "c_hash", "client_id", "exp", "iat", "iss"}
    | {"jti", "nbf", "nonce", "s_hash", "scope", "sid", "sub", "typ", "type"}
)
"""Claims that tell of the token and not of the person."""

Claims = dict[str, Any]


def verify_id_token(
    token: Secret, keys: Claims, *, issuer: str, client_id: str, nonce: str | None, at: float | None
) -> Claims:
    """Return the claims of an ID token (OpenID Connect Core 1.0, section 3.1.3.7).

    `keys` is a JWK Set, `at` the issuer's wall clock where it told it; `nonce` None for a grant
    that has none.

    Raises:
        Malformed: a signature or a claim is not as it must be.
    """
    claims = verify(token, keys, issuer=issuer, at=at)
    heard = claims.get("aud")
    heard = [heard] if isinstance(heard, str) else heard
    if not isinstance(heard, list) or client_id not in heard:
        raise Malformed("the ID token is for another client")
    if claims.get("azp", client_id) != client_id or (len(heard) > 1 and "azp" not in claims):
        raise Malformed("the ID token was issued to another client")
    if nonce is not None and claims.get("nonce") != nonce:
        raise Malformed("the ID token is not for this login: its nonce is another")
    return claims


def verify(token: Secret, keys: Claims, *, issuer: str, at: float | None) -> Claims:
    """Return the claims of a JWT that this issuer signed and whose time has not passed.

    Raises:
        Malformed: it is not so.
    """
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    try:
        key_set = KeySet.import_key_set(keys)  # type: ignore[arg-type]
        claims = jwt.decode(token.reveal(), key_set, registry=registry).claims
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # What the library says may quote the token.
        raise Malformed("a token's signature cannot be verified with the issuer's keys") from None
    if claims.get("iss") != issuer:
        raise Malformed("a token is of another issuer")
    for name in ("exp", "iat"):
        if type(claims.get(name)) not in (int, float):
            raise Malformed(f"a token's claim {name} is not a number")
    if claims["exp"] <= (claims["iat"] if at is None else at - LEEWAY_SECONDS):
        raise Malformed("a token has expired before it came")
    return claims


def subject_of(claims: Claims, claim: str) -> str:
    """Return the user's id at the issuer.

    Raises:
        Malformed: the claim is missing, or no id.
    """
    found = claims.get(claim)
    if type(found) is int:
        found = str(found)
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_ID or not found.isprintable():
        raise Malformed(f"the claim {claim!r}, which names the user, is no id")
    return found


def user_id_of(issuer: str, subject: str) -> str:
    """Return the id of a user: the subject alone is unique within its issuer only."""
    return f"{issuer}|{subject}"


def told_user(token: Secret, issuer: str, claim: str) -> str | None:
    """Return the user id that an ID token tells, unverified; None if it is none of this issuer's.

    It can only make a renewed pair refused: nobody becomes somebody by it.
    """
    try:
        claims = claims_of(token)
        same = claims.get("iss") == issuer
        return user_id_of(issuer, subject_of(claims, claim)) if same else None
    except (InvalidToken, Malformed):
        return None


def profile_of(claims: Claims, subject: str, provider: str) -> Profile:
    """Return what the claims tell of a person."""
    data = {name: value for name, value in claims.items() if name not in _PROTOCOL}
    return Profile(identities=(Identity(subject, provider),), data=data)
