"""
The logins of all providers over HTTP, and `?link=true`, under `auth/providers`.

A login ignores a token that a client carries along; a link needs the access token of whom it links to. This module
must never log, and no body of a login has a `repr` that shows what it holds.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from syncauth import ejson
from syncauth.errors import InvalidDocument
from syncauth.models import Secret
from syncauth.server.accounts.accounts import Accounts
from syncauth.server.accounts.answers import Denied, LoggedIn, bad_request, provider_off
from syncauth.server.accounts.issuer import Claims
from syncauth.server.accounts.logins import Logins
from syncauth.server.accounts.sessions import ClientOptions, Sessions
from syncauth.server.routes.cross_site import CROSS_SITE, is_cross_site
from syncauth.server.routes.exchange import (
    Endpoint,
    Guard,
    address_of,
    answer_denied,
    answer_json,
    bearer,
    life,
    read_json,
)
from syncauth.server.routes.login_bodies import (
    Anonymous,
    Apple,
    Body,
    EmailPassword,
    Facebook,
    ForeignBody,
    Google,
    Key,
    Token,
    token_of,
)
from syncauth.server.routes.operations import PROVIDERS, Operation, Parameter
from syncauth.server.settings.issuers import Provider


class _Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session; after a link there is no refresh token, because the session is the one before."""

    access_token: str
    user_id: str
    device_id: str
    life_ms: int
    expires_in: int
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return "_Session(…)"


LINK: Final = Parameter("link", "Link the identity to the user of the access token")


def _login(
    name: str, summary: str, body: Any, *codes: str, may_be_empty: bool = False
) -> Operation:
    return Operation(
        "POST",
        f"{PROVIDERS}/{name}/login",
        summary,
        {200: _Session},
        ("AuthProviderNotFound", "RotationRequired", "TooManyRequests", "UserDisabled", *codes),
        bearer="access for a link",
        body=body,
        may_be_empty=may_be_empty,
        query=(LINK,),
    )


OPERATIONS: Final = (
    _login("anon-user", "Log in without a name", Anonymous, may_be_empty=True),
    _login(
        "local-userpass",
        "Log in with email address and password",
        EmailPassword,
        *("InvalidPassword", "AuthError", "AccountNameInUse"),
    ),
    _login("api-key", "Log in with an API key", Key, "AuthError", "AccountNameInUse"),
    _login(
        "custom-token",
        "Log in with a token of another issuer",
        Token,
        *("AuthError", "AccountNameInUse", "ServiceUnavailable"),
    ),
    *(
        _login(
            name,
            f"Log in with {whose}",
            body,
            *("AuthError", "AccountNameInUse", "ServiceUnavailable"),
        )
        for name, whose, body in (
            ("oauth2-google", "an ID token of Google", Google),
            ("oauth2-apple", "an ID token of Apple", Apple),
            ("oauth2-facebook", "a token of Facebook's Limited Login", Facebook),
        )
    ),
    _login(
        "custom-function",
        "Log in through the team's function; the body is Extended JSON and may have `options`",
        dict[str, Any],
        *("AuthError", "AccountNameInUse", "CrossSiteRequest"),
    ),
    Operation(
        "POST",
        f"{PROVIDERS}/{{name}}/login",
        "Refuse a provider that this server does not know",
        {},
        ("AuthProviderNotFound",),
    ),
)


