"""
JSON Web Tokens of other issuers, for the custom-token login.

Issuer, audience, algorithm and key are fixed by the settings (RFC 8725 sections 3.1, 3.8 and 3.9); of the token's
header only `kid` is looked at, to choose among the issuer's own keys. `iss`, `sub`, `aud` and `exp` are mandatory.
This module must never say more to a caller than that a token is invalid or has expired, and never read a clock.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from syncauth.models import Secret
from syncauth.server.accounts.jwks import PublishedKeys
from syncauth.server.accounts.secret_sources import read_key
from syncauth.server.settings.login import TokenIssuer
from syncauth.server.settings.section import refusal

LONGEST_TOKEN: Final = 16_000
LONGEST_SUBJECT: Final = 255
SHORTEST_SECRET: Final = 32
"""Bytes of an HS256 key (RFC 7518 section 3.2)."""

Key = OctKey | RSAKey | ECKey
KINDS: Final[dict[str, type[Key]]] = {"HS256": OctKey, "RS256": RSAKey, "ES256": ECKey}


@dataclass(frozen=True, slots=True)
class ForeignUser:
    """Whom a token names, and what of its claims the settings let into the user's data."""

    issuer: str
    subject: str
    data: dict[str, Any]


class _Header(msgspec.Struct, frozen=True):
    kid: str | None = None


class _Payload(msgspec.Struct, frozen=True):
    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    nbf: float = 0


class ForeignTokens:
    """The accepted issuers with their keys."""

    def __init__(self, issuers: tuple[TokenIssuer, ...]) -> None:
        """Read the keys that the settings name.

        Raises:
            InvalidConfig: a key is missing or not one for the algorithm.
        """
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._keys = {each.issuer: _read_key(each) for each in issuers if not each.jwks_url}
        self._published = {
            each.issuer: PublishedKeys(each.jwks_url) for each in issuers if each.jwks_url
        }

    def __bool__(self) -> bool:
        """Tell whether there is any issuer."""
        return bool(self._issuers)

    async def verify(self, token: Secret, *, wall: float, now: float) -> ForeignUser | str:
        """Return whom the token names, or why not: "token expired" or "signature is invalid".

        `wall` judges the token's times, monotonic `now` the age of fetched keys.
        """
        text = token.reveal()
        parts = text.split(".")
        if len(text) > LONGEST_TOKEN or not text.isascii() or len(parts) != 3:  # noqa: PLR2004 - RFC 7515 section 7.1
            return "signature is invalid"
        header, claimed = _peek(parts[0], _Header), _peek(parts[1], _Payload)
        settings = self._issuers.get(claimed.iss) if claimed else None
        if settings is None or header is None:
            return "signature is invalid"
        key = await self._key(settings, header.kid, now)
        claims = None if key is None else _verified(text, key, settings.algorithm)
        if claims is None:
            return "signature is invalid"
        return _judge(claims, settings, wall)

    async def _key(self, settings: TokenIssuer, kid: str | None, now: float) -> Key | None:
        if settings.issuer in self._keys:
            return self._keys[settings.issuer]
        published = self._published[settings.issuer]
        for fresh in (False, True):
            found = _choose(await published.get(now, fresh=fresh), settings.algorithm, kid)
            if found is not None:
                return found
        return None


def _judge(claims: dict[str, Any], settings: TokenIssuer, wall: float) -> ForeignUser | str:
    try:
        payload = msgspec.convert(claims, _Payload)
    except msgspec.ValidationError:
        return "signature is invalid"
    audience = {payload.aud} if isinstance(payload.aud, str) else set(payload.aud)
    if payload.iss != settings.issuer or audience.isdisjoint(settings.audience):
        return "signature is invalid"
    if not 0 < len(payload.sub) <= LONGEST_SUBJECT or payload.nbf > wall:
        return "signature is invalid"
    if payload.exp <= wall:
        return "token expired"
    data = {name: claims[claim] for claim, name in settings.fields if claim in claims}
    return ForeignUser(payload.iss, payload.sub, data)


def _verified(text: str, key: Key, algorithm: str) -> dict[str, Any] | None:
    try:
        registry = jws.JWSRegistry(algorithms=[algorithm])
        return dict(jwt.decode(text, key, registry=registry).claims)
    except (JoseError, ValueError, TypeError, RecursionError):
        return None


def _choose(content: dict[str, Any] | None, algorithm: str, kid: str | None) -> Key | None:
    """Choose among published keys of the right kind: the one of that `kid`, or the only one."""
    if content is None:
        return None
    try:
        keys = KeySet.import_key_set(content).keys  # type: ignore[arg-type]
    except (JoseError, ValueError, KeyError, TypeError):
        return None
    fit = [key for key in keys if isinstance(key, KINDS[algorithm]) and key.kid == kid]
    if kid is None:
        fit = [key for key in keys if isinstance(key, KINDS[algorithm])]
    only = fit[0] if len(fit) == 1 else None
    return only if isinstance(only, OctKey | RSAKey | ECKey) else None


def _peek(part: str, shape: type[Any]) -> Any:
    try:
        text = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        return msgspec.json.decode(text, type=shape)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        return None


def _read_key(settings: TokenIssuer) -> Key:
    setting = f"{settings.name}.{'key_env' if settings.key_env else 'key_file'}"
    shared = settings.algorithm == "HS256"
    text = read_key(
        f"{settings.name}.key", env=settings.key_env, file=settings.key_file, public=not shared
    )
    if shared:
        text = text.strip()
        if len(text) < SHORTEST_SECRET:
            raise refusal(setting, "the secret is too short", f"It has {SHORTEST_SECRET} bytes")
    try:
        key = KINDS[settings.algorithm].import_key(text)
    except (JoseError, ValueError, TypeError):
        # Not "from": its text might hold a part of the key.
        remedy = f"Give a key for {settings.algorithm}, in PEM"
        raise refusal(setting, "it is no such key", remedy) from None
    return key
