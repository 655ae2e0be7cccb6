"""
The open sockets: by number, device, session and partitions, and by what is due.

This module keeps indexes consistent and decides nothing; it must never do I/O.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from syncauth.server.hub.peer import Peer
from syncauth.server.stores.rows_interface import Access

PLANS_KEPT: Final = 64
"""So many plans, and two for each socket, are kept before those that were overtaken are dropped."""


class Roster:
    """The peers of one hub."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._peers: dict[int, Peer] = {}
        self._devices: dict[tuple[str, str], int] = {}
        self._users: Counter[str] = Counter()
        self._readers: defaultdict[str, set[int]] = defaultdict(set)
        self._deadlines: list[tuple[float, int]] = []
        self.pushes = 0
        """How many batches were handed to the store."""

    def __len__(self) -> int:
        """Count the sockets."""
        return len(self._peers)

    def get(self, socket: int) -> Peer | None:
        """Return the peer of a socket, None if it has ended."""
        return self._peers.get(socket)

    def count_of(self, user_id: str) -> int:
        """Count the sockets of a user."""
        return self._users[user_id]

    def everybody(self) -> list[Peer]:
        """Return all peers as they are now."""
        return list(self._peers.values())

    def sessions(self) -> set[str]:
        """Return the sessions of all peers."""
        return {peer.session_id for peer in self._peers.values()}

    def add(self, peer: Peer) -> None:
        """Take a new socket in."""
        self._peers[peer.socket] = peer
        self._users[peer.user_id] += 1
        self.plan(peer)

    def remove(self, peer: Peer) -> None:
        """Forget a socket."""
        self.permit(peer, {})
        del self._peers[peer.socket]
        self._users[peer.user_id] -= 1
        if not self._users[peer.user_id]:
            del self._users[peer.user_id]
        if self._devices.get((peer.user_id, peer.device)) == peer.socket:
            del self._devices[peer.user_id, peer.device]

    def of_device(self, user_id: str, device: str) -> Peer | None:
        """Return the socket that this device of this user has open."""
        return self._peers.get(self._devices.get((user_id, device), -1))

    def welcome(self, peer: Peer, partitions: Mapping[str, Access]) -> None:
        """Note the device of a peer that was welcomed, and the partitions that it reads."""
        self._devices[peer.user_id, peer.device] = peer.socket
        self.permit(peer, partitions)
        self.plan(peer)

    def permit(self, peer: Peer, partitions: Mapping[str, Access]) -> None:
        """Let a peer read these partitions and no others."""
        for partition in peer.partitions:
            self._readers[partition].discard(peer.socket)
            if not self._readers[partition]:
                del self._readers[partition]
        peer.permit(partitions)
        for partition in partitions:
            self._readers[partition].add(peer.socket)

    def readers(self, partitions: Iterable[str]) -> list[Peer]:
        """Return the peers that read one of these partitions, in the order in which they came."""
        sockets = {
            socket for partition in partitions for socket in self._readers.get(partition, ())
        }
        return [self._peers[socket] for socket in sorted(sockets)]

    # --- deadlines -------------------------------------------------------------------------------

    def plan(self, peer: Peer) -> None:
        """Note when something of this peer is due, after whatever may have changed that."""
        heapq.heappush(self._deadlines, (peer.next_deadline(), peer.socket))
        if len(self._deadlines) > PLANS_KEPT + 2 * len(self._peers):
            # Most are plans that were overtaken, such as one by each renewal.
            self._deadlines = [(each.next_deadline(), each.socket) for each in self.everybody()]
            heapq.heapify(self._deadlines)

    @property
    def plans(self) -> int:
        """How many plans are kept."""
        return len(self._deadlines)

    def next_deadline(self) -> float | None:
        """Return when `due` is to be asked; perhaps sooner than anything is due."""
        return self._deadlines[0][0] if self._deadlines else None

    def due(self, now: float) -> list[Peer]:
        """Take out the peers of which something is due; each has to be planned again or removed."""
        found: dict[int, Peer] = {}
        while self._deadlines and self._deadlines[0][0] <= now:
            _, socket = heapq.heappop(self._deadlines)
            peer = self._peers.get(socket)
            # A plan that was overtaken by a later one is still in the heap: it is no longer due.
            if peer is not None and peer.next_deadline() <= now:
                found[socket] = peer
        return list(found.values())
