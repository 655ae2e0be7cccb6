"""The provider of the how-to page runs as it stands there, against a small service of its kind."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from syncauth.errors import CredentialsRefused, ServerUnreachable
from syncauth.models import Credentials, Deferred, Refused, ReloginReason, Renewed, Secret
from tests.support.processes import ROOT

PAGE = ROOT / "docs" / "how-to" / "write-an-identity-provider.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Club(ThreadingHTTPServer):
    """Opens, renews and closes; a renewal serves once."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.renewals: set[str] = set()
        self.given = 0
        self.portal = False

    def give(self) -> dict[str, Any]:
        self.given += 1
        renewal = f"renewal-{self.given}"
        self.renewals.add(renewal)
        return {"member": 7, "key": f"key-{self.given}", "renewal": renewal, "seconds": 60}


class Door(BaseHTTPRequestHandler):
    server: Club

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.portal:
            self.answer(200, b"<html>Welcome to the hotel</html>", "text/html")
        elif self.path == "/open":
            right = told == {"member": 7, "pin": "0815"}
            self.answer_json(200 if right else 403, self.server.give() if right else {"no": "pin"})
        elif told["renewal"] not in self.server.renewals:
            self.answer_json(410, {"no": "used"})
        else:
            self.server.renewals.remove(told["renewal"])
            self.answer_json(200, self.server.give() if self.path == "/renew" else {})

    def answer_json(self, status: int, body: dict[str, Any]) -> None:
        self.answer(status, json.dumps({"club": body}).encode(), "application/json")

    def answer(self, status: int, body: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@pytest.fixture
def club() -> Iterator[Club]:
    with Club() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
async def provider(club: Club) -> AsyncIterator[Any]:
    """Make the provider of the page, by the page's own text."""
    names: dict[str, Any] = {}
    code = compile(BLOCK.findall(PAGE.read_text("utf-8"))[0], str(PAGE), "exec")
    exec(code, names)  # noqa: S102 - it is what the test is about
    made = names["ClubProvider"](club.url)
    yield made
    await made.aclose()


def credentials(pin: str = "0815") -> Credentials:
    return Credentials("club", {"member": 7, "pin": pin})


async def test_it_logs_in_renews_and_revokes(provider: Any, club: Club) -> None:
    """The whole life of a session goes as the page says."""
    login = await provider.log_in(credentials())
    assert login.user_id == "club|7"
    assert login.tokens.life == 60
    renewed = await provider.refresh(login.tokens.refresh, "id")
    assert renewed == Renewed(renewed.tokens)
    assert renewed.tokens.access == Secret("key-2")
    assert await provider.revoke(renewed.tokens.refresh)
    ended = await provider.refresh(renewed.tokens.refresh, "id")
    assert isinstance(ended, Refused) and ended.reason is ReloginReason.EXPIRED


async def test_it_refuses_what_the_club_refuses(provider: Any) -> None:
    """A wrong PIN is the person's matter."""
    with pytest.raises(CredentialsRefused):
        await provider.log_in(credentials("4711"))


async def test_it_ends_no_session_without_proof(provider: Any, club: Club) -> None:
    """A portal judges nothing, and neither does a club that is away."""
    token = (await provider.log_in(credentials())).tokens.refresh
    club.portal = True
    assert isinstance(await provider.refresh(token, "id"), Deferred)

    away = type(provider)("http://127.0.0.1:1")
    silent = await away.refresh(token, "id")
    assert isinstance(silent, Deferred) and not silent.online
    with pytest.raises(ServerUnreachable):
        await away.log_in(credentials())
    await away.aclose()
