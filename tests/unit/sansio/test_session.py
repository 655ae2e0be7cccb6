"""The session machine, pair by pair."""

import itertools

import pytest

from syncauth.errors import InvalidState
from syncauth.models import SessionState
from syncauth.sansio.session import SESSION_TABLE, SessionTrigger

OUT, ACTIVE = SessionState.LOGGED_OUT, SessionState.ACTIVE
REFRESHING, EXPIRED = SessionState.REFRESHING, SessionState.REFRESH_EXPIRED
T = SessionTrigger

# A second account of the design's table, written per trigger instead of per state.
EXPECTED = {
    T.LOG_IN: dict.fromkeys(SessionState, ACTIVE),
    T.LOG_OUT: dict.fromkeys(SessionState, OUT),
    T.REFRESH_DUE: dict.fromkeys((ACTIVE, REFRESHING), REFRESHING),
    T.ACCESS_REJECTED: dict.fromkeys((ACTIVE, REFRESHING), REFRESHING),
    T.REFRESH_REQUESTED: dict.fromkeys((ACTIVE, REFRESHING), REFRESHING),
    T.TOKENS_RENEWED: {REFRESHING: ACTIVE},
    T.REFRESH_DEFERRED: {REFRESHING: ACTIVE},
    T.REFRESH_DEFERRED_UNUSABLE: {REFRESHING: REFRESHING},
    T.REFRESH_MISCONFIGURED: {REFRESHING: REFRESHING},
    T.REFRESH_REFUSED: {REFRESHING: EXPIRED},
    T.SESSION_REVOKED: dict.fromkeys((ACTIVE, REFRESHING), EXPIRED),
    T.TOKENS_ADOPTED: dict.fromkeys((ACTIVE, REFRESHING, EXPIRED), ACTIVE),
    T.LOGGED_IN_ELSEWHERE: dict.fromkeys((OUT, EXPIRED), ACTIVE),
    T.EXPIRED_ELSEWHERE: dict.fromkeys((ACTIVE, REFRESHING), EXPIRED),
    T.LOGGED_OUT_ELSEWHERE: dict.fromkeys((ACTIVE, REFRESHING, EXPIRED), OUT),
}

PAIRS = list(itertools.product(SessionState, SessionTrigger))


@pytest.mark.parametrize(("state", "trigger"), PAIRS)
def test_every_pair_moves_as_the_table_says_or_raises_and_moves_nothing(
    state: SessionState, trigger: SessionTrigger
) -> None:
    """I13: for every state and trigger there is one edge, or `InvalidState` and nothing changed."""
    machine = SESSION_TABLE.machine(state)
    target = EXPECTED[trigger].get(state)
    if target is None:
        with pytest.raises(InvalidState):
            machine.fire(trigger)

        assert machine.state is state
    else:
        assert machine.fire(trigger) is target


def test_there_are_exactly_four_states() -> None:
    """The names are part of the public face."""
    assert [state.value for state in SessionState] == [
        "logged_out",
        "active",
        "refreshing",
        "refresh_expired",
    ]


def test_every_state_can_be_reached_and_left() -> None:
    """No state is a dead end, and none is out of reach from logged_out."""
    reached, frontier = {OUT}, [OUT]
    while frontier:
        state = frontier.pop()
        for edge in SESSION_TABLE.edges:
            if edge.source is state and edge.target not in reached:
                reached.add(edge.target)
                frontier.append(edge.target)

    assert reached == set(SessionState)
    assert {edge.source for edge in SESSION_TABLE.edges if edge.source is not edge.target} == set(
        SessionState
    )
