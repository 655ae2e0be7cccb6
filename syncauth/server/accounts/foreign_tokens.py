"""
JSON Web Tokens of other issuers, for the logins that take them and for the sync socket.

Issuer, audience, algorithm and key are fixed by the settings (RFC 8725 sections 3.1, 3.8 and 3.9); of the token's
header only `kid` is looked at, to choose among the issuer's own keys, and `typ`, which can only make a token invalid
(RFC 8725 section 3.11). `iss`, `sub`, `aud` and `exp` are mandatory. This module must never say more to a caller than
that a token is invalid, has expired or cannot be checked now, and never read a clock.
"""

from __future__ import annotations

import base64
import binascii
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError

from syncauth.models import Secret
from syncauth.server.accounts.claim_paths import ABSENT, find_claim, has_required
from syncauth.server.accounts.foreign_keys import Key, candidates, read_key, read_published
from syncauth.server.accounts.jwks import KeySetContent, PublishedKeys
from syncauth.server.settings.issuers import Provider, TokenIssuer, Use

LONGEST_TOKEN: Final = 16_000
LONGEST_SUBJECT: Final = 255
LATEST: Final = 253_402_300_799
"""The last second of the year 9999: a later end is a mistake, and one of 300 digits no time to reckon with."""

JWT_PARTS: Final = 3  # RFC 7515 section 7.1

ACCESS_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
"""What an access token calls itself (RFC 9068 section 2.1)."""

PLAIN_TYPES: Final = frozenset({None, "jwt", "application/jwt"})
TYPES: Final = {"access": ACCESS_TYPES, "id": PLAIN_TYPES, "any": ACCESS_TYPES | PLAIN_TYPES}


class ForeignFault(enum.Enum):
    """Why a token is not accepted, in the words for its bearer."""

    INVALID = "signature is invalid"
    EXPIRED = "token expired"
    UNCHECKED = "the keys of the token's issuer cannot be had now"


@dataclass(frozen=True, slots=True)
class ForeignUser:
    """Whom a token names, until when (wall clock), and what of its claims goes into the user's data.

    `provider` is the type of the identity.
    """

    provider: Provider
    issuer: str
    subject: str
    expires_at: float
    data: dict[str, Any]


class _Header(msgspec.Struct, frozen=True):
    kid: str | None = None
    typ: str | None = None


class _Named(msgspec.Struct, frozen=True):
    iss: str


class _Payload(msgspec.Struct, frozen=True):
    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    nbf: float = 0
    azp: str | None = None
    client_id: str | None = None


class ForeignTokens:
    """The accepted issuers with their keys."""

    def __init__(self, issuers: tuple[TokenIssuer, ...]) -> None:
        """Read the keys that the settings name.

        Raises:
            InvalidConfig: a key is missing or not one for the algorithm.
        """
        self._issuers = issuers
        self._keys: dict[str, tuple[Key, ...]] = {}
        self._published: dict[str, PublishedKeys] = {}
        self._read: dict[str, tuple[KeySetContent, tuple[Key, ...]]] = {}
        for each in issuers:
            if each.discovery:
                self._published[each.name] = PublishedKeys(issuer=each.issuer)
            elif each.jwks_url:
                self._published[each.name] = PublishedKeys(url=each.jwks_url)
            else:
                self._keys[each.name] = (read_key(each),)

    def any_for(self, use: Use) -> bool:
        """Tell whether there is any issuer for that use."""
        return any(each.serves(use) for each in self._issuers)

    def concern(self, token: Secret, use: Use) -> bool:
        """Tell whether a token says it is of an issuer for that use; nothing is believed yet."""
        named = _peek(token.reveal(), 1, _Named) if self.any_for(use) else None
        return named is not None and self._settings(named.iss, use) is not None

    async def verify(
        self, token: Secret, use: Use, *, wall: float, now: float
    ) -> ForeignUser | ForeignFault:
        """Return whom the token names, or why not.

        `wall` judges the token's times, monotonic `now` the age of fetched keys.
        """
        text = token.reveal()
        header, claimed = _peek(text, 0, _Header), _peek(text, 1, _Payload)
        settings = self._settings(claimed.iss, use) if claimed else None
        if settings is None or header is None:
            return ForeignFault.INVALID
        if (header.typ.lower() if header.typ else None) not in TYPES[settings.token]:
            return ForeignFault.INVALID
        claims = await self._verified(text, settings, header.kid, now)
        return claims if isinstance(claims, ForeignFault) else _judge(claims, settings, wall)

    def _settings(self, issuer: str, use: Use) -> TokenIssuer | None:
        found = (each for each in self._issuers if each.issuer == issuer and each.serves(use))
        return next(found, None)

    async def _verified(
        self, text: str, settings: TokenIssuer, kid: str | None, now: float
    ) -> dict[str, Any] | ForeignFault:
        """Return the claims if a key of the issuer signed them; published keys are perhaps renewed."""
        if settings.name in self._keys:
            return _signed_by(self._keys[settings.name], text, settings) or ForeignFault.INVALID
        published = self._published[settings.name]
        tried: KeySetContent | None = None
        if (content := published.known(now)) is not None:
            tried, claims = content, self._signed(content, text, settings, kid)
            if claims is not None:
                return claims
        content = await published.renewed(now)
        if content is None:
            return ForeignFault.UNCHECKED
        claims = None if content is tried else self._signed(content, text, settings, kid)
        return claims or ForeignFault.INVALID

    def _signed(
        self, content: KeySetContent, text: str, settings: TokenIssuer, kid: str | None
    ) -> dict[str, Any] | None:
        read = self._read.get(settings.name)
        if read is None or read[0] is not content:
            read = (content, read_published(content, settings.algorithm))
            self._read[settings.name] = read
        return _signed_by(candidates(read[1], kid), text, settings)


