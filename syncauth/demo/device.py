"""
One device of the demonstration, as a process of its own.

It takes commands as JSON lines on its standard input and says what happens as JSON lines on its
standard output. When a relogin is required it says so and goes on writing; it logs in when it is
told to, or, with `--relogin`, by itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import syncauth
from syncauth.demo import story

EMAIL: Final = "someone@example.com"
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of a server that lives for half a minute
WAIT_SECONDS: Final = 60.0


def say(happened: str, **data: Any) -> None:
    """Print one line for the storyteller."""
    sys.stdout.write(json.dumps({"happened": happened, **data}) + "\n")
    sys.stdout.flush()


class Device:
    """An app with one table."""

    def __init__(self, app: syncauth.App, *, relogin: bool) -> None:
        """Take an open App."""
        self._app = app
        self._relogin = relogin
        self._replica: syncauth.OpenReplica | None = None

    @property
    def replica(self) -> syncauth.OpenReplica:
        """The open replica."""
        if self._replica is None:
            message = "log in first"
            raise RuntimeError(message)
        return self._replica

    async def relogin_required(self, event: syncauth.ReloginRequired) -> None:
        """Say it; the storyteller, or the device itself, logs in."""
        say("relogin_required", reason=event.reason.value, pending=event.changes_pending)
        if self._relogin:
            await self._app.log_in(_credentials())

    async def obey(self, command: dict[str, Any]) -> None:
        """Carry out one command and say what came of it."""
        match command["do"]:
            case "register":
                await self._app.register(EMAIL, PASSWORD)
                say("registered")
            case "log_in":
                user = await self._app.log_in(_credentials())
                if self._replica is None:
                    self._replica = await self._app.open_replica(
                        user, tables=["airports"], create=story.CREATE
                    )
                say("logged_in", path=self.replica.path, user=user.id)
            case "import":
                await self._import(command["first"], command["last"])
            case "edit":
                await self._edit(command["place"], command["column"], command["value"])
            case "delete":
                await self._delete(command["place"])
            case "ask_again":
                self._app.request_relogin()
            case _:
                await self._wait(command["do"])

    async def _wait(self, what: str) -> None:
        if what == "uploaded":
            await self.replica.wait_uploaded(WAIT_SECONDS)
        else:
            await self.replica.wait_synced(WAIT_SECONDS)
        say(what, rows=_count(self.replica))

    async def _import(self, first: int, last: int | None) -> None:
        rows = story.airports()[first:last]
        marks = ", ".join("?" * len(story.COLUMNS))
        sql = f"INSERT INTO airports VALUES ({marks})"
        await self.replica.write(lambda db: db.conn.executemany(sql, rows) and None)
        state = self.replica.status
        say("imported", rows=len(rows), session=state.session.value)

    async def _edit(self, place: int, column: str, value: Any) -> None:
        icao = story.airports()[place][0]
        await self.replica.write(lambda db: db["airports"].update(icao, {column: value}) and None)  # type: ignore[union-attr]
        say("edited")

    async def _delete(self, place: int) -> None:
        icao = story.airports()[place][0]
        await self.replica.write(lambda db: db["airports"].delete(icao) and None)  # type: ignore[union-attr]
        say("deleted")


def _credentials() -> syncauth.Credentials:
    return syncauth.Credentials.email_password(EMAIL, PASSWORD)


def _count(replica: syncauth.OpenReplica) -> int:
    return int(replica.db.execute("SELECT count(*) FROM airports").fetchone()[0])


async def _tell(events: AsyncIterator[syncauth.Event]) -> None:
    """Say every transition of both machines as it happens."""
    async for event in events:
        if isinstance(event, syncauth.SessionChanged | syncauth.ConnectionChanged):
            machine = "session" if isinstance(event, syncauth.SessionChanged) else "connection"
            before, after = event.before.value, event.after.value
            say("transition", machine=machine, before=before, after=after, trigger=event.trigger)


async def main(url: str, data_dir: str, *, relogin: bool) -> None:
    """Run until the standard input ends."""
    app = syncauth.App(url, app_id="demo", data_dir=data_dir, key_storage="file")
    device = Device(app, relogin=relogin)
    app.on_relogin_required(device.relogin_required)
    async with app:
        telling = asyncio.ensure_future(_tell(app.events()))
        while line := await asyncio.to_thread(sys.stdin.readline):
            await device.obey(json.loads(line))
    await telling


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], relogin="--relogin" in sys.argv))
