"""Embedded servers without a socket: one that is not started, and a client that calls it as an application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from syncauth.models import Secret
from syncauth.server import SyncServer
from tests.support.embedding.parents import SCHEMA
from tests.support.processes import configure

BASE = "/api/client/v2.0"
LOGIN = f"{BASE}/app/test/auth/providers/custom-function/login"
Make = Callable[..., SyncServer]


def maker(folder: Path) -> Make:
    """Return what makes servers in a folder; `more` is TOML."""

    def make(name: str = "data", more: str = "", **given: Any) -> SyncServer:
        configure(folder, SCHEMA, "[tables.notes]\n", more)
        return SyncServer(folder / "syncauth.toml", data_dir=folder / name, **given)

    return make


@asynccontextmanager
async def client_of(app: Any, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that calls the application without a socket."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://host", **settings) as client:
        yield client


def bearer(token: Secret) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token.reveal()}"}
