"""
An OAuth 2.0 or OpenID Connect server as the app's identity provider.

It finds the endpoints, presents the client, and ties the parts of this family together: grants,
judgement, identity. Nothing is sent twice, and a user is named by issuer and subject, never by an
email address, which can change hands. This module must never log, and never put a token or a
password into a text.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

from syncauth.adapters import oauth_credentials, oauth_identity
from syncauth.adapters.oauth_answers import (
    Answer,
    Granted,
    Malformed,
    Outcome,
    Silence,
)
from syncauth.adapters.oauth_credentials import CODE, DEVICE, PASSWORD
from syncauth.adapters.oauth_discovery import (
    OAuthEndpoints,
    check_endpoints,
    metadata_urls,
    read_endpoints,
)
from syncauth.adapters.oauth_grants import Grants, Redeemed
from syncauth.adapters.oauth_judgement import (
    Shapes,
    is_doubtful,
    judge_refresh,
    judge_revoke,
    refusal,
)
from syncauth.adapters.oauth_login import PLACES, LoginReader, UserIdFrom, read_grant, unusable
from syncauth.adapters.oauth_transport import Transport
from syncauth.config import check_server
from syncauth.errors import (
    InsecureServer,
    InvalidConfig,
    NotSupported,
    SyncAuthError,
)
from syncauth.models import (
    Credentials,
    Deferred,
    Login,
    Misconfigured,
    RefreshAnswer,
    Secret,
)

DEADLINE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Nowhere:
    """The endpoints are not known now: what that means for a refresh, and for a login."""

    judgement: Deferred | Misconfigured
    error: SyncAuthError


class OAuthProvider:
    """`IdentityProvider` of one client at one issuer; its constructor does no I/O.

    Args:
        issuer: its URL, exactly as its metadata name it.
        client_id: the app's name there.
        client_secret: only for clients that have one; an app on a person's device has none.
        client_auth: whether the secret travels in a header ("basic") or in the form ("post").
        scopes: what to ask for; most issuers give a refresh token for `offline_access` alone.
        resource: for whom the access tokens are to be, such as the sync server's URL as the issuer
            knows it (RFC 8707); none is named if it is empty.
        endpoints: for an issuer without metadata; otherwise they are asked for, and again after
            trouble.
        user_id_from: what names the user: a verified ID token, the answer of the userinfo
            endpoint, or an access token that is a JWT, verified as well.
        user_claim: the claim that names the user there; never an email address.
        also_refused: further answers to a refresh by which this server says that the session
            has ended: pairs of a status and an error code, "" for an empty body.
        login_refused: the same for the answers by which it refuses a password.
        repeat_safe: whether the server takes an old refresh token for a while after it was
            renewed, so that a refresh whose answer was lost may be sent again.
        deadline: seconds for each token call as a whole.
        tls: defaults to the certificates that the machine trusts.
        sleep: waits between the questions of a device login.
        random: returns as many random bytes as it is asked for.

    Raises:
        InvalidConfig: a setting cannot be.
        InsecureServer: tokens would travel in clear text.
    """

    browser_login = staticmethod(oauth_credentials.browser_login)
    device_login = staticmethod(oauth_credentials.device_login)
    password_login = staticmethod(oauth_credentials.password_login)

    def __init__(
        self,
        issuer: str,
        client_id: str,
        *,
        client_secret: str | Secret | None = None,
        client_auth: Literal["basic", "post"] = "basic",
        scopes: Sequence[str] = ("openid", "offline_access"),
        resource: str = "",
        endpoints: OAuthEndpoints | None = None,
        user_id_from: UserIdFrom = "id_token",
        user_claim: str = "sub",
        also_refused: Shapes = (),
        login_refused: Shapes = (),
        repeat_safe: bool = False,
        deadline: float = DEADLINE_SECONDS,
        tls: ssl.SSLContext | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Take what is registered at the issuer; see the class."""
        check_server(issuer)
        if endpoints is not None:
            check_endpoints(endpoints, issuer)
        _check(client_id, client_auth, user_id_from, user_claim, deadline)
        self._issuer = issuer
        self._client_id = client_id
        self._secret = Secret(client_secret) if isinstance(client_secret, str) else client_secret
        self._client_auth = client_auth
        self._scope = " ".join(scopes)
        self._resource = {"resource": resource} if resource else {}
        self._given = endpoints
        self._found: OAuthEndpoints | None = None
        self._user_id_from = user_id_from
        self._user_claim = user_claim
        self._also_refused = frozenset(also_refused)
        self._login_refused = frozenset(login_refused)
        self._repeat_safe = repeat_safe
        self._deadline = deadline
        self._sleep = sleep
        self._random = random
        self._transport = Transport(deadline=deadline, tls=tls)

    @property
    def name(self) -> str:
        """Name the issuer and the client: a refresh token is bound to both."""
        return f"{self._issuer} {self._client_id}"

    @property
    def repeat_safe(self) -> bool:
        """Whether a refresh whose answer was lost may be sent again, as the app has said."""
        return self._repeat_safe

    # --- the calls of `IdentityProvider` ---------------------------------------------------------

    async def log_in(self, credentials: Credentials) -> Login:
        """Log in with what `browser_login`, `device_login` or `password_login` gave.

        Raises:
            CredentialsRefused: the person or the server said no.
            WaitTimedOut: the person did not finish in time.
            ServerUnreachable, ServerBusy: time will tell.
            UnexpectedAnswer, InsecureServer: the server is not what it should be.
            InvalidConfig: the server does not know this client, or does not allow what it asks.
            NotSupported: the issuer does not offer this grant.
            Closed: the provider was closed.
        """
        payload = credentials.payload
        if credentials.provider not in (CODE, DEVICE, PASSWORD):
            remedy = "Use browser_login, device_login or password_login of OAuthProvider"
            raise NotSupported("an OAuth 2.0 issuer takes no such credentials", remedy=remedy)
        place = await self._locate()
        if isinstance(place, _Nowhere):
            raise place.error
        grants = self._grants(place)
        if credentials.provider == PASSWORD:
            redeemed = await grants.by_password(payload["username"], payload["password"])
        elif credentials.provider == DEVICE:
            redeemed = await grants.by_device(payload["show"])
        else:
            redeemed = await grants.by_code(
                payload["open"],
                port=payload["port"],
                wait=payload["wait"],
                parameters=self._resource | payload["parameters"],
            )
        return await self._settle(place, redeemed)

    async def refresh(self, refresh_token: Secret, refresh_id: str) -> RefreshAnswer:  # noqa: ARG002 - OAuth has no place for it
        """Renew the pair (RFC 6749 section 6).

        Raises:
            Closed: the provider was closed.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
        sent = False
        try:
            async with asyncio.timeout(self._deadline):
                place = await self._locate()
                if isinstance(place, _Nowhere):
                    return place.judgement
                sent = True
                outcome = await self._ask(place.token_endpoint, form)
        except TimeoutError:
            outcome = Silence("the issuer did not answer in time", sent=sent)
        return judge_refresh(outcome, refresh_token, self._also_refused, self._whose)

    def _whose(self, granted: Granted) -> str | None:
        """Return the user id of an ID token that came with a refresh (OpenID Connect Core 1.0, section 12.2).

        Its signature need not be checked: it came from the issuer over TLS (section 3.1.3.7). Where users are named
        by another document, it is not fetched again.
        """
        if self._user_id_from != "id_token" or granted.id_token is None:
            return None
        return oauth_identity.told_user(granted.id_token, self._issuer, self._user_claim)

    async def revoke(self, refresh_token: Secret) -> bool:
        """Revoke the session (RFC 7009).

        True when the server confirmed or does not know it, or offers no revocation at all.

        Raises:
            Closed: the provider was closed.
        """
        place = await self._locate()
        if isinstance(place, _Nowhere):
            return False
        if not place.revocation_endpoint:
            return True
        form = {"token": refresh_token.reveal(), "token_type_hint": "refresh_token"}
        return judge_revoke(await self._post(place.revocation_endpoint, form))

    async def aclose(self) -> None:
        """Close the connections; idempotent. What is under way ends as unanswered."""
        await self._transport.aclose()

    # --- the endpoints ---------------------------------------------------------------------------

    async def _locate(self) -> OAuthEndpoints | _Nowhere:
        """Return the endpoints, and ask for them if they are not known."""
        known = self._given or self._found
        if known is not None:
            return known
        outcome: Outcome = Silence("nobody was asked")
        for url in metadata_urls(self._issuer):
            outcome = await self._transport.get(url)
            if not isinstance(outcome, Answer) or outcome.status != HTTPStatus.NOT_FOUND:
                break
        if isinstance(outcome, Silence):
            deferred = Deferred(outcome.why, online=outcome.online, sent=False)
            return _Nowhere(deferred, refusal(outcome))
        if outcome.granted and outcome.is_json:
            return self._read_endpoints(outcome)
        why = f"the issuer's metadata could not be read: HTTP {outcome.status}"
        deferred = Deferred(why, outcome.retry_after, doubtful=is_doubtful(outcome), sent=False)
        return _Nowhere(deferred, refusal(outcome))

    def _read_endpoints(self, answer: Answer) -> OAuthEndpoints | _Nowhere:
        try:
            self._found = read_endpoints(answer, self._issuer)
        except InsecureServer as error:
            return _Nowhere(Misconfigured(str(error)), error)
        except Malformed as error:
            failure = unusable("the issuer's metadata cannot be used", answer, error.why)
            return _Nowhere(Misconfigured(str(failure)), failure)
        return self._found

    async def _ask(self, url: str, form: dict[str, str]) -> Outcome:
        """Ask for tokens, or for a login that leads to some, for the resource that was given."""
        return await self._post(url, self._resource | form)

    async def _post(self, url: str, form: dict[str, str]) -> Outcome:
        """Send a form as this client; after trouble on the way, the endpoints are asked again."""
        basic = None
        if self._secret is None:
            form = form | {"client_id": self._client_id}
        elif self._client_auth == "post":
            form = form | {"client_id": self._client_id, "client_secret": self._secret.reveal()}
        else:
            basic = (self._client_id, self._secret)
        outcome = await self._transport.post(url, form, basic=basic)
        if isinstance(outcome, Silence) or (not outcome.is_json and is_doubtful(outcome)):
            self._found = None
        return outcome

    # --- the login -------------------------------------------------------------------------------

    def _grants(self, place: OAuthEndpoints) -> Grants:
        return Grants(
            issuer=self._issuer,
            client_id=self._client_id,
            scope=self._scope,
            endpoints=place,
            post=self._ask,
            sleep=self._sleep,
            random=self._random,
            login_refused=self._login_refused,
        )

    async def _settle(self, place: OAuthEndpoints, redeemed: Redeemed) -> Login:
        """Read whose login it is; a session that names nobody is ended again."""
        answer, nonce = redeemed
        granted = read_grant(answer)
        reader = LoginReader(
            issuer=self._issuer,
            client_id=self._client_id,
            user_id_from=self._user_id_from,
            user_claim=self._user_claim,
            endpoints=place,
            get=self._transport.get,
        )
        try:
            return await reader.read(answer, granted, nonce)
        except SyncAuthError as error:
            failure = error
        await self.revoke(granted.pair().refresh)
        raise failure


def _check(
    client_id: str, client_auth: str, user_id_from: str, user_claim: str, deadline: float
) -> None:
    checks = (
        ("client_id", bool(client_id) and client_id.isprintable(), "Use the id at the issuer"),
        ("client_auth", client_auth in ("basic", "post"), "Use 'basic' or 'post'"),
        ("user_id_from", user_id_from in PLACES, f"Use one of {', '.join(PLACES)}"),
        ("user_claim", "email" not in user_claim and bool(user_claim), "Use 'sub'"),
        ("deadline", deadline > 0, "Give seconds above 0"),
    )
    for setting, good, remedy in checks:
        if not good:
            raise InvalidConfig("this setting cannot be", setting=setting, remedy=remedy)
