"""
The App Services compatible account API under `/api/client/v2.0`, `/healthz` and `/readyz`, as routes.

Routes read a request, call a service and write its answer; they decide nothing. As in App Services, `auth/session`,
`auth/profile`, `auth/delete` and `auth/api_keys` do not stand under `app/{id}`. The routes of logins, email addresses,
API keys and functions have modules of their own and are gathered here, and so is what the OpenAPI document tells of
them. This module must never log, and never answer with a Content-Type suffix.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from syncauth.errors import Closed
from syncauth.server.accounts.answers import Denied
from syncauth.server.accounts.issuer import domain_id
from syncauth.server.routes import api_keys, emails, functions, keys, logins, openapi
from syncauth.server.routes.api_keys import ApiKeyRoutes
from syncauth.server.routes.emails import EmailRoutes
from syncauth.server.routes.exchange import (
    Endpoint,
    address_of,
    answer_closed,
    answer_denied,
    answer_empty,
    answer_failure,
    answer_http_error,
    answer_json,
    bearer,
    life,
    read_json,
)
from syncauth.server.routes.functions import FunctionRoutes
from syncauth.server.routes.logins import LoginRoutes
from syncauth.server.routes.operations import APP, BASE, PROVIDERS, Operation
from syncauth.server.services import Services
from syncauth.server.settings.config import ServerConfig

ERROR_HANDLERS: Final[Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]]] = {
    HTTPException: answer_http_error,
    Closed: answer_closed,
    Exception: answer_failure,
}
"""For the application that mounts these routes: its own refusals in the same JSON."""


class _Refresh(msgspec.Struct, frozen=True):
    refresh_id: str | None = None


class _Renewed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new access token, and a new refresh token if the session rotates."""

    access_token: str
    life_ms: int
    expires_in: int
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return "_Renewed(…)"


