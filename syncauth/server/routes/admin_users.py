"""
The users of one app for administrators, over HTTP: listed, found, made, logged out, disabled, enabled, removed.

Shapes are those of App Services, with times in whole seconds. This module must never log, and tells neither a hash nor
a token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncauth.models import Secret
from syncauth.server.accounts.answers import Denied, bad_request
from syncauth.server.accounts.issuer import domain_id
from syncauth.server.admin.deeds import Deeds
from syncauth.server.routes.exchange import (
    Guard,
    answer_denied,
    answer_empty,
    answer_json,
    read_json,
)
from syncauth.server.stores.admin_interface import AccountRecord, OpenSession, UserFilter

PAGE: Final = 50
"""Users of one page, as in App Services."""

LONGEST_PAGE: Final = 500
STATES: Final = {"": None, "enabled": False, "disabled": True}
FLAGS: Final = {"": False, "false": False, "true": True}

_Limit = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_PAGE)]

Deed = Callable[[str, str], Awaitable[Denied | None]]


class _NewUser(msgspec.Struct, frozen=True):
    email: str
    password: str

    def __repr__(self) -> str:
        return "_NewUser(…)"


class AdminUserRoutes:
    """The routes of users."""

    def __init__(self, deeds: Deeds, limit: int) -> None:
        """Take who does the deeds, and how many bytes a body may have."""
        self._deeds = deeds
        self._limit = limit

    def routes(self, app: str, of_app: Guard) -> list[Route]:
        """Return the routes under `app`, each behind `of_app`."""
        users, deeds = f"{app}/users", self._deeds
        one = f"{users}/{{user_id}}"
        return [
            Route(users, of_app(self._all), methods=["GET"]),
            Route(users, of_app(self._create), methods=["POST"]),
            Route(one, of_app(self._one), methods=["GET"]),
            Route(one, of_app(_doing(deeds.remove_user)), methods=["DELETE"]),
            Route(f"{one}/logout", of_app(_doing(deeds.log_user_out)), methods=["PUT"]),
            Route(f"{one}/disable", of_app(_doing(deeds.disable_user)), methods=["PUT"]),
            Route(f"{one}/enable", of_app(_doing(deeds.enable_user)), methods=["PUT"]),
            Route(f"{one}/devices", of_app(self._devices), methods=["GET"]),
            Route(f"{one}/sessions", of_app(self._sessions), methods=["GET"]),
            Route(f"{one}/sessions/{{session_id}}", of_app(self._end_session), methods=["DELETE"]),
        ]

    async def _all(self, request: Request) -> Response:
        asked = request.query_params
        if "email" in asked:
            found = await self._deeds.users_of_email(asked["email"])
            return answer_json(200, [_told(each) for each in found])
        state, flag = asked.get("status", ""), asked.get("desc", "")
        if asked.get("sort", "_id") != "_id" or state not in STATES or flag not in FLAGS:
            return answer_denied(bad_request("sort is _id, status enabled or disabled, desc true"))
        try:
            limit = msgspec.convert(asked.get("limit", str(PAGE)), _Limit, strict=False)
        except msgspec.ValidationError:
            return answer_denied(bad_request(f"limit is a number from 1 to {LONGEST_PAGE}"))
        providers = tuple(filter(None, asked.get("provider_types", "").split(",")))
        found = await self._deeds.users(
            UserFilter(STATES[state], providers),
            after=asked.get("after") or None,
            limit=limit,
            descending=FLAGS[flag],
        )
        return answer_json(200, [_told(each) for each in found])

    async def _create(self, request: Request) -> Response:
        body = await read_json(request, _NewUser, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        actor = request.state.actor
        made = await self._deeds.create_user(actor, body.email, Secret(body.password))
        return answer_denied(made) if isinstance(made, Denied) else answer_json(201, _told(made))

    async def _one(self, request: Request) -> Response:
        found = await self._deeds.user(request.path_params["user_id"])
        return answer_denied(found) if isinstance(found, Denied) else answer_json(200, _told(found))

    async def _devices(self, request: Request) -> Response:
        found = await self._deeds.sessions(request.path_params["user_id"])
        if isinstance(found, Denied):
            return answer_denied(found)
        devices = dict.fromkeys(each.device_id for each in found)
        return answer_json(200, [{"_id": device} for device in devices])

    async def _sessions(self, request: Request) -> Response:
        found = await self._deeds.sessions(request.path_params["user_id"])
        if isinstance(found, Denied):
            return answer_denied(found)
        return answer_json(200, [_session(each) for each in found])

    async def _end_session(self, request: Request) -> Response:
        path, actor = request.path_params, request.state.actor
        denied = await self._deeds.end_session(actor, path["user_id"], path["session_id"])
        return answer_denied(denied) if denied else answer_empty(204)


def _doing(deed: Deed) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a deed on one user."""

    async def answer(request: Request) -> Response:
        denied = await deed(request.state.actor, request.path_params["user_id"])
        return answer_denied(denied) if denied else answer_empty(204)

    return answer


def _told(user: AccountRecord) -> dict[str, Any]:
    return {
        "_id": user.user_id,
        "identities": [
            {
                "id": identity.identity_id,
                "provider_type": identity.provider_type,
                "provider_id": domain_id(identity.provider_type),
            }
            for identity in user.identities
        ],
        "type": "normal",
        "creation_date": int(user.created_at),
        "last_authentication_date": int(user.last_login_at or 0),
        "disabled": user.disabled,
        "data": user.data,
    }


def _session(session: OpenSession) -> dict[str, Any]:
    return {
        "_id": session.session_id,
        "device_id": session.device_id,
        "provider_type": session.provider_type,
        "rotates": session.rotates,
        "creation_date": int(session.created_at),
        "expiration_date": int(session.expires_at),
    }
