"""
A device as a process of its own, for tests and benchmarks: commands in, answers and events out, as JSON lines.

Arguments: URL, data directory. Every line that is told carries `at`, the monotonic clock, which all processes of a
machine share. A command that raises is answered by `failed` with the name of the error.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import syncauth


def tell(happened: str, **data: Any) -> None:
    """Print one line."""
    sys.stdout.write(json.dumps({"happened": happened, "at": time.monotonic(), **data}) + "\n")
    sys.stdout.flush()


class Program:
    """An App that does as it is told."""

    def __init__(self, app: syncauth.App) -> None:
        self._app = app
        self._replica: syncauth.OpenReplica | None = None

    @property
    def replica(self) -> syncauth.OpenReplica:
        if self._replica is None:
            message = "no replica is open"
            raise RuntimeError(message)
        return self._replica

    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command and return what is to be told."""
        arguments = {name: value for name, value in command.items() if name != "do"}
        answer = await getattr(self, f"do_{command['do']}")(**arguments)
        return answer or {}

    async def do_register(self, email: str, password: str) -> None:
        await self._app.register(email, password)

    async def do_log_in(self, email: str, password: str) -> dict[str, Any]:
        credentials = syncauth.Credentials.email_password(email, password)
        user = await self._app.log_in(credentials)
        return {"user": user.id}

    async def do_log_in_with(self, payload: dict[str, Any]) -> dict[str, Any]:
        user = await self._app.log_in(syncauth.Credentials.function(payload))
        token = await user.valid_access_token()
        return {"user": user.id, "token": token.reveal()}

    async def do_log_out(self) -> None:
        await self._app.log_out()

    async def do_open(self, **settings: Any) -> dict[str, Any]:
        user = self._app.current_user
        if user is None:
            message = "nobody is logged in"
            raise RuntimeError(message)
        self._replica = await self._app.open_replica(user, **settings)
        return {"path": self._replica.path}

    async def do_write(self, sql: str, rows: list[list[Any]]) -> None:
        await self.replica.write(lambda db: db.conn.executemany(sql, rows) and None)

    async def do_commit(self, sql: str, row: list[Any]) -> dict[str, Any]:
        with self.replica.db.conn as connection:
            connection.execute(sql, row)
        return {"committed": time.monotonic()}

    async def do_uploaded(self, timeout: float = 60.0) -> None:  # noqa: ASYNC109 - passed on
        await self.replica.wait_uploaded(timeout)

    async def do_synced(self, timeout: float = 60.0) -> None:  # noqa: ASYNC109 - passed on
        await self.replica.wait_synced(timeout)

    async def do_status(self) -> dict[str, Any]:
        status = self.replica.status
        return {
            "session": status.session.value,
            "connection": status.connection.value,
            "pending": status.pending,
        }

    async def do_dead_letters(self) -> dict[str, Any]:
        return {"codes": [letter.code for letter in await self.replica.dead_letters()]}

    async def do_network_changed(self) -> None:
        self._app.network_changed()


async def tell_events(events: AsyncIterator[syncauth.Event]) -> None:
    """Tell transitions and refusals as they happen."""
    async for event in events:
        match event:
            case syncauth.SessionChanged() | syncauth.ConnectionChanged():
                machine = "session" if isinstance(event, syncauth.SessionChanged) else "connection"
                tell("transition", machine=machine, state=event.after.value, trigger=event.trigger)
            case syncauth.ChangeRejected():
                tell("rejected", text=repr(event))
            case syncauth.SyncErrorRaised():
                tell("sync_error", text=repr(event))
            case _:
                pass


async def main(url: str, data_dir: str) -> None:
    """Run until the standard input ends."""
    app = syncauth.App(url, app_id="test", data_dir=data_dir, key_storage="file")
    app.on_relogin_required(lambda event: tell("relogin_required", reason=event.reason.value))
    async with app, asyncio.TaskGroup() as group:
        telling = group.create_task(tell_events(app.events()))
        program = Program(app)
        tell("ready", user=app.current_user is not None)
        while line := await asyncio.to_thread(sys.stdin.readline):
            command = json.loads(line)
            try:
                tell("done", do=command["do"], **await program.obey(command))
            except syncauth.SyncAuthError as error:
                tell("failed", do=command["do"], error=type(error).__name__, text=str(error))
        telling.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
