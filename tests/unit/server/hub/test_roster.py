"""The roster of open sockets: what is due is found, and plans that were overtaken do not pile up."""

from __future__ import annotations

from syncauth.server.hub.peer import GRACE_SECONDS, Peer, Stage, TokenLife
from syncauth.server.hub.roster import PLANS_KEPT, Roster

LIFE = 100.0


def welcomed(roster: Roster, socket: int) -> Peer:
    """Add the socket of a device that was welcomed at 0."""
    peer = Peer(socket, "ann", "session", token=TokenLife.taken(LIFE, 0), opened_at=0)
    peer.stage = Stage.WELCOMED
    roster.add(peer)
    return peer


def test_renewals_do_not_grow_the_plans() -> None:
    """10,000 newer tokens on one socket leave a bounded number of plans, and the last one holds."""
    roster = Roster()
    other, renewing = welcomed(roster, 1), welcomed(roster, 2)
    for second in range(10_000):
        renewing.take_token(second + LIFE, second)
        roster.plan(renewing)
        assert roster.plans <= PLANS_KEPT + 4

    assert roster.due(LIFE + GRACE_SECONDS) == [other]
    roster.remove(other)
    asks_at = renewing.token.warn_at
    assert roster.due(asks_at - 1) == []
    assert roster.due(asks_at) == [renewing]


def test_shorter_life_is_due_sooner() -> None:
    """A newer token may end before the one that it replaces; its own end counts."""
    roster = Roster()
    peer = welcomed(roster, 1)
    peer.take_token(20, 0)
    roster.plan(peer)

    assert roster.next_deadline() == peer.token.warn_at == 15
    assert roster.due(15) == [peer]


def test_plans_of_sockets_that_have_ended_go_too() -> None:
    """Sockets that come and go without anything being due leave no more than the bound."""
    roster = Roster()
    for socket in range(10_000):
        roster.remove(welcomed(roster, socket))

    assert roster.plans <= PLANS_KEPT + 2
