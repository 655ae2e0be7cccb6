"""
One device's socket as the hub knows it: its stage, its token's life, how far its pages are.

Pages are pulled: the next one is read when something is new, none is being read, and at most one
that was sent is unconfirmed. So nothing grows for a slow reader: it falls back to reading from
its cursors. This module must never do I/O or read a clock, and knows nothing of other sockets.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from syncauth.models import Secret
from syncauth.sansio.messages import (
    Changes,
    Checkpoint,
    Hello,
    Received,
    ServerMessage,
    TableShape,
    encode_sections,
)
from syncauth.server.accounts.issuer import Claims
from syncauth.server.hub.effects import ForgetResults, ReadPage
from syncauth.server.stores.rows_interface import Access, Greeting, Page, PageLimits

PAGES_UNCONFIRMED: Final = 2
"""So many pages may be on their way: one that the device applies, and one for when it has."""

HELLO_SECONDS: Final = 10
SIGN_OF_LIFE_SECONDS: Final = 5
"""How long a newcomer waits for the older socket of its device to show that it is alive."""

GRACE_SECONDS: Final = 5
"""How long a socket stays open without moving data after its token's end."""


class Stage(enum.Enum):
    """How far a socket is."""

    OPENED = "opened"  # hello has not come
    GREETING = "greeting"  # the store is taking the device in
    WELCOMED = "welcomed"


@dataclass(frozen=True, slots=True)
class TokenLife:
    """When a token ends, and when its successor is asked for; wall-clock seconds."""

    expires_at: float
    warn_at: float

    @classmethod
    def taken(cls, expires_at: float, now: float) -> TokenLife:
        """Ask 5 s or a tenth of the life before the end, of short lives (in tests) a quarter."""
        life = max(0.0, expires_at - now)
        return cls(expires_at, expires_at - min(max(5.0, life / 10), life / 4))

    def left_ms(self, now: float) -> int:
        """Return what is left, in ms."""
        return max(0, math.floor((self.expires_at - now) * 1000))


@dataclass(frozen=True, slots=True)
class Doubt:
    """The older socket that may be dead, and until when it may show life; wall-clock seconds."""

    older: int
    until: float


