"""
The App Services compatible account API under `/api/client/v2.0`, and `/healthz`, as routes.

Routes read a request, call the account service and write its answer; they decide nothing. As in App
Services, `auth/session`, `auth/profile` and `auth/delete` do not stand under `app/{id}`. A token
that unauthenticated calls carry along is ignored. This module must never log, and never answer with
a Content-Type suffix.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from syncauth.models import Secret
from syncauth.server.accounts import Accounts, ClientOptions
from syncauth.server.answers import Denied, LoggedIn, bad_request
from syncauth.server.auth_http import (
    answer_denied,
    answer_empty,
    answer_failure,
    answer_http_error,
    answer_json,
    bearer,
    read_json,
)
from syncauth.server.config import ServerConfig
from syncauth.server.issuer import domain_id

BASE: Final = "/api/client/v2.0"

ERROR_HANDLERS: Final[Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]]] = {
    HTTPException: answer_http_error,
    Exception: answer_failure,
}
"""For the application that mounts these routes: its own refusals in the same JSON."""


class _Options(msgspec.Struct, frozen=True):
    device: dict[str, Any] | None = None
    rotate: bool = False


class _Anonymous(msgspec.Struct, frozen=True):
    options: _Options = _Options()


class _EmailPassword(msgspec.Struct, frozen=True):
    username: str
    password: str
    options: _Options = _Options()

    def __repr__(self) -> str:
        return "_EmailPassword(…)"


class _Registration(msgspec.Struct, frozen=True):
    email: str
    password: str

    def __repr__(self) -> str:
        return "_Registration(…)"


class _Refresh(msgspec.Struct, frozen=True):
    refresh_id: str | None = None


class AuthApi:
    """The routes of one app."""

    def __init__(self, config: ServerConfig, accounts: Accounts) -> None:
        """Take the service that decides."""
        self._config = config
        self._accounts = accounts
        self._limit = config.limits.http_body_bytes

    def routes(self) -> list[BaseRoute]:
        """Return the routes, for `Starlette(routes=…, exception_handlers=ERROR_HANDLERS)`."""
        app = f"{BASE}/app/{{app_id}}"
        provider = f"{app}/auth/providers"
        return [
            Route(f"{app}/location", self._of_app(self._location), methods=["GET"]),
            Route(
                f"{provider}/local-userpass/register",
                self._of_app(self._register),
                methods=["POST"],
            ),
            Route(
                f"{provider}/local-userpass/login",
                self._of_app(self._log_in_with_password),
                methods=["POST"],
            ),
            Route(
                f"{provider}/anon-user/login",
                self._of_app(self._log_in_anonymously),
                methods=["POST"],
            ),
            Route(f"{BASE}/auth/session", self._refresh, methods=["POST"]),
            Route(f"{BASE}/auth/session", self._log_out, methods=["DELETE"]),
            Route(f"{BASE}/auth/profile", self._profile, methods=["GET"]),
            Route(f"{BASE}/auth/delete", self._remove_user, methods=["DELETE"]),
            Route("/healthz", self._health, methods=["GET"]),
        ]

    def _of_app(
        self, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Let only requests through that name this app."""

        async def check(request: Request) -> Response:
            if request.path_params["app_id"] != self._config.app_id:
                text = "cannot find app using the client app id of the request"
                return answer_denied(Denied(404, "AppNotFound", text))
            return await answer(request)

        return check

    async def _health(self, _request: Request) -> Response:
        """Answer 200 if the store can be read; if not, fail with 500 like every call."""
        await self._accounts.check_store()
        return answer_json(200, {"status": "ok"})

    async def _location(self, request: Request) -> Response:
        """Name this server as the client reached it: by the Host header (RFC 9110 section 7.2)."""
        secure = request.url.scheme == "https"
        place = request.headers.get("host", "")
        body = {
            "deployment_model": "LOCAL",
            "location": "local",
            "hostname": f"{'https' if secure else 'http'}://{place}",
            "ws_hostname": f"{'wss' if secure else 'ws'}://{place}",
        }
        return answer_json(200, body)

    async def _register(self, request: Request) -> Response:
        body = await read_json(request, _Registration, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        denied = await self._accounts.register(body.email, Secret(body.password), _address(request))
        return answer_denied(denied) if denied else answer_empty(201)

    async def _log_in_with_password(self, request: Request) -> Response:
        body = await read_json(request, _EmailPassword, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        if _is_link(request):
            return _refuse_link()
        options = _client_options(request, body.options)
        password = Secret(body.password)
        return _answer_login(
            await self._accounts.log_in_with_password(body.username, password, options)
        )

    async def _log_in_anonymously(self, request: Request) -> Response:
        body = await read_json(request, _Anonymous, limit=self._limit, empty=_Anonymous())
        if isinstance(body, Denied):
            return answer_denied(body)
        if _is_link(request):
            return _refuse_link()
        options = _client_options(request, body.options)
        return _answer_login(await self._accounts.log_in_anonymously(options))

    async def _refresh(self, request: Request) -> Response:
        token = bearer(request)
        if isinstance(token, Denied):
            return answer_denied(token)
        body = await read_json(request, _Refresh, limit=self._limit, empty=_Refresh())
        if isinstance(body, Denied):
            return answer_denied(body)
        answer = await self._accounts.refresh(token, body.refresh_id)
        if isinstance(answer, Denied):
            return answer_denied(answer)
        content: dict[str, Any] = {"access_token": answer.access.text.reveal()}
        if answer.refresh is not None:
            content["refresh_token"] = answer.refresh.text.reveal()
        return answer_json(201, content | _life(answer.life_ms))

    async def _log_out(self, request: Request) -> Response:
        token = bearer(request)
        denied = token if isinstance(token, Denied) else await self._accounts.log_out(token)
        return answer_denied(denied) if denied else answer_empty(204)

    async def _profile(self, request: Request) -> Response:
        token = bearer(request)
        user = token if isinstance(token, Denied) else await self._accounts.profile(token)
        if isinstance(user, Denied):
            return answer_denied(user)
        identities = [
            {
                "id": identity.identity_id,
                "provider_type": identity.provider_type,
                "provider_id": domain_id(identity.provider_type),
            }
            for identity in user.identities
        ]
        body = {
            "user_id": user.user_id,
            "domain_id": domain_id(self._config.app_id),
            "identities": identities,
            "data": user.data,
            "type": "normal",
        }
        return answer_json(200, body)

    async def _remove_user(self, request: Request) -> Response:
        token = bearer(request)
        denied = token if isinstance(token, Denied) else await self._accounts.remove_user(token)
        return answer_denied(denied) if denied else answer_empty(204)


def _answer_login(login: LoggedIn | Denied) -> Response:
    if isinstance(login, Denied):
        return answer_denied(login)
    body = {
        "access_token": login.access.text.reveal(),
        "refresh_token": login.refresh.text.reveal(),
        "user_id": login.user_id,
        "device_id": login.device_id,
    }
    return answer_json(200, body | _life(login.life_ms))


def _life(life_ms: int) -> dict[str, int]:
    """Tell the access token's life: in ms, and in seconds as OAuth does (RFC 6749 section 5.1)."""
    return {"life_ms": life_ms, "expires_in": life_ms // 1000}


def _client_options(request: Request, options: _Options) -> ClientOptions:
    wanted = (options.device or {}).get("deviceId")
    device_id = wanted if isinstance(wanted, str) else None
    return ClientOptions(_address(request), device_id, options.rotate)


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _is_link(request: Request) -> bool:
    return request.query_params.get("link") == "true"


def _refuse_link() -> Response:
    """Refuse to link: a login in its place would silently make another user the current one."""
    return answer_denied(bad_request("this server does not link identities"))
