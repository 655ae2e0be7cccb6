"""A loopback proxy of TCP connections, which can lose an answer or hold a request back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

ALL = 65_536


class LossyProxy:
    """Passes bytes on; a context, outside of which nothing listens."""

    def __init__(self, port: int) -> None:
        """Choose the port of loopback to which everything goes."""
        self._to = port
        self.swallow = False
        """Whether answers are read from the server and never passed on."""
        self.pass_on = asyncio.Event()
        """Set while requests may go on to the server."""
        self.pass_on.set()
        self.arrived = asyncio.Event()
        """Set once a request has come from the client."""
        self.swallowed = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self.pass_on.set()
        for writer in list(self._writers):
            writer.close()

    def through(self, url: str) -> str:
        """Return the address by which this URL of the server is reached through the proxy."""
        return url.replace(f":{self._to}/", f":{self.port}/", 1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, back}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, back))
                group.create_task(self._answers(there, writer, back))
        finally:
            self._writers -= {writer, back}
            writer.close()
            back.close()

    async def _requests(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await client.read(ALL):
                self.arrived.set()
                await self.pass_on.wait()
                server.write(data)
                await server.drain()

    async def _answers(
        self,
        server: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
    ) -> None:
        with suppress(OSError):
            while data := await server.read(ALL):
                if self.swallow:
                    self.swallowed += len(data)
                    break
                client.write(data)
                await client.drain()
        client.close()
        back.close()
