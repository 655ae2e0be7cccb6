"""
What a routes module tells of its endpoints, for the published OpenAPI document.

Each module lists its operations beside its routes; `openapi.py` makes the document of them, and an architecture test
holds both to be the same. What belongs to every operation of a kind (a missing token, a body that is too large) is
added there and not told again. This module must never know a single endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

BASE: Final = "/api/client/v2.0"
APP: Final = f"{BASE}/app/{{app_id}}"
PROVIDERS: Final = f"{APP}/auth/providers"

NEVER_SHUT: Final = frozenset({"/healthz", "/readyz"})
"""Paths that are served while the server ends, too."""

Bearer = Literal["none", "access", "access, or in the URL", "access for a link", "refresh", "admin"]
"""Which token a call carries."""

STATUS: Final[Mapping[str, int]] = {
    "InvalidSession": 401,
    "InvalidPassword": 401,
    "AuthError": 401,
    "UserDisabled": 401,
    "AccountNameInUse": 409,
    "UserpassTokenInvalid": 400,
    "BadRequest": 400,
    "InvalidParameter": 400,
    "UserNotFound": 404,
    "SessionNotFound": 404,
    "APIKeyNotFound": 404,
    "APIKeyAlreadyExists": 409,
    "FunctionNotFound": 404,
    "ServiceNotFound": 404,
    "FunctionExecutionError": 400,
    "ExecutionTimeLimitExceeded": 400,
    "AuthProviderNotFound": 404,
    "AppNotFound": 404,
    "RotationRequired": 403,
    "CrossSiteRequest": 403,
    "RequestTooLarge": 413,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "ServerRestarting": 503,
}
"""Error code → the status that it comes with, always."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the query; all are texts."""

    name: str
    text: str
    required: bool = False
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    `answers` gives the type of the body for each status that is no refusal, None for an empty one. `codes` are the
    refusals of this operation alone. `body` is the type that is read; `may_be_empty` tells that no body is one too.
    """

    method: str
    path: str
    summary: str
    answers: Mapping[int, Any]
    codes: tuple[str, ...] = ()
    bearer: Bearer = "none"
    body: Any = None
    may_be_empty: bool = False
    query: tuple[Parameter, ...] = ()
    media: str = "application/json"

    def all_codes(self) -> list[str]:
        """Return the refusals of this operation and those of its kind, in the order of `STATUS`."""
        codes = {*self.codes, "InternalServerError"}
        if self.path not in NEVER_SHUT:
            codes.add("ServerRestarting")
        if "{app_id}" in self.path:
            codes.add("AppNotFound")
        if self.bearer != "none":
            codes.add("InvalidSession")
        if self.body is not None:
            codes |= {"BadRequest", "RequestTooLarge"}
        return [code for code in STATUS if code in codes]
