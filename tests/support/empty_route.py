"""A program that answers every request alike, with nothing but Starlette and uvicorn: what HTTP alone costs."""

from __future__ import annotations

import asyncio
import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BODY = json.dumps({"access_token": "x" * 500, "refresh_token": "x" * 700}).encode()


async def _answer(request: Request) -> Response:
    await request.body()
    return Response(BODY, 201, media_type="application/json")


async def _health(_request: Request) -> Response:
    return Response(BODY, media_type="application/json")


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[object] | None = None) -> None:
        await super().startup()
        port = self.servers[0].sockets[0].getsockname()[1]
        sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{port}"}) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Serve until SIGTERM."""
    routes = [
        Route("/api/client/v2.0/auth/session", _answer, methods=["POST"]),
        Route("/healthz", _health),
    ]
    options = uvicorn.Config(
        Starlette(routes=routes), port=0, log_level="warning", access_log=False
    )
    server = _Server(options)
    with asyncio.Runner(loop_factory=options.get_loop_factory()) as runner:
        runner.run(server.serve())


if __name__ == "__main__":
    main()
