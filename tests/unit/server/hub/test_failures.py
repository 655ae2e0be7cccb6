"""A rule of the hub that fails: whose socket ends, and who is served all the same."""

from __future__ import annotations

from typing import Any

from syncauth.server.hub.effects import Close, Failed
from syncauth.server.hub.peer import Doubt, Peer, Stage, TokenLife
from syncauth.server.hub.roster import Roster
from syncauth.server.hub.token_rules import serve_deadlines
from syncauth.server.hub.turn import Turn
from tests.support.hub_story import LIMITS, START, codes_in


def test_deadline_that_cannot_be_served_keeps_no_other_from_being_served() -> None:
    """The token of every other socket is enforced in the same turn, and nothing comes again at once (I3)."""
    roster = Roster()
    older, newcomer, expired = (
        Peer(number, "ann", "session", TokenLife(START + 60, START + 50), START, stage=stage)
        for number, stage in enumerate((Stage.WELCOMED, Stage.GREETING, Stage.WELCOMED))
    )
    newcomer.doubt = Doubt(older.socket, START + 1)
    expired.token = TokenLife(START, START - 6)
    for peer in (older, newcomer, expired):
        roster.add(peer)
    nonsense: Any = None
    older.partitions = nonsense  # it cannot be forgotten, as the newcomer wishes
    turn = Turn(START + 10, roster, LIMITS, [])

    serve_deadlines(turn)

    assert [type(each.error) for each in turn.effects if isinstance(each, Failed)] == [TypeError]
    assert codes_in(turn.effects, 1) == ["internal"]
    assert codes_in(turn.effects, 2) == ["token_expired"]
    assert {each.socket for each in turn.effects if isinstance(each, Close)} >= {1, 2}
    assert roster.everybody() == [older]
    deadline = roster.next_deadline()
    assert deadline is not None
    assert deadline > turn.now