class LoginRoutes:
    """The routes of logins."""

    def __init__(
        self,
        accounts: Accounts,
        logins: Logins,
        sessions: Sessions,
        limit: int,
        trusted_origins: Collection[str],
    ) -> None:
        """Take the services, how many bytes a body may have, and which sites may sign in."""
        self._trusted_origins = trusted_origins
        self._accounts = accounts
        self._logins = logins
        self._sessions = sessions
        self._limit = limit

    def routes(self, provider: str, of_app: Guard) -> list[BaseRoute]:
        """Return the routes under `provider`, each behind `of_app`."""
        calls = {
            "anon-user": self._anonymous,
            "local-userpass": self._password,
            "api-key": self._key,
            "custom-token": self._foreign("custom-token", Token),
            "oauth2-google": self._foreign("oauth2-google", Google),
            "oauth2-apple": self._foreign("oauth2-apple", Apple),
            "oauth2-facebook": self._foreign("oauth2-facebook", Facebook),
            "custom-function": self._function,
        }
        routes: list[BaseRoute] = [
            Route(f"{provider}/{name}/login", of_app(call), methods=["POST"])
            for name, call in calls.items()
        ]
        return [*routes, Route(f"{provider}/{{name}}/login", of_app(_unknown), methods=["POST"])]

    async def _anonymous(self, request: Request) -> Response:
        body = await read_json(request, Anonymous, limit=self._limit, empty=Anonymous())
        if isinstance(body, Denied):
            return answer_denied(body)
        options = await self._options(request, body)
        if isinstance(options, Denied):
            return answer_denied(options)
        return _answer(await self._accounts.log_in_anonymously(options))

    async def _password(self, request: Request) -> Response:
        body = await read_json(request, EmailPassword, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        options = await self._options(request, body)
        if isinstance(options, Denied):
            return answer_denied(options)
        password = Secret(body.password)
        return _answer(await self._accounts.log_in_with_password(body.username, password, options))

    async def _key(self, request: Request) -> Response:
        body = await read_json(request, Key, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        options = await self._options(request, body)
        if isinstance(options, Denied):
            return answer_denied(options)
        return _answer(await self._logins.log_in_with_key(Secret(body.key), options))

    def _foreign(self, provider: Provider, shape: type[ForeignBody]) -> Endpoint:
        """Return what answers the logins of a provider with tokens of other issuers."""

        async def answer(request: Request) -> Response:
            if not self._logins.takes_tokens(provider):
                return answer_denied(provider_off(provider))
            body = await read_json(request, shape, limit=self._limit)
            if isinstance(body, Denied):
                return answer_denied(body)
            options = await self._options(request, body)
            if isinstance(options, Denied):
                return answer_denied(options)
            token = token_of(body)
            if isinstance(token, Denied):
                return answer_denied(token)
            return _answer(await self._logins.log_in_with_token(provider, token, options))

        return answer

    async def _function(self, request: Request) -> Response:
        sees_requests = self._logins.sees_requests
        if sees_requests and is_cross_site(request.headers, self._trusted_origins):
            return answer_denied(CROSS_SITE)
        body = await read_json(request, dict[str, Any], limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        try:
            said = msgspec.convert({"options": body.pop("options", {})}, Anonymous)
            payload = ejson.decode(body)
        except (msgspec.ValidationError, InvalidDocument) as error:
            return answer_denied(bad_request(f"the request body is not as expected: {error}"))
        options = await self._options(request, said)
        if isinstance(options, Denied):
            return answer_denied(options)
        # Without the body, which has been read.
        connection = HTTPConnection(request.scope)
        return _answer(await self._logins.log_in_with_function(payload, options, connection))

    async def _options(self, request: Request, body: Body) -> ClientOptions | Denied:
        """Read what every login says, and for a link check who asks, before anything is tried."""
        link: Claims | None = None
        if request.query_params.get("link") == "true":
            token = bearer(request)
            if isinstance(token, Denied):
                # Not InvalidSession: a client that has no token would come again without end.
                return bad_request("linking needs the access token of the user")
            claims = await self._sessions.check_access(token)
            if isinstance(claims, Denied):
                return claims
            link = claims
        wanted = (body.options.device or {}).get("deviceId")
        device_id = wanted if isinstance(wanted, str) else None
        return ClientOptions(address_of(request), device_id, body.options.rotate, link)


async def _unknown(request: Request) -> Response:
    """Tell of a provider that this server does not know, such as one of a later version."""
    return answer_denied(provider_off(request.path_params["name"][:100]))


def _answer(login: LoggedIn | Denied) -> Response:
    if isinstance(login, Denied):
        return answer_denied(login)
    session = _Session(
        access_token=login.access.text.reveal(),
        user_id=login.user_id,
        device_id=login.device_id,
        refresh_token=msgspec.UNSET if login.refresh is None else login.refresh.text.reveal(),
        **life(login.life_ms),
    )
    return answer_json(200, session)
