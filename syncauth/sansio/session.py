"""
The session machine: four states, one table.

Theory of operation. A user has two tokens. The access token goes with every request and ends soon;
the refresh token renews it until it ends itself. The machine tells where the user stands with both:

* `logged_out`: no token of this user is on this device. Local rows stay.
* `active`: an access token is there that was not rejected and has not come near its end.
* `refreshing`: a valid access token is wanted and not yet there. A refresh request is out, or the
  next one waits for its time or for the network. Being offline, for however long, is this state's
  business and never an error: the refresh token may well be good.
* `refresh_expired`: the issuer proved that the refresh token has ended. Local reads and writes go
  on; nothing that involves the server does, until the same user logs in again.

Only an answer of the issuer leads into `refresh_expired`, never a clock of ours. A login under way
is no state: whoever was logged in before stays so until the answer is there. Other processes of the
same app write to the same credential store; the triggers that end in `_elsewhere`, and
`tokens_adopted`, are their deeds.

Everything that moves the session stands in this table; what follows from a move stands in
`engine.py`. A deferred refresh has two triggers, because it leads back to `active` only while the
access token still works.
"""

from __future__ import annotations

import enum
from typing import Final

from syncauth.models import SessionState
from syncauth.sansio.statemachine import Table, Transition


class SessionTrigger(enum.Enum):
    """What can happen to a session."""

    LOG_IN = "log_in"
    REFRESH_DUE = "refresh_due"
    ACCESS_REJECTED = "access_rejected"
    REFRESH_REQUESTED = "refresh_requested"
    TOKENS_RENEWED = "tokens_renewed"
    REFRESH_DEFERRED = "refresh_deferred"
    REFRESH_DEFERRED_UNUSABLE = "refresh_deferred_unusable"
    REFRESH_MISCONFIGURED = "refresh_misconfigured"
    REFRESH_REFUSED = "refresh_refused"
    SESSION_REVOKED = "session_revoked"
    TOKENS_ADOPTED = "tokens_adopted"
    LOGGED_IN_ELSEWHERE = "logged_in_elsewhere"
    EXPIRED_ELSEWHERE = "expired_elsewhere"
    LOGGED_OUT_ELSEWHERE = "logged_out_elsewhere"
    LOG_OUT = "log_out"


_OUT: Final = SessionState.LOGGED_OUT
_ACTIVE: Final = SessionState.ACTIVE
_REFRESHING: Final = SessionState.REFRESHING
_EXPIRED: Final = SessionState.REFRESH_EXPIRED
_T = SessionTrigger

SESSION_TABLE: Final = Table(
    "session",
    SessionState,
    SessionTrigger,
    (
        Transition(_T.LOG_IN, _OUT, _ACTIVE),
        Transition(_T.LOGGED_IN_ELSEWHERE, _OUT, _ACTIVE),
        Transition(_T.LOG_OUT, _OUT, _OUT),
        #
        Transition(_T.LOG_IN, _ACTIVE, _ACTIVE),
        Transition(_T.TOKENS_ADOPTED, _ACTIVE, _ACTIVE),
        Transition(_T.REFRESH_DUE, _ACTIVE, _REFRESHING),
        Transition(_T.ACCESS_REJECTED, _ACTIVE, _REFRESHING),
        Transition(_T.REFRESH_REQUESTED, _ACTIVE, _REFRESHING),
        Transition(_T.SESSION_REVOKED, _ACTIVE, _EXPIRED),
        Transition(_T.EXPIRED_ELSEWHERE, _ACTIVE, _EXPIRED),
        Transition(_T.LOG_OUT, _ACTIVE, _OUT),
        Transition(_T.LOGGED_OUT_ELSEWHERE, _ACTIVE, _OUT),
        #
        Transition(_T.LOG_IN, _REFRESHING, _ACTIVE),
        Transition(_T.TOKENS_RENEWED, _REFRESHING, _ACTIVE),
        Transition(_T.TOKENS_ADOPTED, _REFRESHING, _ACTIVE),
        Transition(_T.REFRESH_DEFERRED, _REFRESHING, _ACTIVE),
        Transition(_T.REFRESH_DEFERRED_UNUSABLE, _REFRESHING, _REFRESHING),
        Transition(_T.REFRESH_MISCONFIGURED, _REFRESHING, _REFRESHING),
        Transition(_T.REFRESH_DUE, _REFRESHING, _REFRESHING),
        Transition(_T.ACCESS_REJECTED, _REFRESHING, _REFRESHING),
        Transition(_T.REFRESH_REQUESTED, _REFRESHING, _REFRESHING),
        Transition(_T.REFRESH_REFUSED, _REFRESHING, _EXPIRED),
        Transition(_T.SESSION_REVOKED, _REFRESHING, _EXPIRED),
        Transition(_T.EXPIRED_ELSEWHERE, _REFRESHING, _EXPIRED),
        Transition(_T.LOG_OUT, _REFRESHING, _OUT),
        Transition(_T.LOGGED_OUT_ELSEWHERE, _REFRESHING, _OUT),
        #
        Transition(_T.LOG_IN, _EXPIRED, _ACTIVE),
        Transition(_T.LOGGED_IN_ELSEWHERE, _EXPIRED, _ACTIVE),
        Transition(_T.TOKENS_ADOPTED, _EXPIRED, _ACTIVE),
        Transition(_T.LOG_OUT, _EXPIRED, _OUT),
        Transition(_T.LOGGED_OUT_ELSEWHERE, _EXPIRED, _OUT),
    ),
)
"""Every move a session can make, sorted by the state it starts from."""
