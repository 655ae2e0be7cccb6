"""
Rules of the hub about what flows on a socket: hello and welcome, batches and results, pages.

Batches go to the store in the order in which they came; it alone judges them. A commit marks the
sockets that read the partitions it touched, and each of them pulls its next page when it is ready
for one. These rules must never look into a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from syncauth.models import Secret
from syncauth.sansio.messages import (
    ClientMessage,
    Hello,
    Push,
    PushResult,
    Received,
    Subscribe,
    TableShape,
    Welcome,
)
from syncauth.server.hub import copy_rules, token_rules
from syncauth.server.hub.effects import PushBatch
from syncauth.server.hub.inputs import BatchJudged
from syncauth.server.hub.peer import Peer, Stage
from syncauth.server.hub.turn import Turn
from syncauth.server.stores.rows_interface import (
    Greeting,
    Judged,
    OutOfOrder,
    Page,
    Problem,
    SessionOver,
)

READ_ALONG: Final = 4
"""So many sockets may have their pages read behind a batch that perhaps has nothing for them."""

CHECKPOINTS_OWED: Final = 64
"""So many `subscribe` may wait for their answer."""

RESULTS_KEPT: Final = 1000
"""So many batches beyond the window may have results that the device has not committed."""

TABLE_TWICE: Final = "a table is named twice"


def received(turn: Turn, peer: Peer, message: ClientMessage) -> None:
    """Serve a message of the device: hello first and once, and nothing before welcome."""
    copy_rules.shows_life(turn, peer)
    if isinstance(message, Hello) != (peer.stage is Stage.OPENED):
        turn.end(peer, "bad_message", "hello comes first and once")
    elif isinstance(message, Hello):
        _hello(turn, peer, message)
    elif peer.stage is Stage.GREETING:
        turn.end(peer, "bad_message", "nothing may come between hello and welcome")
    elif isinstance(message, Push):
        _push(turn, peer, message)
    elif isinstance(message, Received):
        peer.confirm(message)
        turn.do(peer.forget_results())
        turn.do(peer.read_page(turn.now))
    elif isinstance(message, Subscribe):
        _subscribe(turn, peer, message)
    else:
        token_rules.renew(turn, peer, Secret(message.token))


def _hello(turn: Turn, peer: Peer, hello: Hello) -> None:
    if _by_name(hello.tables) is None:
        turn.end(peer, "bad_message", TABLE_TWICE)
        return
    peer.greet(hello)
    turn.roster.plan(peer)
    copy_rules.greet(turn, peer)


def _by_name(tables: Sequence[TableShape]) -> dict[str, TableShape] | None:
    """Return tables by their names; None if one stands there twice."""
    found = {table.table: table for table in tables}
    return found if len(found) == len(tables) else None


def greeted(turn: Turn, peer: Peer, answer: Greeting | SessionOver | Problem) -> None:
    """Welcome the device in place of its older socket, and begin with its pages."""
    if not isinstance(answer, Greeting):
        turn.end_for(peer, answer)
        return
    older = turn.roster.of_device(peer.user_id, answer.device)
    if older is not None and older.rank >= peer.rank:
        copy_rules.doubt(turn, peer, older)
        return
    if older is not None:
        copy_rules.make_way(turn, older)
    knows_histories = peer.hello is not None and peer.hello.history is not None
    peer.welcome(answer)
    turn.roster.welcome(peer, answer.partitions)
    welcome = Welcome(
        time=round(turn.now * 1000),
        life=peer.token.left_ms(turn.now),
        device=answer.device,
        limits=turn.limits,
        last=answer.last,
        results=list(answer.results),
        partitions=dict(answer.partitions),
        tables=list(turn.shapes),
        history=answer.history if knows_histories else "",
    )
    turn.send(peer, welcome)
    turn.do(peer.read_page(turn.now))


def _push(turn: Turn, peer: Peer, push: Push) -> None:
    """Hand a batch to the store; one that comes after the token's end is not counted (I3)."""
    if turn.now >= peer.token.expires_at:
        turn.say_error(peer, "token_expired", "the batch came after the token's end")
    elif peer.pushing >= turn.limits.window:
        turn.end(peer, "too_many_requests", f"the window is {turn.limits.window} batches")
    elif push.batch > max(peer.acked, push.acked) + turn.limits.window + RESULTS_KEPT:
        turn.end(peer, "too_many_requests", "too many results are not acknowledged")
    else:
        peer.pushing += 1
        whose = (peer.user_id, peer.session_id, peer.device, peer.tables)
        turn.roster.pushes += 1
        order = turn.roster.pushes
        turn.do(PushBatch(peer.socket, *whose, dict(peer.received), push, order))
        _read_along(turn, peer, order)


def _read_along(turn: Turn, pusher: Peer, order: int) -> None:
    """Have the pages of a few that wait for news read right behind a batch: the store takes calls in order.

    So a change reaches the other devices of a person without a way back to the hub in between.
    """
    shared = [name for name, access in pusher.partitions.items() if access == "write"]
    readers = [each for each in turn.roster.readers(shared) if each is not pusher]
    if len(readers) > READ_ALONG:
        return
    for reader in readers:
        if reader.waits_for_news:
            reader.dirty = True
            turn.do(reader.read_page(turn.now))
            reader.read_behind = order


def judged(turn: Turn, happening: BatchJudged) -> None:
    """Tell the result, and let pages follow; others hear of the rows even if the pusher is gone."""
    answer = happening.answer
    peer = turn.roster.get(happening.socket)
    if peer is not None:
        peer.pushing -= 1
        turn.serve(peer, lambda turn, peer: _tell_result(turn, peer, answer))
    if isinstance(answer, Judged):
        readers = turn.roster.readers(answer.touched)
        for reader in readers:
            reader.news(happening.order)
        # The pusher has its own rows already: the others come first.
        for reader in sorted(readers, key=lambda each: each is peer):
            turn.serve(reader, _read_page)


def _read_page(turn: Turn, peer: Peer) -> None:
    turn.do(peer.read_page(turn.now))


def _tell_result(
    turn: Turn, peer: Peer, answer: Judged | OutOfOrder | SessionOver | Problem
) -> None:
    if isinstance(answer, Judged):
        turn.send(peer, PushResult(answer.result))
    elif isinstance(answer, OutOfOrder):
        why = f"send again from batch {answer.last + 1}"
        turn.say_error(peer, "out_of_order", why, last=answer.last)
    else:
        turn.end_for(peer, answer)


def _subscribe(turn: Turn, peer: Peer, wanted: Subscribe) -> None:
    """Owe a checkpoint; with tables that are new the device must say hello again.

    The rows of such a table lie below the cursors of this socket, and only the device knows from
    where it misses them.
    """
    known, asked = _by_name(peer.tables) or {}, _by_name(wanted.tables)
    if asked is None:
        turn.end(peer, "bad_message", TABLE_TWICE)
    elif any(known.get(name) != table for name, table in asked.items()):
        turn.dismiss(peer, "closed", "other tables are wanted: say hello again")
    elif peer.owed >= CHECKPOINTS_OWED:
        turn.end(peer, "too_many_requests", "too many subscribes wait for an answer")
    else:
        peer.tables = tuple(wanted.tables)
        peer.owed += 1
        turn.do(peer.read_page(turn.now))


def page_read(turn: Turn, peer: Peer, answer: Page | Problem) -> None:
    """Send the page, and read the next one if there is more."""
    if isinstance(answer, Problem):
        turn.end_for(peer, answer)
        return
    for message in peer.take_page(answer, turn.now):
        turn.send(peer, message)
    turn.do(peer.read_page(turn.now))
