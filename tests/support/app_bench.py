"""What Apps are tested with: one table, one account, and waiting for an event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import syncauth
from tests.support.processes import EMAIL, PASSWORD

SECONDS = 20

TABLE = "CREATE TABLE IF NOT EXISTS notes (id TEXT NOT NULL PRIMARY KEY, title TEXT, body TEXT);"
SERVER_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (_partition TEXT NOT NULL, id TEXT NOT NULL, title TEXT, body TEXT,
    PRIMARY KEY (_partition, id));
"""
ANN = syncauth.Credentials.email_password(EMAIL, PASSWORD)

OpenApp = Callable[..., Awaitable[syncauth.App]]
_Kind = TypeVar("_Kind")


async def open_notes(app: syncauth.App, user: syncauth.User) -> syncauth.OpenReplica:
    """Open the user's notes."""
    return await app.open_replica(user, tables=["notes"], create=TABLE)


async def next_event(
    events: AsyncIterator[syncauth.Event], kind: type[_Kind], **wanted: Any
) -> _Kind:
    """Wait for the next event of a kind with these attributes; fails after a while."""

    async def look() -> _Kind:
        async for event in events:
            if isinstance(event, kind) and all(getattr(event, k) == v for k, v in wanted.items()):
                return event
        raise AssertionError("the App was closed")

    return await asyncio.wait_for(look(), SECONDS)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; fails after a while."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)
