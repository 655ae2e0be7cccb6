"""
Registration, confirmation and reset over HTTP, under `auth/providers/local-userpass`.

Nobody is logged in here: a token that a client carries along is ignored. This module must never log, and no body of
these calls has a `repr` that shows what it holds.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from syncauth import ejson
from syncauth.errors import InvalidDocument
from syncauth.models import Secret
from syncauth.server.accounts.accounts import Accounts
from syncauth.server.accounts.answers import Denied
from syncauth.server.accounts.emails import Emails
from syncauth.server.routes.exchange import (
    Guard,
    address_of,
    answer_denied,
    answer_empty,
    read_json,
)
from syncauth.server.routes.operations import PROVIDERS, Operation


class _Hidden(msgspec.Struct, frozen=True):
    """Shows nothing of what it holds."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class _Registration(_Hidden, frozen=True):
    email: str
    password: str

    def __repr__(self) -> str:
        return "_Registration(…)"


class _Address(_Hidden, frozen=True):
    email: str


class _Confirmation(_Hidden, frozen=True, rename={"token_id": "tokenId"}):
    token: str
    token_id: str

    def __repr__(self) -> str:
        return "_Confirmation(…)"


class _Reset(_Hidden, frozen=True, rename={"token_id": "tokenId"}):
    token: str
    token_id: str
    password: str

    def __repr__(self) -> str:
        return "_Reset(…)"


class _ResetCall(_Hidden, frozen=True):
    email: str
    password: str
    arguments: list[Any] = []

    def __repr__(self) -> str:
        return "_ResetCall(…)"


_PLACE: Final = f"{PROVIDERS}/local-userpass"
_CODES: Final = ("TooManyRequests",)
_TOKEN_CODES: Final = ("TooManyRequests", "UserpassTokenInvalid")
OPERATIONS: Final = (
    Operation(
        "POST",
        f"{_PLACE}/register",
        "Make an account",
        {201: None},
        ("AuthProviderNotFound", "AccountNameInUse", "TooManyRequests"),
        body=_Registration,
    ),
    Operation(
        "POST",
        f"{_PLACE}/confirm",
        "Confirm an address with what was sent to it",
        {204: None},
        _TOKEN_CODES,
        body=_Confirmation,
    ),
    Operation(
        "POST",
        f"{_PLACE}/confirm/send",
        "Send the confirmation again",
        {204: None},
        _CODES,
        body=_Address,
    ),
    Operation(
        "POST",
        f"{_PLACE}/confirm/call",
        "Call the confirmation function again",
        {204: None},
        _CODES,
        body=_Address,
    ),
    Operation(
        "POST",
        f"{_PLACE}/reset",
        "Set a password with what was sent to the address",
        {204: None},
        _TOKEN_CODES,
        body=_Reset,
    ),
    Operation(
        "POST", f"{_PLACE}/reset/send", "Ask for a reset", {204: None}, _CODES, body=_Address
    ),
    Operation(
        "POST",
        f"{_PLACE}/reset/call",
        "Call the reset function",
        {204: None},
        (*_CODES, "InvalidParameter"),
        body=_ResetCall,
    ),
)


class EmailRoutes:
    """The routes of email addresses and passwords."""

    def __init__(self, accounts: Accounts, emails: Emails, limit: int) -> None:
        """Take the services, and how many bytes a body may have."""
        self._accounts = accounts
        self._emails = emails
        self._limit = limit

    def routes(self, provider: str, of_app: Guard) -> list[BaseRoute]:
        """Return the routes under `provider`, each behind `of_app`."""
        place = f"{provider}/local-userpass"
        calls = {
            "register": self._register,
            "confirm": self._confirm,
            "confirm/send": self._send_confirmation,
            "confirm/call": self._call_confirmation,
            "reset": self._reset,
            "reset/send": self._send_reset,
            "reset/call": self._call_reset,
        }
        return [
            Route(f"{place}/{name}", of_app(call), methods=["POST"]) for name, call in calls.items()
        ]

    async def _register(self, request: Request) -> Response:
        body = await read_json(request, _Registration, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        password = Secret(body.password)
        denied = await self._accounts.register(body.email, password, address_of(request))
        return answer_denied(denied) if denied else answer_empty(201)

    async def _confirm(self, request: Request) -> Response:
        body = await read_json(request, _Confirmation, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        return _done(
            await self._emails.confirm(Secret(body.token), body.token_id, address_of(request))
        )

    async def _send_confirmation(self, request: Request) -> Response:
        body = await read_json(request, _Address, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        return _done(await self._emails.send_confirmation(body.email, address_of(request)))

    async def _call_confirmation(self, request: Request) -> Response:
        body = await read_json(request, _Address, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        return _done(await self._emails.call_confirmation(body.email, address_of(request)))

    async def _send_reset(self, request: Request) -> Response:
        body = await read_json(request, _Address, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        return _done(await self._emails.send_reset(body.email, address_of(request)))

    async def _reset(self, request: Request) -> Response:
        body = await read_json(request, _Reset, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        password = Secret(body.password)
        address = address_of(request)
        return _done(await self._emails.reset(Secret(body.token), body.token_id, password, address))

    async def _call_reset(self, request: Request) -> Response:
        body = await read_json(request, _ResetCall, limit=self._limit)
        if isinstance(body, Denied):
            return answer_denied(body)
        try:
            arguments = [ejson.decode(document) for document in body.arguments]
        except InvalidDocument as error:
            return answer_denied(Denied(400, "InvalidParameter", str(error)))
        password = Secret(body.password)
        address = address_of(request)
        return _done(await self._emails.call_reset(body.email, password, arguments, address))


def _done(denied: Denied | None) -> Response:
    return answer_denied(denied) if denied else answer_empty(204)
