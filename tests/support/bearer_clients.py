"""The four clients that the app's own requests may be made with, behind one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from syncauth.adapters.bearer_auth import make_auth
from syncauth.adapters.bearer_origins import read_origins
from tests.support.token_source import CountingTokens

Call = Callable[..., Any]


@dataclass(frozen=True)
class Caller:
    """A library, and which of its clients."""

    library: ModuleType
    asynchronous: bool

    def __str__(self) -> str:
        """Name it in the name of a test."""
        return f"{self.library.__name__}-{'async' if self.asynchronous else 'sync'}"

    def send(self, method: str, url: str, *, auth: Any, **more: Any) -> Any:
        """Send one request with a new client, and read the whole answer."""
        of_client = {"trust_env": False, "timeout": 10, "verify": more.pop("verify", True)}
        if not self.asynchronous:
            with self.library.Client(auth=auth, **of_client) as client:
                return client.request(method, url, **more)

        async def send() -> Any:
            async with self.library.AsyncClient(auth=auth, **of_client) as client:
                return await client.request(method, url, **more)

        return asyncio.run(send())

    def send_twice(self, request: Any, *, auth: Any) -> Any:
        """Send one request object, and then the very same once more."""
        if not self.asynchronous:
            with self.library.Client(auth=auth, trust_env=False) as client:
                client.send(request)
                return client.send(request)

        async def send() -> Any:
            async with self.library.AsyncClient(auth=auth, trust_env=False) as client:
                await client.send(request)
                return await client.send(request)

        return asyncio.run(send())


CALLERS = [Caller(library, kind) for library in (httpx, httpx2) for kind in (False, True)]
each_caller = pytest.mark.parametrize("caller", CALLERS, ids=str)


def auth_for(tokens: CountingTokens, *origins: str) -> httpx.Auth:
    """Return the auth for these origins."""
    return make_auth(tokens, read_origins(origins))
