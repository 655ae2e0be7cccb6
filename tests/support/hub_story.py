"""A story told to the hub alone: what sockets say, what the store answers, what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from syncauth.sansio import messages
from syncauth.sansio.messages import (
    BatchMark,
    BatchResult,
    Changes,
    Error,
    Hello,
    Limits,
    Push,
    Received,
    ServerMessage,
    TableShape,
)
from syncauth.server.hub import inputs
from syncauth.server.hub.effects import Close, Effect, Failed, PushBatch, Send
from syncauth.server.hub.hub import Hub
from syncauth.server.stores.rows_interface import Access, Greeting, Judged, Page

ANN, BOB = "ann", "bob"
DEVICE = "a" * 16
NOTES = TableShape("notes", ["id"], ["text"])
TASKS = TableShape("tasks", ["id"], ["done"])
LIMITS = Limits(batch_rows=100, batch_bytes=10_000, window=2)
LIFE = 1800.0
START = 1_800_000_000.0

_Kind = TypeVar("_Kind")


def hello(
    *,
    device: str = DEVICE,
    connection: int = 1,
    fencing: int = 1,
    checkpoints: Mapping[str, int] | None = None,
    compare: Mapping[str, int] | None = None,
    acked: int = 0,
) -> Hello:
    """Return a hello of a device with one table."""
    return Hello(
        device=device,
        incarnation="b" * 16,
        fencing=fencing,
        connection=connection,
        acked=BatchMark(acked, "digest") if acked else None,
        highest=None,
        checkpoints=dict(checkpoints or {}),
        tables=[NOTES],
        compare=dict(compare or {}),
    )


def page(
    cursors: Mapping[str, int], *, rows: int = 1, complete: bool = True, commit: int = 1
) -> Page:
    """Return a page that reaches these versions."""
    sections = msgspec.Raw(b"[]")
    return Page(Changes(dict(cursors), 0, commit, complete, sections), rows)


def push(batch: int, acked: int = 0) -> Push:
    """Return a batch whose bytes tell its number."""
    return Push(batch, acked, msgspec.Raw(b'[{"batch":%d}]' % batch))


def result(batch: int) -> BatchResult:
    """Return the result of a batch that was applied as sent."""
    return BatchResult(batch, f"digest-{batch}")


class HubStory:
    """Feeds one hub and remembers all it asked for; time moves only by `wait`."""

    def __init__(self) -> None:
        """Start with nobody."""
        self.hub = Hub(LIMITS, [NOTES, TASKS])
        self.now = START
        self.effects: list[Effect] = []
        self._sockets = 0

    # --- telling ---------------------------------------------------------------------------------

    def happen(self, happening: inputs.Input) -> list[Effect]:
        """Let something happen; returns what follows. A rule that fails does so here, too."""
        effects = self.hub.take(happening, self.now)
        for effect in effects:
            if isinstance(effect, Failed):
                raise effect.error
        self.effects += effects
        return effects

    def wait(self, seconds: float) -> list[Effect]:
        """Let time pass and serve every deadline on the way; returns all that follows."""
        end, found = self.now + seconds, list[Effect]()
        for _ in range(10_000):
            deadline = self.hub.next_deadline()
            if deadline is None or deadline > end:
                break
            self.now = max(deadline, self.now)
            found += self.happen(inputs.DeadlineReached())
        else:
            message = "a deadline that was served comes again at once"
            raise AssertionError(message)
        self.now = end
        return found

    def opened(self, user: str = ANN, session: str = "session", life: float = LIFE) -> int:
        """Open a socket; returns its number."""
        self._sockets += 1
        self.happen(inputs.SocketOpened(self._sockets, user, session, self.now + life))
        return self._sockets

    def say(self, socket: int, message: messages.ClientMessage) -> list[Effect]:
        """Let the device send a message, over the wire: no story says what cannot be sent."""
        read = messages.decode_from_client(messages.encode(message))
        return self.happen(inputs.MessageReceived(socket, read))

    def welcomed(
        self,
        said: Hello | None = None,
        *,
        user: str = ANN,
        session: str = "session",
        partitions: Mapping[str, Access] | None = None,
        life: float = LIFE,
    ) -> int:
        """Open a socket, say hello and be taken in; the first page is being read."""
        socket = self.opened(user, session, life)
        message = said or hello()
        self.say(socket, message)
        own: Mapping[str, Access] = {f"user:{user}": "write"}
        may = own if partitions is None else partitions
        self.happen(inputs.Greeted(socket, Greeting(message.device, may, 0, ())))
        return socket

    def live(
        self,
        said: Hello | None = None,
        *,
        user: str = ANN,
        session: str = "session",
        life: float = LIFE,
    ) -> int:
        """Be welcomed and told that there is nothing more."""
        socket = self.welcomed(said, user=user, session=session, life=life)
        reached = dict(said.checkpoints) if said else {}
        self.read(socket, page({f"user:{user}": 0} | reached, rows=0))
        return socket

    def read(self, socket: int, answer: Page) -> list[Effect]:
        """Let the store answer the page that is being read."""
        return self.happen(inputs.PageRead(socket, answer))

    def judge(self, socket: int, batch: int, *touched: str) -> list[Effect]:
        """Let the store apply a batch that touched these partitions."""
        answer = Judged(result(batch), frozenset(touched))
        return self.happen(inputs.BatchJudged(socket, answer, self.order_of(socket, batch)))

    def order_of(self, socket: int, batch: int) -> int:
        """Return the order in which a batch was handed to the store, or one behind all if it was not."""
        pushed = self.calls(PushBatch)
        orders = [
            each.order for each in pushed if (each.socket, each.push.batch) == (socket, batch)
        ]
        return orders[-1] if orders else len(pushed) + 1

    def confirm(self, socket: int, reached: Mapping[str, int], acked: int = 0) -> list[Effect]:
        """Let the device confirm what it has committed."""
        return self.say(socket, Received(dict(reached), acked))

    # --- asking ----------------------------------------------------------------------------------

    def sent(self, socket: int) -> list[ServerMessage]:
        """Return all messages sent on a socket, in order."""
        return sent_in(self.effects, socket)

    def calls(self, kind: type[_Kind]) -> list[_Kind]:
        """Return all effects of a kind, in order."""
        return [each for each in self.effects if isinstance(each, kind)]

    def closed(self, socket: int) -> int | None:
        """Return the code with which a socket was closed, None if it is open."""
        codes = [each.code for each in self.calls(Close) if each.socket == socket]
        assert len(codes) <= 1
        return codes[0] if codes else None


def sent_in(effects: list[Effect], socket: int) -> list[ServerMessage]:
    """Return the messages that some effects send on a socket."""
    return [each.message for each in effects if isinstance(each, Send) and each.socket == socket]


def codes_in(effects: list[Effect], socket: int) -> list[str]:
    """Return the codes of the errors that some effects send on a socket."""
    return [each.code for each in sent_in(effects, socket) if isinstance(each, Error)]
