"""
`GET /metrics`: who may read what the server counts.

Beside the API it wants the bearer token of `[metrics]`; on its own loopback port it wants it only if there is one. What
it tells is numbers by route, status and code, which show how busy the server is and nobody's name. This module must
never be reachable without a setting that asks for it.
"""

from __future__ import annotations

import hmac
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncauth.models import Secret
from syncauth.server.accounts.answers import Denied
from syncauth.server.accounts.secret_sources import read_secret
from syncauth.server.operations.metrics import CONTENT_TYPE, Metrics
from syncauth.server.routes.exchange import answer_denied, bearer
from syncauth.server.settings.operations import MetricsSettings
from syncauth.server.settings.section import refusal

PATH: Final = "/metrics"
SHORTEST_TOKEN: Final = 16


class MetricsDoor:
    """Answers `/metrics`."""

    def __init__(self, metrics: Metrics, token: Secret | None) -> None:
        """Take what is read, and the token that whoever reads must have."""
        self._metrics = metrics
        self._token = token

    def route(self) -> Route:
        """Return the route."""
        return Route(PATH, self._answer, methods=["GET"])

    async def _answer(self, request: Request) -> Response:
        if self._token is not None and not self._knows(bearer(request), self._token):
            response = answer_denied(Denied(401, "AuthError", "the token of [metrics] is needed"))
            response.headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 section 11.6.1
            return response
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    def _knows(self, said: Secret | Denied, token: Secret) -> bool:
        if isinstance(said, Denied):
            return False
        return hmac.compare_digest(said.reveal().encode(), token.reveal().encode())


def open_doors(settings: MetricsSettings, metrics: Metrics) -> tuple[list[Route], Starlette | None]:
    """Return the routes beside the API, and the application for a port of its own; one of them at most.

    Raises:
        InvalidConfig: the token that `[metrics]` names is not there or too short.
    """
    token = read_token(settings)
    door = MetricsDoor(metrics, token)
    if settings.port is not None:
        return [], Starlette(routes=[door.route()])
    return ([door.route()] if token is not None else []), None


def read_token(settings: MetricsSettings) -> Secret | None:
    """Return the token that whoever reads must have, or None if the settings name none.

    Raises:
        InvalidConfig: it is not there or too short.
    """
    env, file = settings.token_env, settings.token_file
    if not env and file is None:
        return None
    token = read_secret("metrics.token", env=env, file=file)
    if len(token.reveal()) < SHORTEST_TOKEN:
        remedy = f"Take at least {SHORTEST_TOKEN} random characters"
        name = "metrics.token_env" if file is None else "metrics.token_file"
        raise refusal(name, "the token is too short", remedy)
    return token
