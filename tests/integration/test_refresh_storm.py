"""
Kill -9 in a storm of refreshes: every rotation that was answered is stored, and every client goes on (I6, I14).

Each client presents its token, keeps what it is answered, and presents that. The server is killed when enough has been
answered, with refreshes of all clients under way.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import httpx

from tests.bench.prepared import prepare
from tests.support.processes import Server

CLIENTS = 12
ANSWERS = 150
KILLS = 4
SECONDS = 40.0
SESSION = "/api/client/v2.0/auth/session"


class Client(threading.Thread):
    """One session that is refreshed over and over; `token` is what was answered last."""

    def __init__(self, number: int, token: str) -> None:
        super().__init__()
        self.session = f"{number:023x}c"
        self.token = token
        self.turn = 0
        self.url = ""
        self.failed: httpx.Response | None = None
        self.progress = threading.Semaphore(0)

    def refresh(self, http: httpx.Client) -> None:
        """Refresh once, with an id that stays the same until there is an answer."""
        header = {"Authorization": f"Bearer {self.token}"}
        body = {"refresh_id": f"{self.session} {self.turn}"}
        answer = http.post(f"{self.url}{SESSION}", headers=header, json=body)
        if answer.status_code != 201:
            self.failed = answer
            return
        self.token, self.turn = answer.json()["refresh_token"], self.turn + 1
        self.progress.release()

    def run(self) -> None:
        with httpx.Client(timeout=SECONDS, trust_env=False) as http:
            try:
                while self.failed is None:
                    self.refresh(http)
            except httpx.TransportError:
                pass  # the server was killed


def test_answered_rotations_survive_a_kill(tmp_path: Path) -> None:
    """After each kill the file holds what was answered, or what was under way for it; nobody is logged out."""
    tokens = [each.refresh.reveal() for each in prepare(tmp_path, CLIENTS)]
    clients = [Client(number, token) for number, token in enumerate(tokens)]
    for kill in range(KILLS):
        with Server(tmp_path) as server:
            clients = _again(clients, server.url)
            for client in clients:
                client.start()
            for _ in range((ANSWERS + 17 * kill) // CLIENTS):
                for client in clients:
                    assert client.progress.acquire(timeout=SECONDS), client.failed
            server.kill()
            for client in clients:
                client.join(SECONDS)
            file = server.file
        assert [client.failed for client in clients] == [None] * CLIENTS
        for client in clients:
            _check(file, client)

    with Server(tmp_path) as server, httpx.Client(timeout=SECONDS, trust_env=False) as http:
        for client in _again(clients, server.url):
            client.refresh(http)
            assert client.failed is None
        server.stop()


def _again(clients: list[Client], url: str) -> list[Client]:
    """Return the clients as they come back, each with its last token and the id that had no answer."""
    found = []
    for number, old in enumerate(clients):
        client = Client(number, old.token)
        client.turn, client.url = old.turn, url
        found.append(client)
    return found


def _check(file: Path, client: Client) -> None:
    """Find the answered token as the present one, or as the one that an unanswered refresh has spent."""
    with closing(sqlite3.connect(file)) as connection:
        token, spent, refresh_id, ended = connection.execute(
            "SELECT token, spent, refresh_id, ended_at FROM _sync_sessions WHERE id = ?",
            (client.session,),
        ).fetchone()
    answered = hashlib.sha256(client.token.encode()).digest()
    under_way = hashlib.sha256(f"{client.session} {client.turn}".encode()).digest()
    assert ended is None
    assert token == answered or (spent, refresh_id) == (answered, under_way)
