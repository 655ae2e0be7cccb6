"""Operations of a server without a server: an application of two routes, watched, with what it logged and counted."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from syncauth.server.accounts import answers
from syncauth.server.clock import SystemRandomness
from syncauth.server.operations.gate import Gate
from syncauth.server.operations.ids import name_user
from syncauth.server.operations.metrics import Metrics
from syncauth.server.operations.requests import Requests, templates
from syncauth.server.operations.tracing import NoTracing, Tracing
from syncauth.server.routes.exchange import answer_denied

LOGIN = "/app/{app_id}/auth/providers/local-userpass/login"


class SteppingClock:
    """A clock that moves by 12 ms with every reading."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        self.seconds += 0.012
        return self.seconds

    def wall(self) -> float:
        return self.seconds


async def answer(request: Request) -> Response:
    """Say hello to a verified user."""
    name_user("ann", "session")
    logging.getLogger("tests.watched").warning("on the way")
    return PlainTextResponse(request.path_params["name"])


async def refuse(_request: Request) -> Response:
    """Refuse a login."""
    return answer_denied(answers.WRONG_PASSWORD)


async def fail(_request: Request) -> Response:
    """Fail with a text that must stay here."""
    what = "very secret"
    raise RuntimeError(what)


class Watched:
    """An application behind `Requests`, spoken to in ASGI."""

    def __init__(self, app: Any = None, tracing: Tracing | None = None) -> None:
        routes = [
            Route("/hello/{name}", answer),
            Route(LOGIN, refuse, methods=["POST"]),
            Route("/fail", fail),
            Route("/healthz", answer_health),
        ]
        self.metrics, self.gate = Metrics(), Gate(3.0)
        self.app = Requests(
            app or Starlette(routes=routes).build_middleware_stack(),
            templates(routes),
            clock=SteppingClock(),
            randomness=SystemRandomness(),
            metrics=self.metrics,
            tracing=tracing or NoTracing(),
            gate=self.gate,
        )

    def ask(self, path: str, method: str = "GET", **headers: str) -> Message:
        """Send a request; returns status and headers of the answer."""
        scope = {"type": "http", "method": method, "path": path, "query_string": b"t=secret-token"}
        named = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
        return self.pass_through({**scope, "headers": named})[0]

    def pass_through(self, scope: dict[str, Any]) -> list[Message]:
        """Send anything; returns what reached the client."""
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        async def send(message: Message) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        return sent

    def value(self, name: str, **labels: str) -> float | None:
        """Return a sample of the metrics, None if there is no such one."""
        return sample(self.metrics.text().decode(), name, **labels)


async def answer_health(_request: Request) -> Response:
    """Be well."""
    return PlainTextResponse("ok")


def sample(text: str, name: str, **labels: str) -> float | None:
    """Find a sample in the text of the metrics."""
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            if each.name == name and labels.items() <= each.labels.items():
                return float(each.value)
    return None


def header(message: Message, name: str) -> str | None:
    """Return a header of an answer."""
    for key, value in message.get("headers", []):
        if key.decode().lower() == name:
            return str(value.decode())
    return None


def scripted(*messages: Message) -> Any:
    """Return an application that sends just these."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(dict(message))

    return app


def lines_of(text: str) -> list[dict[str, Any]]:
    """Read a log of JSON lines; every line must be an object."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    return lines
