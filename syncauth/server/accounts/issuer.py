"""
The token issuer: signs and verifies the server's own tokens; those of others are `foreign_tokens`.

Tokens are JWTs (RFC 7519) with the claims of App Services, signed with ES256 (RFC 7518 section
3.4). The algorithm is fixed here; what a token's header says about it can only make the token
invalid (RFC 8725 section 3.1), and its `kid` chooses among our own keys alone. This module must never
read a clock, and never show a token's text in an error.
"""

from __future__ import annotations

import enum
import hashlib
import math
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import msgspec

from syncauth.models import Secret
from syncauth.server.accounts import es256
from syncauth.server.accounts.signing_keys import SigningKeys
from syncauth.server.stores.interface import SessionRecord

LONGEST_TOKEN: Final = 64_000
"""Characters; a longer text is refused unread."""


class TokenFault(enum.Enum):
    """Why a token is not accepted."""

    INVALID = "invalid"  # not a token of this server and app, or of the other type
    EXPIRED = "expired"  # one of ours, whose end has come
    UNCHECKED = "unchecked"  # of another issuer, whose keys cannot be had now


@dataclass(frozen=True, slots=True)
class Issued:
    """A token that was just signed; `expires_at` in wall-clock seconds."""

    text: Secret
    expires_at: int


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says; `expires_at` in wall-clock seconds."""

    user_id: str
    session_id: str
    expires_at: float
    custom_data: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """All that an access token of ours says; `issued_at` in wall-clock seconds."""

    claims: Claims
    issued_at: int
    device_id: str
    domain_id: str


class _AccessPayload(msgspec.Struct, frozen=True):
    typ: Literal["access"]
    sub: str
    iss: str
    exp: int
    baas_domain_id: str
    iat: int = 0
    baas_device_id: str = ""
    user_data: dict[str, Any] | None = None


class _Identity(msgspec.Struct, frozen=True):
    id: str = ""
    provider_type: str = ""


class _RefreshPayload(msgspec.Struct, frozen=True):
    typ: Literal["refresh"]
    sub: str
    baas_id: str
    exp: int
    baas_domain_id: str
    baas_device_id: str = ""
    baas_identity: _Identity = _Identity()


class _AdminPayload(msgspec.Struct, frozen=True):
    typ: Literal["admin"]
    sub: str
    exp: int
    baas_domain_id: str


_P = TypeVar("_P", _AccessPayload, _RefreshPayload, _AdminPayload)


def domain_id(app_id: str) -> str:
    """Return the 24 hexadecimal digits by which tokens and profiles name the app."""
    return hashlib.sha256(app_id.encode()).hexdigest()[:24]


def token_hash(token: Secret) -> bytes:
    """Return the SHA-256 under which stores keep a token (it is random: no salt is needed)."""
    return hashlib.sha256(token.reveal().encode("utf-8", "surrogatepass")).digest()


class Issuer:
    """Signs and verifies the tokens of one app with the server's keys."""

    def __init__(self, keys: SigningKeys, app_id: str) -> None:
        """Take the keys of the data directory."""
        self._keys = keys
        self._domain = domain_id(app_id)

    def access_token(self, session: SessionRecord, *, now: float, life: float) -> Issued:
        """Sign an access token for `life` seconds, or until the session ends if that is sooner.

        `exp` is a whole second (RFC 7519 section 4.1.4 allows parts, native SDKs do not): it is
        rounded up, so that no client finds a shorter life than was configured.
        """
        expires_at = math.ceil(min(now + life, session.expires_at))
        claims = self._claims(session, "access", now, expires_at)
        claims["iss"] = session.session_id
        if session.custom_data is not None:
            claims["user_data"] = session.custom_data
        return self._sign(claims, now, expires_at)

    def refresh_token(self, session: SessionRecord, *, now: float, unique: bytes) -> Issued:
        """Sign a refresh token that ends with the session; `unique` are random bytes, its `jti`."""
        expires_at = math.ceil(session.expires_at)
        claims = self._claims(session, "refresh", now, expires_at)
        claims["jti"] = unique.hex()
        claims["baas_id"] = session.session_id
        claims["baas_data"] = None
        claims["baas_identity"] = {
            "id": session.identity_id,
            "provider_type": session.provider_type,
            "provider_id": domain_id(session.provider_type),
        }
        return self._sign(claims, now, expires_at)

    def verify_access(self, token: Secret, now: float) -> Claims | TokenFault:
        """Check signature, app, type and end of an access token. The session is not looked at."""
        payload = self._verified(token, _AccessPayload, now)
        if payload is None:
            return TokenFault.INVALID
        if payload.exp <= now:
            return TokenFault.EXPIRED
        return Claims(payload.sub, payload.iss, payload.exp, payload.user_data)

    def verify_refresh(self, token: Secret, now: float) -> Claims | TokenFault:
        """Check signature, app, type and end of a refresh token. The session is not looked at."""
        told = self.read_refresh(token, now)
        if isinstance(told, TokenFault):
            return told
        return Claims(told.user_id, told.session_id, told.expires_at)

    def read_refresh(self, token: Secret, now: float) -> SessionRecord | TokenFault:
        """Check as above, and return the session as the token tells it, good for signing its successor.

        Whether it rotates, how it stands and its custom data are for the store to say.
        """
        payload = self._verified(token, _RefreshPayload, now)
        if payload is None:
            return TokenFault.INVALID
        if payload.exp <= now:
            return TokenFault.EXPIRED
        return SessionRecord(
            session_id=payload.baas_id,
            user_id=payload.sub,
            device_id=payload.baas_device_id,
            identity_id=payload.baas_identity.id,
            provider_type=payload.baas_identity.provider_type,
            rotates=True,
            expires_at=payload.exp,
            end_reason=None,
            custom_data=None,
        )

    def public_keys(self, now: float) -> list[dict[str, Any]]:
        """Return the keys with which others verify access tokens, as JSON Web Keys (RFC 7517)."""
        return self._keys.published(now)

    def read_access(self, token: Secret, now: float) -> AccessToken | None:
        """Check signature, app and type of an access token, and tell what it says, ended or not."""
        payload = self._verified(token, _AccessPayload, now)
        if payload is None:
            return None
        claims = Claims(payload.sub, payload.iss, payload.exp, payload.user_data)
        return AccessToken(claims, payload.iat, payload.baas_device_id, payload.baas_domain_id)

    def admin_token(self, key_id: str, *, now: float, life: float) -> Issued:
        """Sign what an admin key is exchanged for; it opens no session and is no user's."""
        expires_at = math.ceil(now + life)
        claims = {
            "sub": key_id,
            "iat": math.floor(now),
            "exp": expires_at,
            "typ": "admin",
            "baas_domain_id": self._domain,
        }
        return self._sign(claims, now, expires_at)

    def verify_admin(self, token: Secret, now: float) -> str | None:
        """Return the id of the admin key whose token this is, while it lives; the key is not looked at."""
        payload = self._verified(token, _AdminPayload, now)
        return None if payload is None or payload.exp <= now else payload.sub

    def _claims(
        self, session: SessionRecord, kind: str, now: float, expires_at: int
    ) -> dict[str, Any]:
        return {
            "sub": session.user_id,
            "iat": math.floor(now),
            "exp": expires_at,
            "typ": kind,
            "baas_device_id": session.device_id,
            "baas_domain_id": self._domain,
        }

    def _sign(self, claims: dict[str, Any], now: float, expires_at: int) -> Issued:
        own = self._keys.signing(now)
        return Issued(Secret(es256.sign(claims, own.key, own.kid)), expires_at)

    def _verified(self, token: Secret, shape: type[_P], now: float) -> _P | None:
        """Return the payload if the signature is ours and it has that shape, else None."""
        text = token.reveal()
        if len(text) > LONGEST_TOKEN or not text.isascii() or text.count(".") != 2:  # noqa: PLR2004 - RFC 7515 section 7.1
            return None
        # Whatever is no refresh token is short-lived: keys that were retired long ago sign none.
        short = not issubclass(shape, _RefreshPayload)
        content = es256.verified(text, lambda kid: self._keys.key_of(kid, now=now, access=short))
        if content is None:
            return None
        try:
            payload = msgspec.json.decode(content, type=shape)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None  # what exactly is wrong is of use to a forger only
        return payload if payload.baas_domain_id == self._domain else None