@dataclass(slots=True)
class Peer:
    """See the module. `rank` is the pair (fencing, connection) of `Hello`.

    `reached` holds the version sent of every partition that the device ever had on this socket,
    `received` the one that it has committed, `partitions` those that it may read now. `owed` counts
    the checkpoints asked for: by hello, and by each `subscribe`. `doubt` is the older socket that
    this one waits for, `doubted_by` are the newer ones that wait for this one (`copy_rules`).
    """

    socket: int
    user_id: str
    session_id: str
    token: TokenLife
    opened_at: float
    warned: bool = False
    stage: Stage = Stage.OPENED

    hello: Hello | None = None  # until the device is welcomed
    doubt: Doubt | None = None
    doubted_by: list[int] = field(default_factory=list)

    device: str = ""
    rank: tuple[int, int] = (0, 0)
    tables: Sequence[TableShape] = ()
    partitions: Mapping[str, Access] = field(default_factory=dict)
    reached: dict[str, int] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    compared: Mapping[str, int] = field(default_factory=dict)  # as hello wished, until a checkpoint

    pushing: int = 0
    acked: int = 0
    forgotten: int = 0  # the store was asked to forget the results up to here
    forgetting: bool = False

    renewing: bool = False
    claims: Claims | None = None
    next_token: Secret | None = field(default=None, repr=False)

    dirty: bool = False
    owed: int = 0
    reading: int | None = None  # how many of the owed checkpoints the page being read will answer
    read_behind: int = 0  # pages were asked for behind the batches up to this one, by their order
    outdated: bool = False  # the page being read was asked for with other partitions
    atomic: bool = False
    told_complete: bool = True
    told_through: int = 0
    told_commit: int = 0
    unconfirmed: list[Mapping[str, int]] = field(default_factory=list)  # two at most

    # --- time ------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """Return when something is due, in wall-clock seconds."""
        end = self.token.expires_at + GRACE_SECONDS
        if self.stage is Stage.OPENED:
            return min(end, self.opened_at + HELLO_SECONDS)
        if self.doubt is not None:
            return min(end, self.doubt.until)
        if self.stage is Stage.WELCOMED and not self.warned:
            return self.token.warn_at
        return end

    def may_move(self, now: float) -> bool:
        """Tell whether data may move: the device is welcomed and its token has not ended."""
        return self.stage is Stage.WELCOMED and now < self.token.expires_at

    def take_token(self, expires_at: float, now: float) -> None:
        """Live on with a newer token."""
        self.token = TokenLife.taken(expires_at, now)
        self.warned = False

    # --- hello -----------------------------------------------------------------------------------

    def greet(self, hello: Hello) -> None:
        """Take over what the device says of itself; a first download need not end at commits."""
        self.stage = Stage.GREETING
        self.hello = hello
        self.rank = (hello.fencing, hello.connection)
        self.tables = tuple(hello.tables)
        self.reached = dict(hello.checkpoints)
        self.received = dict(hello.checkpoints)
        self.compared = dict(hello.compare)
        self.atomic = bool(hello.checkpoints)
        self.acked = self.forgotten = hello.acked.batch if hello.acked else 0

    def welcome(self, greeting: Greeting) -> None:
        """Be welcomed; hello is answered by a checkpoint."""
        self.stage = Stage.WELCOMED
        self.hello = None
        self.device = greeting.device
        self.owed = 1

    def permit(self, partitions: Mapping[str, Access]) -> None:
        """Read these partitions from now on; one that comes back goes on where it was."""
        if partitions.keys() != self.partitions.keys():
            self.dirty = True
            self.outdated = self.reading is not None
        self.partitions = dict(partitions)

    # --- pages -----------------------------------------------------------------------------------

    def read_page(self, now: float) -> ReadPage | None:
        """Return the page to be read next, if it is time for one."""
        wanted = self.dirty or self.owed > 0
        if not wanted or self.reading is not None or not self.may_move(now):
            return None
        if len(self.unconfirmed) >= PAGES_UNCONFIRMED:
            return None
        self.dirty = self.outdated = False
        self.reading = self.owed
        cursors = {name: self.reached.get(name, 0) for name in self.partitions}
        limits = PageLimits(atomic=self.atomic)
        return ReadPage(self.socket, self.device, self.tables, cursors, self.compared, limits)

    @property
    def waits_for_news(self) -> bool:
        """Whether the device has been sent all there was, and may be sent more."""
        room = self.reading is None and len(self.unconfirmed) < PAGES_UNCONFIRMED
        return room and self.told_complete and self.atomic and not self.dirty

    def news(self, order: int) -> None:
        """Take note that a batch wrote to what this device reads, unless a page was asked for behind it."""
        self.dirty = self.dirty or self.read_behind < order

    def take_page(self, page: Page, now: float) -> list[ServerMessage]:
        """Return what is to be sent of a page that was read; nothing if it may not be sent now."""
        answered = self.reading or 0
        self.reading = None
        if self.outdated or not self.may_move(now):
            self.dirty = True
            return []
        changes = page.changes
        sent: list[ServerMessage] = []
        # Cursors that moved over the device's own rows alone travel with the next page or checkpoint.
        if page.rows or (not answered and self.told_complete != changes.complete):
            sent.append(changes)
            self.unconfirmed.append(changes.cursors)
            self.told_through, self.told_commit = changes.through, changes.commit
        self.reached.update(changes.cursors)
        self.told_complete = changes.complete
        if not changes.complete:
            self.dirty = True
            return sent
        self.atomic = True
        self.compared = {}
        self.owed -= answered
        checkpoint = Checkpoint(
            {name: self.reached.get(name, 0) for name in self.partitions}, changes.commit
        )
        return sent + [checkpoint] * answered

    @property
    def answers_soon(self) -> bool:
        """Whether something is on its way that the device will confirm, if it is alive."""
        return self.owed > 0 or bool(self.unconfirmed)

    def empty_page(self) -> Changes:
        """Return a page that says nothing new; the device confirms it as any other."""
        sections = msgspec.Raw(encode_sections([]))
        return Changes({}, self.told_through, self.told_commit, self.told_complete, sections)

    def confirm(self, received: Received) -> None:
        """Take note of the pages that the device has committed."""
        while self.unconfirmed and _covers(received.checkpoints, self.unconfirmed[0]):
            self.unconfirmed.pop(0)
        self.acked = max(self.acked, received.acked)
        for name, version in received.checkpoints.items():
            self.received[name] = max(version, self.received.get(name, 0))

    def forget_results(self) -> ForgetResults | None:
        """Return the call by which the store forgets confirmed results, one at a time."""
        if self.forgetting or self.acked <= self.forgotten:
            return None
        self.forgetting = True
        self.forgotten = self.acked
        return ForgetResults(self.socket, self.device, self.acked)


def _covers(reached: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    return all(reached.get(name, 0) >= version for name, version in wanted.items())
