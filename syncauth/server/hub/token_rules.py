"""
Rules of the hub about tokens and sessions on open sockets (I3).

The successor of a token is asked for in good time; at its end no data moves; after a short grace
the socket is closed. A session that ended anywhere ends its sockets. These rules must never let
data of one user or session go on under the token of another.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncauth.models import Secret
from syncauth.sansio.messages import Renewed
from syncauth.server.accounts.issuer import Claims, TokenFault
from syncauth.server.hub import copy_rules
from syncauth.server.hub.effects import ReadPermissions, VerifyToken
from syncauth.server.hub.peer import GRACE_SECONDS, Peer, Stage
from syncauth.server.hub.turn import Turn
from syncauth.server.stores.interface import SessionStatus
from syncauth.server.stores.rows_interface import Access
from syncauth.server.stores.subjects import is_same_subject


def serve_deadlines(turn: Turn) -> None:
    """Ask for newer tokens, close what has no valid one or never said hello, end doubts."""
    for peer in turn.roster.due(turn.now):
        turn.serve(peer, _serve_deadline)


def _serve_deadline(turn: Turn, peer: Peer) -> None:
    if turn.now >= peer.token.expires_at + GRACE_SECONDS:
        turn.end(peer, "token_expired", "no newer token came in time")
    elif peer.stage is Stage.OPENED:
        turn.dismiss(peer, "closed", "hello did not come in time")
    elif peer.doubt is not None:
        copy_rules.go_on(turn, peer)
    else:
        peer.warned = True
        turn.roster.plan(peer)
        turn.say_error(peer, "token_expiring", "send a newer token with renew")


def renew(turn: Turn, peer: Peer, token: Secret) -> None:
    """Check a newer token; of those that come while one is being checked the newest waits."""
    if peer.renewing:
        peer.next_token = token
    else:
        peer.renewing = True
        turn.do(VerifyToken(peer.socket, token))


def token_checked(turn: Turn, peer: Peer, outcome: Claims | TokenFault) -> None:
    """Go on with the permissions of the same user and session, or tell why not."""
    if outcome is TokenFault.UNCHECKED:
        turn.end(peer, "internal", "the token sent with renew cannot be checked now")
    elif isinstance(outcome, TokenFault):
        expired = outcome is TokenFault.EXPIRED
        code, why = ("token_expired", "ended") if expired else ("token_invalid", "is not accepted")
        turn.say_error(peer, code, f"the token sent with renew {why}")
        _renewal_over(turn, peer)
    elif outcome.session_id != peer.session_id and is_same_subject(
        outcome.session_id, peer.session_id
    ):
        turn.end_session(peer, SessionStatus.REVOKED)  # the user was logged out in between
    elif (outcome.user_id, outcome.session_id) != (peer.user_id, peer.session_id):
        turn.end(peer, "wrong_session", "the token belongs to another user or session")
    else:
        peer.claims = outcome
        turn.do(ReadPermissions(peer.socket, peer.user_id))


def permissions_read(turn: Turn, peer: Peer, partitions: Mapping[str, Access]) -> None:
    """Take the newer token with the permissions as they are now; data moves on."""
    if peer.claims is None:
        return
    peer.take_token(peer.claims.expires_at, turn.now)
    peer.claims = None
    turn.roster.plan(peer)
    turn.roster.permit(peer, partitions)
    life = peer.token.left_ms(turn.now)
    turn.send(peer, Renewed(round(turn.now * 1000), life, dict(partitions)))
    _renewal_over(turn, peer)
    turn.do(peer.read_page(turn.now))


def sessions_checked(turn: Turn, statuses: Mapping[str, SessionStatus]) -> None:
    """End the sockets of all sessions that are not active."""
    if not statuses:  # as it is nearly each time, for thousands of sockets
        return
    for peer in turn.roster.everybody():
        status = statuses.get(peer.session_id, SessionStatus.ACTIVE)
        if status is not SessionStatus.ACTIVE:
            turn.end_session(peer, status)


def _renewal_over(turn: Turn, peer: Peer) -> None:
    waiting, peer.next_token = peer.next_token, None
    peer.renewing = False
    if waiting is not None:
        renew(turn, peer, waiting)
