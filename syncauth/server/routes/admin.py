"""
The App Services compatible admin API under `/api/admin/v3.0`, as routes: who may come in, tokens, lifetimes.

It is served only where the settings say so, and to the networks that they name; for anybody else it is not there. All
but the login want the token of an admin key. The routes of users stand in `admin_users`. This module must never decide
what a deed does, and never log.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from syncauth.models import ANONYMOUS_DEVICE, Secret
from syncauth.server.accounts.answers import Denied
from syncauth.server.accounts.issuer import AccessToken, domain_id
from syncauth.server.routes import admin_users
from syncauth.server.routes.admin_users import APP, BASE, GROUP, AdminUserRoutes
from syncauth.server.routes.exchange import (
    Endpoint,
    address_of,
    answer_denied,
    answer_empty,
    answer_json,
    bearer,
    read_json,
)
from syncauth.server.routes.operations import Operation
from syncauth.server.services import Admin
from syncauth.server.settings.config import ServerConfig
from syncauth.server.stores.admin_interface import Lifetime

LOGIN: Final = f"{BASE}/auth/providers/mongodb-cloud/login"
EXPIRATIONS: Final = {
    f"{APP}/security/refresh_token_expiration": Lifetime.REFRESH,
    f"{APP}/security/access_token_expiration": Lifetime.ACCESS,
}
VERIFY: Final = f"{APP}/users/verify_token"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

OTHER_APP: Final = Denied(404, "AppNotFound", "application not found")


class _AdminKey(msgspec.Struct, frozen=True):
    key_id: str = msgspec.field(name="username")
    secret: str = msgspec.field(name="apiKey")

    def __repr__(self) -> str:
        return "_AdminKey(…)"


class _AdminSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    access_token: str
    user_id: str
    device_id: str

    def __repr__(self) -> str:
        return "_AdminSession(…)"


class _App(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    domain_id: str = msgspec.field(name="_id")
    client_app_id: str
    name: str


class _UserToken(msgspec.Struct, frozen=True):
    token: str

    def __repr__(self) -> str:
        return "_UserToken(…)"


class _Verified(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an access token says: of the user `sub` in the session `iss`."""

    sub: str
    exp: float
    iat: int
    iss: str
    domain_id: str
    device_id: str
    custom_user_data: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class _NotOurs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    error: str


class _Expiration(msgspec.Struct, frozen=True):
    expiration_time_seconds: int


OPERATIONS: Final = (
    Operation(
        "POST",
        LOGIN,
        "Exchange an admin key for a token",
        {200: _AdminSession},
        ("AuthError", "TooManyRequests"),
        body=_AdminKey,
    ),
    Operation("GET", GROUP, "Tell the app", {200: list[_App]}, bearer="admin"),
    *(
        operation
        for path, which in EXPIRATIONS.items()
        for operation in (
            Operation(
                "GET",
                path,
                f"Tell the life of {which.value} tokens",
                {200: _Expiration},
                bearer="admin",
            ),
            Operation(
                "PUT",
                path,
                f"Change the life of {which.value} tokens",
                {204: None},
                bearer="admin",
                body=_Expiration,
            ),
        )
    ),
    Operation(
        "POST",
        VERIFY,
        "Tell what an access token says, or that it has ended",
        {200: _Verified | str, 401: _NotOurs},
        bearer="admin",
        body=_UserToken,
    ),
    *admin_users.OPERATIONS,
)


class _RouteForNetworks(Route):
    """A route that is not there for callers from elsewhere: not even its methods are told."""

    def __init__(self, route: Route, networks: Sequence[Network]) -> None:
        super().__init__(route.path, route.endpoint, methods=list(route.methods or ()))
        self._networks = networks

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if is_within(scope.get("client"), self._networks):
            return super().matches(scope)
        return Match.NONE, {}


def is_within(client: tuple[str, int] | None, networks: Sequence[Network]) -> bool:
    """Tell whether a caller, as ASGI names it, has an address of these networks."""
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return False
    # A socket that listens on IPv6 may tell an IPv4 address in its own form (RFC 4291 section 2.5.5.2).
    plain = getattr(address, "ipv4_mapped", None) or address
    return any(plain in network for network in networks)


