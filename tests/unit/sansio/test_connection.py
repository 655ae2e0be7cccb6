"""The connection machine, pair by pair."""

import itertools

import pytest

from syncauth.errors import InvalidState
from syncauth.models import ConnectionState
from syncauth.sansio.connection import CONNECTION_TABLE, ConnectionTrigger

S, T = ConnectionState, ConnectionTrigger
RUNNING = (S.CONNECTING, S.CATCHING_UP, S.LIVE)
STARTED = tuple(state for state in S if state is not S.STOPPED)

EXPECTED = {
    T.START: {S.STOPPED: S.CONNECTING},
    T.WELCOMED: {S.CONNECTING: S.CATCHING_UP},
    T.CAUGHT_UP: {S.CATCHING_UP: S.LIVE},
    T.FELL_BEHIND: {S.LIVE: S.CATCHING_UP},
    T.LOST: dict.fromkeys(RUNNING, S.BACKING_OFF),
    T.RETRY: {S.BACKING_OFF: S.CONNECTING},
    T.PAUSE: dict.fromkeys(S, S.PAUSED),
    T.RESUME: {S.PAUSED: S.CONNECTING},
    T.STOP: dict.fromkeys(STARTED, S.STOPPED),
}

PAIRS = list(itertools.product(ConnectionState, ConnectionTrigger))


@pytest.mark.parametrize(("state", "trigger"), PAIRS)
def test_every_pair_moves_as_the_table_says_or_raises_and_moves_nothing(
    state: ConnectionState, trigger: ConnectionTrigger
) -> None:
    """I13: for every state and trigger there is one edge, or `InvalidState` and nothing changed."""
    machine = CONNECTION_TABLE.machine(state)
    target = EXPECTED[trigger].get(state)
    if target is None:
        with pytest.raises(InvalidState):
            machine.fire(trigger)

        assert machine.state is state
    else:
        assert machine.fire(trigger) is target