def is_jwt(token: Secret) -> bool:
    """Tell whether a text has the form of a JWT, and not that of an opaque token; nothing is checked."""
    return _peek(token.reveal(), 0, _Header) is not None


def _judge(
    claims: dict[str, Any], settings: TokenIssuer, wall: float
) -> ForeignUser | ForeignFault:
    try:
        payload = msgspec.convert(claims, _Payload)
    except msgspec.ValidationError:
        return ForeignFault.INVALID
    good = (
        payload.iss == settings.issuer
        and _is_for_us(payload, settings)
        and _is_from_a_client(payload, settings)
        and 0 < len(payload.sub) <= LONGEST_SUBJECT
        and payload.sub.isprintable()
        and abs(payload.exp) <= LATEST
        and payload.nbf <= wall + settings.leeway_seconds
        and all(has_required(claims, name, allowed) for name, allowed in settings.required)
    )
    if not good:
        return ForeignFault.INVALID
    expires_at = payload.exp + settings.leeway_seconds
    if expires_at <= wall:
        return ForeignFault.EXPIRED
    return ForeignUser(
        provider=settings.provider,
        issuer=payload.iss,
        subject=payload.sub,
        expires_at=expires_at,
        data=_data(claims, settings),
    )


def _is_for_us(payload: _Payload, settings: TokenIssuer) -> bool:
    told = {payload.aud} if isinstance(payload.aud, str) else set(payload.aud)
    wanted = set(settings.audience)
    return wanted <= told if settings.audience_match == "all" else not wanted.isdisjoint(told)


def _is_from_a_client(payload: _Payload, settings: TokenIssuer) -> bool:
    """Check to whom it was issued: `azp` of ID tokens, `client_id` of access tokens.

    An ID token for several must say to whom (OpenID Connect Core 1.0, section 3.1.3.7).
    """
    told = {party for party in (payload.azp, payload.client_id) if party is not None}
    if settings.clients:
        return bool(told) and told <= set(settings.clients)
    if settings.token != "id":  # noqa: S105 - the name of a kind
        return True
    several = isinstance(payload.aud, list) and len(set(payload.aud)) > 1
    if payload.azp is None:
        return not several
    return payload.azp in settings.audience


def _data(claims: Mapping[str, Any], settings: TokenIssuer) -> dict[str, Any]:
    found = ((name, find_claim(claims, claim)) for claim, name in settings.fields)
    return {name: value for name, value in found if value is not ABSENT}


def _signed_by(
    keys: tuple[Key, ...] | list[Key], text: str, settings: TokenIssuer
) -> dict[str, Any] | None:
    registry = jws.JWSRegistry(algorithms=[settings.algorithm])
    for key in keys:
        try:
            return dict(jwt.decode(text, key, registry=registry).claims)
        except (JoseError, ValueError, TypeError, RecursionError):
            continue
    return None


def _peek(text: str, place: int, shape: type[Any]) -> Any:
    """Read a part of a token that nothing vouches for, or None if it is no token."""
    parts = text.split(".") if len(text) <= LONGEST_TOKEN and text.isascii() else []
    if len(parts) != JWT_PARTS:
        return None
    try:
        part = base64.urlsafe_b64decode(parts[place] + "=" * (-len(parts[place]) % 4))
        return msgspec.json.decode(part, type=shape)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        return None
