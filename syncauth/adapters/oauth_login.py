"""
From the answer of a token endpoint to a login: whose it is, with which tokens and which profile.

The user is named by a verified ID token, by the userinfo endpoint, or by a verified access token, as
the app has said; nothing else is believed. This module must never log, and never put a token into a
text.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from syncauth.adapters import oauth_identity
from syncauth.adapters.oauth_answers import (
    Answer,
    Granted,
    Malformed,
    Outcome,
    Silence,
    read_object,
    read_tokens,
)
from syncauth.adapters.oauth_discovery import OAuthEndpoints
from syncauth.adapters.oauth_judgement import refusal
from syncauth.errors import InvalidConfig, SyncAuthError, UnexpectedAnswer
from syncauth.models import ANONYMOUS_DEVICE, Login, Secret

UserIdFrom = Literal["id_token", "userinfo", "access_token"]
PLACES: Final = ("id_token", "userinfo", "access_token")
_UNUSABLE: Final = "the issuer's answer to the login cannot be used"


class _Get(Protocol):
    def __call__(self, url: str, *, bearer: Secret | None = None) -> Awaitable[Outcome]: ...


def read_grant(answer: Answer) -> Granted:
    """Return what the token endpoint gave.

    Raises:
        UnexpectedAnswer: it is no grant, or one that could not be renewed.
    """
    try:
        granted = read_tokens(answer)
    except Malformed as error:
        raise unusable(_UNUSABLE, answer, error.why) from None
    if granted.refresh is None:
        remedy = "Ask for the scope offline_access, or let the client have refresh tokens"
        raise unusable(_UNUSABLE, answer, "it has no refresh token", remedy)
    return granted


@dataclass(frozen=True, slots=True)
class LoginReader:
    """Reads logins of one client at one issuer; `get` fetches a document, with a token if given."""

    issuer: str
    client_id: str
    user_id_from: UserIdFrom
    user_claim: str
    endpoints: OAuthEndpoints
    get: _Get

    async def read(self, answer: Answer, granted: Granted, nonce: str | None) -> Login:
        """Return the login; `nonce` is what its ID token must hold.

        Raises:
            UnexpectedAnswer: it names nobody, or what names somebody cannot be believed.
            InvalidConfig: the issuer has not what `user_id_from` asks for.
            ServerUnreachable, ServerBusy: keys or userinfo could not be fetched.
        """
        try:
            claims = await self._claims(answer, granted, nonce)
            subject = oauth_identity.subject_of(claims, self.user_claim)
            pair = granted.pair()
        except Malformed as error:
            raise unusable(_UNUSABLE, answer, error.why) from None
        profile = oauth_identity.profile_of(claims, subject, self.issuer)
        return Login(
            oauth_identity.user_id_of(self.issuer, subject), ANONYMOUS_DEVICE, pair, profile
        )

    async def _claims(self, answer: Answer, granted: Granted, nonce: str | None) -> dict[str, Any]:
        if self.user_id_from == "userinfo":
            return await self._userinfo(granted.access)
        keys = await self._document(self.endpoints.jwks_uri, "jwks_uri")
        if self.user_id_from == "access_token":
            return oauth_identity.verify(
                granted.access, keys, issuer=self.issuer, at=answer.sent_at
            )
        if granted.id_token is None:
            remedy = "Ask for the scope openid, or set user_id_from"
            raise unusable("the issuer gave no ID token", answer, "", remedy)
        claims = oauth_identity.verify_id_token(
            granted.id_token,
            keys,
            issuer=self.issuer,
            client_id=self.client_id,
            nonce=nonce,
            at=answer.sent_at,
        )
        return await self._with_userinfo(granted.access, claims)

    async def _with_userinfo(self, access: Secret, claims: dict[str, Any]) -> dict[str, Any]:
        """Add what the userinfo endpoint tells; a login does not fail for want of it.

        Raises:
            Malformed: it tells of another user (OpenID Connect Core 1.0, section 5.3.2).
        """
        if not self.endpoints.userinfo_endpoint:
            return claims
        try:
            told = await self._userinfo(access)
        except (SyncAuthError, Malformed):
            return claims
        if told.get("sub") != claims.get("sub"):
            raise Malformed("ID token and userinfo endpoint name different users")
        return told | claims

    async def _userinfo(self, access: Secret) -> dict[str, Any]:
        return await self._document(self.endpoints.userinfo_endpoint, "userinfo_endpoint", access)

    async def _document(self, url: str, name: str, bearer: Secret | None = None) -> dict[str, Any]:
        """Fetch a JSON object of the issuer's."""
        if not url:
            what, remedy = f"the issuer has no {name}", "Set user_id_from, or give endpoints"
            raise InvalidConfig(what, setting="user_id_from", remedy=remedy)
        outcome = await self.get(url, bearer=bearer)
        if isinstance(outcome, Silence) or not outcome.granted:
            raise refusal(outcome, secrets=() if bearer is None else (bearer,))
        return read_object(outcome)


def unusable(what: str, answer: Answer, why: str, remedy: str = "") -> UnexpectedAnswer:
    """Return the error for an answer that grants and cannot be used."""
    remedy = remedy or "Check the issuer and its client"
    return UnexpectedAnswer(what, status=answer.status, why=why, remedy=remedy)
