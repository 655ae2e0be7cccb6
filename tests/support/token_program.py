"""
An App as a process of its own, for tests of what several processes do to one user: JSON lines in and out.

Arguments: URL, data directory, further settings as JSON, and a step of `stopping_parts` or nothing.
Tokens are told as hashes. Every command is answered by `done` or `failed` with its name and, while
others go on: a command may wait while the next one is carried out.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from typing import Any

import syncauth
from syncauth.arguments import app_config
from syncauth.errors import NotLoggedInError
from syncauth.models import Secret
from syncauth.parts import open_parts
from tests.support.app_bench import open_notes
from tests.support.device_program import tell
from tests.support.stopping_parts import stopping_parts

_TOLD = (
    syncauth.LoggedIn,
    syncauth.LoggedOut,
    syncauth.TokensRenewed,
    syncauth.UserRemoved,
    syncauth.UserSwitched,
    syncauth.ReloginRequired,
)


def digest(token: Secret | None) -> str | None:
    """Return what a token is told by."""
    return None if token is None else hashlib.sha256(token.reveal().encode()).hexdigest()


class Program:
    """An App that does as it is told, several things at a time."""

    def __init__(self, app: syncauth.App) -> None:
        self._app = app
        self._replica: syncauth.OpenReplica | None = None

    def _user(self, user: str | None = None) -> syncauth.User:
        found = [each for each in self._app.users if each.id == user]
        wanted = found[0] if found else self._app.current_user
        if wanted is None:
            what = "nobody is logged in"
            raise NotLoggedInError(what)
        return wanted

    async def obey(self, command: dict[str, Any]) -> None:
        """Carry out one command and tell what came of it."""
        name = command.pop("do")
        try:
            answer = await getattr(self, f"do_{name}")(**command)
        except syncauth.SyncAuthError as error:
            tell("failed", do=name, error=type(error).__name__, text=str(error))
        else:
            tell("done", do=name, **(answer or {}))

    async def do_register(self, email: str, password: str) -> None:
        await self._app.register(email, password)

    async def do_log_in(self, email: str, password: str) -> dict[str, Any]:
        credentials = syncauth.Credentials.email_password(email, password)
        return {"user": (await self._app.log_in(credentials)).id}

    async def do_log_out(self) -> None:
        await self._app.log_out()

    async def do_remove(self) -> None:
        await self._app.remove_user(self._user())

    async def do_switch(self, user: str) -> None:
        await self._app.switch_user(self._user(user))

    async def do_token(
        self,
        at: float | None = None,
        timeout: float = 30.0,  # noqa: ASYNC109 - passed on
        *,
        renew: bool = True,
    ) -> dict[str, Any]:
        """Ask for a token in place of the one there is, at an instant of the clock all processes share."""
        user = self._user()
        rejected = user.access_token if renew else None
        if at is not None:
            reached, loop = asyncio.Event(), asyncio.get_running_loop()
            loop.call_at(at, reached.set)
            await reached.wait()
        asking = asyncio.ensure_future(user.valid_access_token(rejected, timeout=timeout))
        await asyncio.sleep(0)  # it has asked
        tell("asked")
        return {"old": digest(rejected), "token": digest(await asking)}

    async def do_profile(self) -> None:
        await self._user().refresh_profile()

    async def do_who(self) -> dict[str, Any]:
        """Tell who is there, and the current user's state and tokens."""
        user = self._app.current_user
        return {
            "users": sorted(each.id for each in self._app.users),
            "current": None if user is None else user.id,
            "state": None if user is None else user.state.value,
            "access": None if user is None else digest(user.access_token),
            "refresh": None if user is None else digest(user.refresh_token),
        }

    async def do_open(self) -> dict[str, Any]:
        self._replica = await open_notes(self._app, self._user())
        return {"path": self._replica.path}

    async def do_insert(self, key: str) -> dict[str, Any]:
        assert self._replica is not None
        self._replica.db["notes"].insert({"id": key, "title": "written", "body": None})
        return {"count": self._replica.db["notes"].count}

    async def do_close(self) -> None:
        assert self._replica is not None
        await self._replica.aclose()

    async def do_uploaded(self) -> None:
        assert self._replica is not None
        await self._replica.wait_uploaded(20)


async def tell_events(app: syncauth.App) -> None:
    """Tell what happened to users, as it happens."""
    async for event in app.events():
        if isinstance(event, _TOLD):
            elsewhere = getattr(event, "elsewhere", None)
            name = type(event).__name__
            tell("event", event=name, user=event.user_id, elsewhere=elsewhere)


async def main(url: str, data_dir: str, settings: dict[str, Any], step: str) -> None:
    """Run until the standard input ends."""
    given = {"key_storage": "file", **settings}
    parts = None
    if step:
        config = app_config(url, "test", data_dir, given)
        real = await open_parts(config, None, None)
        parts = stopping_parts(real, step, lambda here: tell("reached", step=here))
    app = syncauth.App(url, app_id="test", data_dir=data_dir, parts=parts, **given)
    async with app, asyncio.TaskGroup() as group:
        telling = group.create_task(tell_events(app))
        program = Program(app)
        await asyncio.sleep(0)  # so that no event is missed
        tell("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            group.create_task(program.obey(json.loads(line)))
        telling.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]))
