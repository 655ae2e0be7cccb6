"""
The server in virtual time: the real hub, row store and account store on a real file, and a token service.

The token service hands out numbered tokens and asks the account store what a session is good for; its passwords
and signatures are no part of the simulation.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from syncauth.models import (
    Deferred,
    Login,
    Profile,
    RefreshAnswer,
    Refused,
    ReloginReason,
    Renewed,
    Secret,
    TokenPair,
)
from syncauth.sansio.messages import ClientMessage, Limits, ServerMessage
from syncauth.server.accounts.issuer import Claims, TokenFault
from syncauth.server.hub import inputs
from syncauth.server.hub.calls import StoreCalls
from syncauth.server.hub.effects import Close, Effect, Failed, Send, VerifyToken
from syncauth.server.hub.hub import Hub
from syncauth.server.settings.config import ServedTable, ServerConfig
from syncauth.server.stores.interface import NewUser, RotationOutcome, SessionRecord
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.sqlite_rows import SqliteRows
from syncauth.server.upkeep.restore import restore
from tests.simulation.clockwork import Clockwork

ANN = "ann"
ACCESS_SECONDS = 1800.0
REFRESH_SECONDS = 2 * 24 * 3600.0
RECHECK_SECONDS = 120.0
"""No session is revoked here, and a week has 600,000 seconds."""

LIMITS = Limits(batch_rows=50, batch_bytes=100_000, window=3)


class Outlet(Protocol):
    """Where messages for one socket go."""

    def send(self, message: ServerMessage) -> None:
        """Send in order."""

    def close(self, code: int, reason: str) -> None:
        """Close."""


class SimulatedServer:
    """One server that ends only to be restored, because it has no process; its file is real."""

    def __init__(self, world: Clockwork, path: Path, schema: str, table: ServedTable) -> None:
        self._world = world
        self._path, self._schema, self._table = path, schema, table
        self._outlets: dict[int, Outlet] = {}
        self._opened = 0
        self._tokens = 0
        self._claims: dict[str, Claims] = {}
        self._sessions: dict[str, str] = {}
        self._open_file()
        self.accounts.add_user(NewUser(ANN, "identity", "local", ANN, None, {}), world.wall)

    def _open_file(self) -> None:
        """Start with what is in the file."""
        self.connection = open_server_file(self._path, self._schema)
        self.accounts = SqliteAccounts(self.connection)
        config = ServerConfig("app", self._path, tables=(self._table,))
        self.rows = SqliteRows(self.connection, config, self.accounts)
        self.rows.begin_history(self._world.random.randbytes(8).hex(), self._world.wall)
        self._calls = StoreCalls(self.rows, self.accounts)
        self._hub = Hub(LIMITS, self.rows.shapes, recheck_seconds=RECHECK_SECONDS)
        self._planned: float | None = None

    def restore(self, backup: Path) -> None:
        """End, put a backup in place of the file, and start again."""
        outlets, self._outlets = list(self._outlets.values()), {}
        self.connection.close()
        history = self._world.random.randbytes(8).hex()
        restore(self._path.parent, backup, history=history, now=self._world.wall)
        self._open_file()
        for outlet in outlets:
            outlet.close(1006, "the server has ended")

    # --- tokens ----------------------------------------------------------------------------------

    def log_in(self) -> Login:
        """Open a session for ann."""
        self._tokens += 1
        session = SessionRecord(
            session_id=f"session {self._tokens}",
            user_id=ANN,
            device_id="d" * 24,
            identity_id="identity",
            provider_type="local",
            rotates=True,
            expires_at=self._world.wall + REFRESH_SECONDS,
            end_reason=None,
            custom_data=None,
        )
        refresh = f"refresh {self._tokens}"
        opened = self.accounts.open_session(
            session, token_hash=_hash(refresh), now=self._world.wall
        )
        assert opened
        self._sessions[refresh] = session.session_id
        return Login(ANN, session.device_id, self._pair(session.session_id, refresh), Profile())

    def refresh(self, token: Secret, refresh_id: str) -> RefreshAnswer:
        """Rotate a refresh token, or say why not."""
        session_id = self._sessions.get(token.reveal())
        if session_id is None:
            return Deferred("no such token")
        self._tokens += 1
        successor = f"refresh {self._tokens}"
        outcome = self.accounts.rotate(
            session_id,
            presented=_hash(token.reveal()),
            refresh_id=_hash(refresh_id),
            successor=_hash(successor),
            now=self._world.wall,
        )
        if outcome is RotationOutcome.ROTATED:
            self._sessions[successor] = session_id
            return Renewed(self._pair(session_id, successor))
        assert outcome is RotationOutcome.ENDED, outcome
        return Refused(ReloginReason.EXPIRED, "the refresh token has ended")

    def _pair(self, session_id: str, refresh: str) -> TokenPair:
        access = f"access {self._tokens}"
        expires_at = self._world.wall + ACCESS_SECONDS
        self._claims[access] = Claims(ANN, session_id, expires_at)
        return TokenPair(Secret(access), Secret(refresh), ACCESS_SECONDS)

    def verify(self, token: Secret) -> Claims | TokenFault:
        """Return whose token it is."""
        claims = self._claims[token.reveal()]
        return claims if claims.expires_at > self._world.wall else TokenFault.EXPIRED

    # --- sockets ---------------------------------------------------------------------------------

    def open(self, outlet: Outlet, claims: Claims) -> int:
        """Take in a socket."""
        self._opened += 1
        number = self._opened
        self._outlets[number] = outlet
        self._take(
            inputs.SocketOpened(number, claims.user_id, claims.session_id, claims.expires_at)
        )
        return number

    def receive(self, number: int, message: ClientMessage) -> None:
        """Take a message."""
        if number in self._outlets:
            self._take(inputs.MessageReceived(number, message))

    def closed(self, number: int) -> None:
        """Forget a socket."""
        if self._outlets.pop(number, None) is not None:
            self._take(inputs.SocketClosed(number))

    def _take(self, happening: inputs.Input) -> None:
        waiting = [happening]
        while waiting:
            for effect in self._hub.take(waiting.pop(0), self._world.wall):
                answer = self._carry_out(effect)
                if answer is not None:
                    waiting.append(answer)
        self._plan()

    def _carry_out(self, effect: Effect) -> inputs.Input | None:
        match effect:
            case Send():
                if effect.socket in self._outlets:
                    self._outlets[effect.socket].send(effect.message)
            case Close():
                if effect.socket in self._outlets:
                    self._outlets[effect.socket].close(effect.code, effect.reason)
            case Failed():
                raise effect.error
            case VerifyToken():
                return inputs.TokenChecked(effect.socket, self.verify(effect.token))
            case _:
                new_device = self._world.random.randbytes(8).hex()
                return self._calls.answer(effect, new_device=new_device, now=self._world.wall)
        return None

    def _plan(self) -> None:
        """Wake up when the hub wants it."""
        deadline = self._hub.next_deadline()
        if deadline is None or (self._planned is not None and self._planned <= deadline):
            return
        self._planned = deadline
        wait = max(0.001, deadline - self._world.wall)
        self._world.after(wait, lambda: self._deadline_reached(deadline))

    def _deadline_reached(self, planned: float) -> None:
        if self._planned == planned:  # else an earlier one has taken its place
            self._planned = None
            self._take(inputs.DeadlineReached())


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
