"""
The storyteller: makes the processes go through the story, and prints it as it happens.

It knows what is told to whom and in which order; what the tables must hold afterwards is for `story`
and `verify`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from syncauth.demo import story
from syncauth.demo.processes import DeviceProcess, end, start_server

REFRESH_SECONDS: Final = 12
CONFIG: Final = f"""
[server]
app_id = "demo"
schema = "schema.sql"
test_mode = true

[lifetimes]
access_seconds = 3
refresh_seconds = {REFRESH_SECONDS}

[tables.airports]
partition_column = "owner"
"""
PAUSE_SECONDS: Final = 0.1
"""Between two edits, so that the later one is later by both devices' clocks."""

_started: Final = time.monotonic()


def say(who: str, text: str) -> None:
    """Print one line of the story."""
    sys.stdout.write(f"{time.monotonic() - _started:6.2f} s  {who:<8} {text}\n")
    sys.stdout.flush()


def _heard(name: str, told: dict[str, Any]) -> None:
    if told["happened"] == "transition":
        arrow = f"{told['before']} → {told['after']}"
        say(name, f"{told['machine']}: {arrow}  ({told['trigger']})")


class Story:
    """One run of the story in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        """Take an empty directory."""
        self._directory = directory
        self.files: list[Path] = []

    async def tell(self) -> None:
        """Tell it from the first login to the last row; afterwards all processes have ended."""
        (self._directory / "schema.sql").write_text(story.SERVER_SCHEMA)
        (self._directory / "syncauth.toml").write_text(CONFIG)
        data = self._directory / "server"
        server, url = await start_server(self._directory / "syncauth.toml", data)
        say("server", f"listens at {url}; a refresh token lives for {REFRESH_SECONDS} s")
        try:
            async with self._device("laptop", url) as laptop, self._device("tablet", url) as tablet:
                await self._begin(laptop, tablet)
                await self._work_offline(laptop, tablet)
                await self._ask_server(laptop, url)
                await self._return(laptop, tablet)
        finally:
            await end(server)
        self.files.insert(0, data / "server.db")

    @contextlib.asynccontextmanager
    async def _device(self, name: str, url: str) -> AsyncIterator[DeviceProcess]:
        device = await DeviceProcess.start(name, url, self._directory / name, _heard)
        async with asyncio.TaskGroup() as group:
            group.create_task(device.listen())
            try:
                yield device
            finally:
                await device.end()

    async def _begin(self, laptop: DeviceProcess, tablet: DeviceProcess) -> None:
        """Both devices log in and share a few airports."""
        await laptop.do("register", "registered")
        for device in (laptop, tablet):
            answer = await device.do("log_in", "logged_in")
            self.files.append(Path(answer["path"]))
        await laptop.do("import", "imported", first=0, last=story.SHARED)
        await laptop.do("synced", "synced")
        answer = await tablet.do("synced", "synced")
        say("tablet", f"has the {answer['rows']} airports that the laptop imported")

    async def _work_offline(self, laptop: DeviceProcess, tablet: DeviceProcess) -> None:
        """The login ends; both go on writing."""
        say(
            "",
            f"nobody touches anything until the refresh tokens end, {REFRESH_SECONDS} s after login",
        )
        for device in (laptop, tablet):
            told = await device.hear("relogin_required")
            say(device.name, f"on_relogin_required: {told['reason']}; the app shows its login form")
        answer = await laptop.do("import", "imported", first=story.SHARED, last=None)
        say("laptop", f"imports {answer['rows']} airports meanwhile; session {answer['session']}")
        devices = {"laptop": laptop, "tablet": tablet}
        for step in story.STEPS:
            await asyncio.sleep(PAUSE_SECONDS)
            device = devices[step.device]
            if isinstance(step, story.Edit):
                await device.do(
                    "edit", "edited", place=step.place, column=step.column, value=step.value
                )
            else:
                await device.do("delete", "deleted", place=step.place)
        say("", f"{len(story.STEPS)} edits and deletions of shared airports on both devices")

    async def _ask_server(self, laptop: DeviceProcess, url: str) -> None:
        """When the hook runs again, ask the server over its port what it has."""
        told = await laptop.do("ask_again", "relogin_required")
        say("laptop", f"on_relogin_required again; {told['pending']} changes wait")
        async with self._device("visitor", url) as visitor:
            await visitor.do("log_in", "logged_in")
            answer = await visitor.do("synced", "synced")
        say("visitor", f"a third device logs in afresh; the server has {answer['rows']} airports")
        if answer["rows"] != story.SHARED:
            message = f"the server has {answer['rows']} airports before the login"
            raise StoryBroken(message)

    async def _return(self, laptop: DeviceProcess, tablet: DeviceProcess) -> None:
        """Both log in; everything written meanwhile is replayed and reaches the other device."""
        say("", "both log in again")
        await tablet.do("log_in", "logged_in")
        before = time.monotonic()
        await laptop.do("log_in", "logged_in")
        await laptop.do("uploaded", "uploaded")
        say("laptop", f"everything is replayed {time.monotonic() - before:.2f} s after its login")
        for device in (laptop, tablet, laptop):
            await device.do("synced", "synced")
        answer = await tablet.do("synced", "synced")
        say("tablet", f"has {answer['rows']} airports, {time.monotonic() - before:.2f} s after it")


class StoryBroken(Exception):
    """Something happened that must not."""
