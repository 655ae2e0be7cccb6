"""
`auth/api_keys` over HTTP. As in App Services it does not stand under `app/{id}`.

This module must never log, and tells a key in the answer to its making alone.
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from syncauth.server.accounts.answers import Denied
from syncauth.server.accounts.api_keys import ApiKeys
from syncauth.server.routes.exchange import (
    answer_denied,
    answer_empty,
    answer_json,
    bearer,
    read_json,
)
from syncauth.server.routes.operations import BASE, Operation
from syncauth.server.stores.interface import ApiKeyRecord

PLACE: Final = "/auth/api_keys"
NOT_FOUND: Final = ("APIKeyNotFound",)


class _NewKey(msgspec.Struct, frozen=True):
    name: str


class _ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"key_id": "_id"}):
    key_id: str
    name: str
    disabled: bool


class _CreatedKey(_ApiKey, frozen=True, forbid_unknown_fields=True):
    key: str

    def __repr__(self) -> str:
        return "_CreatedKey(…)"


_ONE: Final = f"{BASE}{PLACE}/{{key_id}}"
OPERATIONS: Final = (
    Operation(
        "POST",
        BASE + PLACE,
        "Make an API key, which is told this once",
        {201: _CreatedKey},
        ("InvalidParameter", "APIKeyAlreadyExists"),
        bearer="refresh",
        body=_NewKey,
    ),
    Operation("GET", BASE + PLACE, "List the API keys", {200: list[_ApiKey]}, bearer="refresh"),
    Operation("GET", _ONE, "Tell of an API key", {200: _ApiKey}, NOT_FOUND, bearer="refresh"),
    Operation("DELETE", _ONE, "Remove an API key", {204: None}, NOT_FOUND, bearer="refresh"),
    Operation("PUT", f"{_ONE}/enable", "Enable", {204: None}, NOT_FOUND, bearer="refresh"),
    Operation("PUT", f"{_ONE}/disable", "Disable", {204: None}, NOT_FOUND, bearer="refresh"),
)


class ApiKeyRoutes:
    """The routes of API keys."""

    def __init__(self, api_keys: ApiKeys, limit: int) -> None:
        """Take the service, and how many bytes a body may have."""
        self._api_keys = api_keys
        self._limit = limit

    def routes(self, base: str) -> list[BaseRoute]:
        """Return the routes under `base`."""
        one = f"{base}{PLACE}/{{key_id}}"
        return [
            Route(f"{base}{PLACE}", self._create, methods=["POST"]),
            Route(f"{base}{PLACE}", self._all, methods=["GET"]),
            Route(one, self._one, methods=["GET"]),
            Route(one, self._remove, methods=["DELETE"]),
            Route(f"{one}/enable", self._enable, methods=["PUT"]),
            Route(f"{one}/disable", self._disable, methods=["PUT"]),
        ]

    async def _create(self, request: Request) -> Response:
        token = bearer(request)
        if isinstance(token, Denied):
            return answer_denied(token)
        body = await read_json(request, _NewKey, limit=self._limit)
        made = body if isinstance(body, Denied) else await self._api_keys.create(token, body.name)
        if isinstance(made, Denied):
            return answer_denied(made)
        record, key = made
        told = _CreatedKey(record.key_id, record.name, record.disabled, key.reveal())
        return answer_json(201, told)

    async def _all(self, request: Request) -> Response:
        token = bearer(request)
        keys = token if isinstance(token, Denied) else await self._api_keys.all(token)
        if isinstance(keys, Denied):
            return answer_denied(keys)
        return answer_json(200, [_told(key) for key in keys])

    async def _one(self, request: Request) -> Response:
        token = bearer(request)
        key_id = request.path_params["key_id"]
        key = token if isinstance(token, Denied) else await self._api_keys.one(token, key_id)
        return answer_denied(key) if isinstance(key, Denied) else answer_json(200, _told(key))

    async def _remove(self, request: Request) -> Response:
        token = bearer(request)
        key_id = request.path_params["key_id"]
        denied = token if isinstance(token, Denied) else await self._api_keys.remove(token, key_id)
        return answer_denied(denied) if denied else answer_empty(204)

    async def _enable(self, request: Request) -> Response:
        return await self._set(request, disabled=False)

    async def _disable(self, request: Request) -> Response:
        return await self._set(request, disabled=True)

    async def _set(self, request: Request, *, disabled: bool) -> Response:
        token = bearer(request)
        if isinstance(token, Denied):
            return answer_denied(token)
        key_id = request.path_params["key_id"]
        denied = await self._api_keys.set_disabled(token, key_id, disabled=disabled)
        return answer_denied(denied) if denied else answer_empty(204)


def _told(key: ApiKeyRecord) -> _ApiKey:
    return _ApiKey(key.key_id, key.name, key.disabled)
