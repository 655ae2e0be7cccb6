"""
Rules of the hub about two sockets of one device: who goes when the newer one is not the higher.

A device raises its pair (fencing, connection) before every connect. An equal or lower pair while an
older socket is open comes from a copy of the file, or from the device itself after it was restored,
whose older socket is dead and not yet closed. So the older one is asked for a sign of life: an
empty page, which every device confirms. The newcomer waits for it, for a while and no longer. These
rules must never welcome two sockets of one device.
"""

from __future__ import annotations

from syncauth.server.hub.effects import Greet
from syncauth.server.hub.peer import SIGN_OF_LIFE_SECONDS, Doubt, Peer
from syncauth.server.hub.turn import Turn


def greet(turn: Turn, peer: Peer) -> None:
    """Let the store take the device in."""
    if peer.hello is not None:
        turn.do(Greet(peer.socket, peer.user_id, peer.session_id, peer.hello))


def make_way(turn: Turn, older: Peer) -> None:
    """End the older socket for a newer one."""
    turn.dismiss(older, "superseded_connection", "this device has opened a newer connection")


def doubt(turn: Turn, peer: Peer, older: Peer) -> None:
    """Let the newcomer wait, and ask the older socket for a sign of life."""
    peer.doubt = Doubt(older.socket, turn.now + SIGN_OF_LIFE_SECONDS)
    turn.roster.plan(peer)
    older.doubted_by.append(peer.socket)
    if not older.answers_soon:
        turn.send(older, older.empty_page())


def shows_life(turn: Turn, older: Peer) -> None:
    """The older socket has spoken: those who wait for it to be dead are copies."""
    rivals, older.doubted_by = older.doubted_by, []
    for socket in rivals:
        peer = turn.roster.get(socket)
        if peer is not None:
            turn.end(peer, "copied_file", "another copy of this file is connected")


def is_gone(turn: Turn, older: Peer) -> None:
    """The older socket has ended: those who wait need wait no longer."""
    for socket in older.doubted_by:
        peer = turn.roster.get(socket)
        if peer is not None:
            go_on(turn, peer)


def go_on(turn: Turn, peer: Peer) -> None:
    """Be taken in after all, in place of the older socket, which gave no sign of life.

    The store is asked anew: it may have judged batches of the older one meanwhile.
    """
    if peer.doubt is None:
        return
    older = turn.roster.get(peer.doubt.older)
    peer.doubt = None
    turn.roster.plan(peer)
    if older is not None:
        make_way(turn, older)
    greet(turn, peer)