class AdminApi:
    """The routes for administrators of one app."""

    def __init__(self, config: ServerConfig, admin: Admin) -> None:
        """Take who judges keys and who does the deeds."""
        self._config = config
        self._keys = admin.keys
        self._deeds = admin.deeds
        self._limit = config.limits.http_body_bytes
        self._networks = [ipaddress.ip_network(each) for each in config.admin.networks]

    def operations_for(self, request: Request) -> tuple[Operation, ...]:
        """Return what the document tells a caller of these routes: nothing where they are not there."""
        there = self._config.admin.enabled and is_within(request.scope["client"], self._networks)
        return OPERATIONS if there else ()

    def routes(self) -> list[BaseRoute]:
        """Return the routes; none if the admin API is off."""
        if not self._config.admin.enabled:
            return []
        routes = [
            Route(LOGIN, self._log_in, methods=["POST"]),
            Route(GROUP, self._of_admin(self._apps), methods=["GET"]),
            *(
                Route(path, self._of_app(endpoint), methods=[method])
                for path, which in EXPIRATIONS.items()
                for method, endpoint in (("GET", self._life(which)), ("PUT", self._set_life(which)))
            ),
            # Before the routes of one user, whose id it is not.
            Route(VERIFY, self._of_app(self._verify), methods=["POST"]),
            *AdminUserRoutes(self._deeds, self._limit).routes(self._of_app),
        ]
        return [_RouteForNetworks(route, self._networks) for route in routes]

    def _of_admin(self, answer: Endpoint) -> Endpoint:
        """Let only administrators through; the endpoint finds the id of their key in `state.actor`."""

        async def check(request: Request) -> Response:
            token = bearer(request)
            actor = token if isinstance(token, Denied) else await self._keys.check(token)
            if isinstance(actor, Denied):
                return answer_denied(actor)
            request.state.actor = actor
            return await answer(request)

        return check

    def _of_app(self, answer: Endpoint) -> Endpoint:
        """Let only administrators through who name this app, by its id or by the id of its domain."""

        async def check(request: Request) -> Response:
            own = {self._config.app_id, domain_id(self._config.app_id)}
            if request.path_params["app_id"] not in own:
                return answer_denied(OTHER_APP)
            return await answer(request)

        return self._of_admin(check)

    async def _log_in(self, request: Request) -> Response:
        body = await read_json(request, _AdminKey, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        token = await self._keys.log_in(body.key_id, Secret(body.secret), address_of(request))
        if isinstance(token, Denied):
            return answer_denied(token)
        session = _AdminSession(token.text.reveal(), body.key_id, ANONYMOUS_DEVICE)
        return answer_json(200, session)

    async def _apps(self, _request: Request) -> Response:
        """Tell the one app, so that a script finds the id that it has in paths."""
        name = self._config.app_id
        return answer_json(200, [_App(domain_id(name), name, name)])

    def _life(self, which: Lifetime) -> Endpoint:
        async def answer(_request: Request) -> Response:
            return answer_json(200, _Expiration(await self._deeds.life(which)))

        return answer

    def _set_life(self, which: Lifetime) -> Endpoint:
        async def answer(request: Request) -> Response:
            body = await read_json(request, _Expiration, limit=self._limit)
            if isinstance(body, Denied):
                return answer_denied(body)
            actor, seconds = request.state.actor, body.expiration_time_seconds
            denied = await self._deeds.set_life(actor, which, seconds)
            return answer_denied(denied) if denied else answer_empty(204)

        return answer

    async def _verify(self, request: Request) -> Response:
        body = await read_json(request, _UserToken, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        found = await self._deeds.verify(Secret(body.token))
        if found is None:
            # Without a code, so that nobody takes it for the end of the administrator's own token.
            return answer_json(401, _NotOurs("signature is invalid"))
        if isinstance(found, Denied):
            return answer_denied(found)
        return answer_json(200, found if isinstance(found, str) else _told(found))


def _told(token: AccessToken) -> _Verified:
    claims = token.claims
    return _Verified(
        sub=claims.user_id,
        exp=claims.expires_at,
        iat=token.issued_at,
        iss=claims.session_id,
        domain_id=token.domain_id,
        device_id=token.device_id,
        custom_user_data=msgspec.UNSET if claims.custom_data is None else claims.custom_data,
    )