class _Location(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    deployment_model: str
    location: str
    hostname: str
    ws_hostname: str


class _Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    provider_type: str
    provider_id: str


class _Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user_id: str
    domain_id: str
    identities: list[_Identity]
    data: dict[str, Any]
    type: str


class _Health(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    status: str


OPERATIONS: Final = (
    Operation("GET", f"{APP}/location", "Tell where the app is served", {200: _Location}),
    *logins.OPERATIONS,
    *emails.OPERATIONS,
    *functions.OPERATIONS,
    Operation(
        "POST",
        f"{BASE}/auth/session",
        "Give a new access token",
        {201: _Renewed},
        ("UserDisabled", "TooManyRequests"),
        bearer="refresh",
        body=_Refresh,
        may_be_empty=True,
    ),
    Operation("DELETE", f"{BASE}/auth/session", "End the session", {204: None}, bearer="refresh"),
    Operation("GET", f"{BASE}/auth/profile", "Tell of the user", {200: _Profile}, bearer="access"),
    Operation("DELETE", f"{BASE}/auth/delete", "Remove the user", {204: None}, bearer="access"),
    *api_keys.OPERATIONS,
    Operation("GET", "/healthz", "Tell whether the store can be read", {200: _Health}),
    Operation(
        "GET",
        "/readyz",
        "Tell whether more requests are welcome here",
        {200: _Health, 503: _Health},
    ),
    Operation("GET", openapi.PLACE, "Give this document", {200: dict[str, Any]}),
    *keys.OPERATIONS,
)
"""All that the document tells of what everybody may call, in the order of its paths."""


class AuthApi:
    """The routes of one app."""

    def __init__(
        self,
        config: ServerConfig,
        services: Services,
        is_ending: Callable[[], bool] = bool,
        more: Callable[[Request], Sequence[Operation]] = lambda _request: (),
    ) -> None:
        """Take the services that decide, and what tells whether the server is about to end.

        `more` are the operations besides that the document tells to who asks for it.
        """
        self._is_ending = is_ending
        self._more = more
        self._config = config
        self._services = services
        self._documents = openapi.Documents(config.app_id)
        self._limit = config.limits.http_body_bytes

    def routes(self) -> list[BaseRoute]:
        """Return the routes, for `Starlette(routes=…, exception_handlers=ERROR_HANDLERS)`."""
        app, provider = APP, PROVIDERS
        parts, limit = self._services, self._limit
        trusted = frozenset(self._config.login.trusted_origins)
        of_logins = LoginRoutes(parts.accounts, parts.logins, parts.sessions, limit, trusted)
        of_functions = FunctionRoutes(
            parts.sessions, parts.functions, parts.clock, self._config.limits.function_bytes
        )
        return [
            Route(f"{BASE}/auth/session", self._refresh, methods=["POST"]),  # first: called most
            Route(f"{app}/location", self._of_app(self._location), methods=["GET"]),
            *of_logins.routes(provider, self._of_app),
            *EmailRoutes(parts.accounts, parts.emails, limit).routes(provider, self._of_app),
            *of_functions.routes(app, self._of_app),
            Route(f"{BASE}/auth/session", self._log_out, methods=["DELETE"]),
            Route(f"{BASE}/auth/profile", self._profile, methods=["GET"]),
            Route(f"{BASE}/auth/delete", self._remove_user, methods=["DELETE"]),
            *ApiKeyRoutes(parts.api_keys, limit).routes(BASE),
            Route("/healthz", self._health, methods=["GET"]),
            Route("/readyz", self._ready, methods=["GET"]),
            Route(openapi.PLACE, self._document, methods=["GET"]),
        ]

    def _of_app(self, answer: Endpoint) -> Endpoint:
        """Let only requests through that name this app."""

        async def check(request: Request) -> Response:
            if request.path_params["app_id"] != self._config.app_id:
                text = "cannot find app using the client app id of the request"
                return answer_denied(Denied(404, "AppNotFound", text))
            return await answer(request)

        return check

    async def _document(self, request: Request) -> Response:
        """Publish what this server can do; it depends on nobody's data."""
        operations = (*OPERATIONS, *self._more(request))
        return answer_json(200, self._documents.of(operations))

    async def _health(self, _request: Request) -> Response:
        """Answer 200 if the store can be read; if not, fail with 500 like every call."""
        await self._services.accounts.check_store()
        return answer_json(200, _Health("ok"))

    async def _ready(self, request: Request) -> Response:
        """Answer 200 if more requests are welcome here: the server is healthy and not about to end."""
        if self._is_ending():
            return answer_json(503, _Health("ending"))
        return await self._health(request)

    async def _location(self, request: Request) -> Response:
        """Name this server as the client reached it: by the Host header (RFC 9110 section 7.2).

        The path under which it is mounted belongs to it: clients put the API's path behind.
        """
        secure = request.url.scheme == "https"
        place = request.headers.get("host", "") + request.scope.get("root_path", "").rstrip("/")
        body = _Location(
            deployment_model="LOCAL",
            location="local",
            hostname=f"{'https' if secure else 'http'}://{place}",
            ws_hostname=f"{'wss' if secure else 'ws'}://{place}",
        )
        return answer_json(200, body)

    async def _refresh(self, request: Request) -> Response:
        token = bearer(request)
        if isinstance(token, Denied):
            return answer_denied(token)
        body = await read_json(request, _Refresh, limit=self._limit, empty=_Refresh())
        if isinstance(body, Denied):
            return answer_denied(body)
        answer = await self._services.sessions.refresh(token, body.refresh_id, address_of(request))
        if isinstance(answer, Denied):
            return answer_denied(answer)
        renewed = _Renewed(
            access_token=answer.access.text.reveal(),
            refresh_token=msgspec.UNSET if answer.refresh is None else answer.refresh.text.reveal(),
            **life(answer.life_ms),
        )
        return answer_json(201, renewed)

    async def _log_out(self, request: Request) -> Response:
        token = bearer(request)
        denied = (
            token if isinstance(token, Denied) else await self._services.sessions.log_out(token)
        )
        return answer_denied(denied) if denied else answer_empty(204)

    async def _profile(self, request: Request) -> Response:
        token = bearer(request)
        user = token if isinstance(token, Denied) else await self._services.accounts.profile(token)
        if isinstance(user, Denied):
            return answer_denied(user)
        identities = [
            _Identity(
                id=identity.identity_id,
                provider_type=identity.provider_type,
                provider_id=domain_id(identity.provider_type),
            )
            for identity in user.identities
        ]
        body = _Profile(
            user_id=user.user_id,
            domain_id=domain_id(self._config.app_id),
            identities=identities,
            data=user.data,
            type="normal",
        )
        return answer_json(200, body)

    async def _remove_user(self, request: Request) -> Response:
        token = bearer(request)
        denied = (
            token if isinstance(token, Denied) else await self._services.accounts.remove_user(token)
        )
        return answer_denied(denied) if denied else answer_empty(204)
