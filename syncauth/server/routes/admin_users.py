"""
The users of one app for administrators, over HTTP: listed, found, made, logged out, disabled, enabled, removed.

Shapes are those of App Services, with times in whole seconds. This module must never log, and tells neither a hash nor
a token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncauth.models import Secret
from syncauth.server.accounts.answers import Denied, bad_request
from syncauth.server.accounts.custom_data import LARGEST
from syncauth.server.accounts.issuer import domain_id
from syncauth.server.admin.deeds import Deeds
from syncauth.server.routes.exchange import (
    Guard,
    answer_denied,
    answer_empty,
    answer_json,
    read_json,
)
from syncauth.server.routes.operations import Operation, Parameter
from syncauth.server.stores.admin_interface import AccountRecord, OpenSession, UserFilter

BASE: Final = "/api/admin/v3.0"
GROUP: Final = f"{BASE}/groups/{{group_id}}/apps"
APP: Final = f"{GROUP}/{{app_id}}"
USERS: Final = f"{APP}/users"
ONE: Final = f"{USERS}/{{user_id}}"

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


class _IdentityOfUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    provider_type: str
    provider_id: str


class _User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user_id: str = msgspec.field(name="_id")
    identities: list[_IdentityOfUser]
    type: str
    creation_date: int
    last_authentication_date: int
    disabled: bool
    data: dict[str, Any]


class _Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device_id: str = msgspec.field(name="_id")


class _SessionOfUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    session_id: str = msgspec.field(name="_id")
    device_id: str
    provider_type: str
    rotates: bool
    creation_date: int
    expiration_date: int


def _of_one(method: str, path: str, summary: str, answers: Mapping[int, Any]) -> Operation:
    return Operation(method, path, summary, answers, ("UserNotFound",), bearer="admin")


OPERATIONS: Final = (
    Operation(
        "GET",
        USERS,
        "List users, or find one",
        {200: list[_User]},
        ("BadRequest",),
        bearer="admin",
        query=(
            Parameter("after", "The last `_id` of the page before"),
            Parameter("limit", f"Users of a page, from 1 to {LONGEST_PAGE}"),
            Parameter("sort", "What they are ordered by", allowed=("_id",)),
            Parameter("desc", "Turn the order around", allowed=tuple(FLAGS)),
            Parameter("status", "These alone", allowed=tuple(STATES)),
            Parameter("provider_types", "Users with an identity of these, with commas between"),
            Parameter("email", "The one user with this email account"),
        ),
    ),
    Operation(
        "POST",
        USERS,
        "Make a user",
        {201: _User},
        ("AccountNameInUse", "AuthProviderNotFound", "TooManyRequests"),
        bearer="admin",
        body=_NewUser,
    ),
    _of_one("GET", ONE, "Tell of a user", {200: _User}),
    _of_one("DELETE", ONE, "Remove a user", {204: None}),
    _of_one("PUT", f"{ONE}/logout", "End all sessions of a user", {204: None}),
    _of_one("PUT", f"{ONE}/disable", "End them and let the user not log in", {204: None}),
    _of_one("PUT", f"{ONE}/enable", "Let a user log in again", {204: None}),
    Operation(
        "PUT",
        f"{ONE}/custom_data",
        "Set what a user's access tokens carry",
        {204: None},
        ("UserNotFound",),
        bearer="admin",
        body=dict[str, Any],
    ),
    _of_one("GET", f"{ONE}/devices", "List the devices of open sessions", {200: list[_Device]}),
    _of_one("GET", f"{ONE}/sessions", "List open sessions", {200: list[_SessionOfUser]}),
    Operation(
        "DELETE",
        f"{ONE}/sessions/{{session_id}}",
        "End one session",
        {204: None},
        ("SessionNotFound",),
        bearer="admin",
    ),
)


class AdminUserRoutes:
    """The routes of users."""

    def __init__(self, deeds: Deeds, limit: int) -> None:
        """Take who does the deeds, and how many bytes a body may have."""
        self._deeds = deeds
        self._limit = limit

    def routes(self, of_app: Guard) -> list[Route]:
        """Return the routes, each behind `of_app`."""
        users, one, deeds = USERS, ONE, self._deeds
        return [
            Route(users, of_app(self._all), methods=["GET"]),
            Route(users, of_app(self._create), methods=["POST"]),
            Route(one, of_app(self._one), methods=["GET"]),
            Route(one, of_app(_doing(deeds.remove_user)), methods=["DELETE"]),
            Route(f"{one}/logout", of_app(_doing(deeds.log_user_out)), methods=["PUT"]),
            Route(f"{one}/disable", of_app(_doing(deeds.disable_user)), methods=["PUT"]),
            Route(f"{one}/enable", of_app(_doing(deeds.enable_user)), methods=["PUT"]),
            Route(f"{one}/custom_data", of_app(self._set_data), methods=["PUT"]),
            Route(f"{one}/devices", of_app(self._devices), methods=["GET"]),
            Route(f"{one}/sessions", of_app(self._sessions), methods=["GET"]),
            Route(f"{one}/sessions/{{session_id}}", of_app(self._end_session), methods=["DELETE"]),
        ]

    async def _all(self, request: Request) -> Response:
        asked = request.query_params
        state, flag = asked.get("status", ""), asked.get("desc", "")
        if asked.get("sort", "_id") != "_id" or state not in STATES or flag not in FLAGS:
            return answer_denied(bad_request("sort is _id, status enabled or disabled, desc true"))
        try:
            limit = msgspec.convert(asked.get("limit", str(PAGE)), _Limit, strict=False)
        except msgspec.ValidationError:
            return answer_denied(bad_request(f"limit is a number from 1 to {LONGEST_PAGE}"))
        if "email" in asked:
            found = await self._deeds.users_of_email(asked["email"])
            return answer_json(200, [_told(each) for each in found])
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

    async def _set_data(self, request: Request) -> Response:
        body = await read_json(request, dict[str, Any], limit=min(self._limit, LARGEST))
        if isinstance(body, Denied):
            return answer_denied(body)
        user = request.path_params["user_id"]
        denied = await self._deeds.set_custom_data(request.state.actor, user, body)
        return answer_denied(denied) if denied else answer_empty(204)

    async def _devices(self, request: Request) -> Response:
        found = await self._deeds.sessions(request.path_params["user_id"])
        if isinstance(found, Denied):
            return answer_denied(found)
        devices = dict.fromkeys(each.device_id for each in found)
        return answer_json(200, [_Device(device) for device in devices])

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


def _told(user: AccountRecord) -> _User:
    return _User(
        user_id=user.user_id,
        identities=[
            _IdentityOfUser(
                id=identity.identity_id,
                provider_type=identity.provider_type,
                provider_id=domain_id(identity.provider_type),
            )
            for identity in user.identities
        ],
        type="normal",
        creation_date=int(user.created_at),
        last_authentication_date=int(user.last_login_at or 0),
        disabled=user.disabled,
        data=user.data,
    )


def _session(session: OpenSession) -> _SessionOfUser:
    return _SessionOfUser(
        session_id=session.session_id,
        device_id=session.device_id,
        provider_type=session.provider_type,
        rotates=session.rotates,
        creation_date=int(session.created_at),
        expiration_date=int(session.expires_at),
    )
