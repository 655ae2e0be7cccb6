"""
The connection machine: where the sync socket of one user stands.

Theory of operation. The connection is independent of the session; the two meet in `engine.py`
alone.

* `stopped`: there is nothing to sync, because no replica is open or nobody is logged in.
* `connecting`: a socket is wanted. It waits for an access token, for the upgrade, or for the
  server's welcome.
* `catching_up`: welcomed; the server is sending what this replica has missed. Pushes go out
  already.
* `live`: every partition stands at a checkpoint; what others commit arrives as it happens.
* `backing_off`: the last attempt failed, the next has its time. A sign of the network ends the wait
  at once.
* `paused`: named reasons hold the connection (`models.PauseReason`). It is left when the last one
  has ended.

A live connection that falls behind is catching up again. Which reasons hold a pause is data of the
engine; the machine only knows that there are some.
"""

from __future__ import annotations

import enum
from typing import Final

from syncauth.models import ConnectionState
from syncauth.sansio.statemachine import Table, Transition


class ConnectionTrigger(enum.Enum):
    """What can happen to a connection."""

    START = "start"
    WELCOMED = "welcomed"
    CAUGHT_UP = "caught_up"
    FELL_BEHIND = "fell_behind"
    LOST = "lost"
    RETRY = "retry"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


_STOPPED: Final = ConnectionState.STOPPED
_CONNECTING: Final = ConnectionState.CONNECTING
_CATCHING_UP: Final = ConnectionState.CATCHING_UP
_LIVE: Final = ConnectionState.LIVE
_BACKING_OFF: Final = ConnectionState.BACKING_OFF
_PAUSED: Final = ConnectionState.PAUSED
_T = ConnectionTrigger

CONNECTION_TABLE: Final = Table(
    "connection",
    ConnectionState,
    ConnectionTrigger,
    (
        Transition(_T.START, _STOPPED, _CONNECTING),
        Transition(_T.PAUSE, _STOPPED, _PAUSED),
        #
        Transition(_T.WELCOMED, _CONNECTING, _CATCHING_UP),
        Transition(_T.LOST, _CONNECTING, _BACKING_OFF),
        Transition(_T.PAUSE, _CONNECTING, _PAUSED),
        Transition(_T.STOP, _CONNECTING, _STOPPED),
        #
        Transition(_T.CAUGHT_UP, _CATCHING_UP, _LIVE),
        Transition(_T.LOST, _CATCHING_UP, _BACKING_OFF),
        Transition(_T.PAUSE, _CATCHING_UP, _PAUSED),
        Transition(_T.STOP, _CATCHING_UP, _STOPPED),
        #
        Transition(_T.FELL_BEHIND, _LIVE, _CATCHING_UP),
        Transition(_T.LOST, _LIVE, _BACKING_OFF),
        Transition(_T.PAUSE, _LIVE, _PAUSED),
        Transition(_T.STOP, _LIVE, _STOPPED),
        #
        Transition(_T.RETRY, _BACKING_OFF, _CONNECTING),
        Transition(_T.PAUSE, _BACKING_OFF, _PAUSED),
        Transition(_T.STOP, _BACKING_OFF, _STOPPED),
        #
        Transition(_T.PAUSE, _PAUSED, _PAUSED),
        Transition(_T.RESUME, _PAUSED, _CONNECTING),
        Transition(_T.STOP, _PAUSED, _STOPPED),
    ),
)
"""Every move a connection can make, sorted by the state it starts from."""
