"""The hub's greeting, batches and ends, as stories: a scripted store answers what it is asked."""

from __future__ import annotations

import pytest
from msgspec import structs

from syncauth.models import Secret
from syncauth.sansio.messages import (
    Error,
    Goodbye,
    Received,
    Renew,
    Subscribe,
    Welcome,
)
from syncauth.sansio.sync_errors import CATALOGUE
from syncauth.server.hub import inputs
from syncauth.server.hub.effects import Close, ForgetResults, Greet, PushBatch, ReadPage, Send
from syncauth.server.hub.flow_rules import RESULTS_KEPT
from syncauth.server.hub.peer import HELLO_SECONDS, Peer, TokenLife
from syncauth.server.hub.turn import WHY_LENGTH
from syncauth.server.stores.interface import SessionStatus
from syncauth.server.stores.rows_interface import (
    Greeting,
    OutOfOrder,
    PageLimits,
    Problem,
    SessionOver,
)
from tests.support.hub_story import (
    BOB,
    DEVICE,
    LIFE,
    LIMITS,
    NOTES,
    START,
    TASKS,
    HubStory,
    codes_in,
    hello,
    page,
    push,
    result,
    sent_in,
)

OWN = "user:ann"
TEAM = "team"
OTHER_DEVICE = "c" * 16


@pytest.fixture
def story() -> HubStory:
    """A hub without sockets."""
    return HubStory()


# --- hello and welcome ---------------------------------------------------------------------------


def test_hello_is_greeted_and_welcomed(story: HubStory) -> None:
    """The store takes the device in; welcome tells time, life, limits, results and tables."""
    socket = story.opened()
    said = hello(checkpoints={OWN: 4})
    story.wait(10 / 4)

    greet = story.say(socket, said)
    answer = Greeting(OTHER_DEVICE, {OWN: "write", TEAM: "read"}, 7, [result(6), result(7)])
    effects = story.happen(inputs.Greeted(socket, answer))

    assert greet == [Greet(socket, "ann", "session", said)]
    assert sent_in(effects, socket) == [
        Welcome(
            time=round((START + 2.5) * 1000),
            life=round((LIFE - 2.5) * 1000),
            device=OTHER_DEVICE,
            limits=LIMITS,
            last=7,
            results=[result(6), result(7)],
            partitions={OWN: "write", TEAM: "read"},
            tables=[NOTES, TASKS],
        )
    ]
    # Where the device was, and from the beginning where it had nothing.
    assert effects[1:] == [
        ReadPage(socket, OTHER_DEVICE, (NOTES,), {OWN: 4, TEAM: 0}, {}, PageLimits(atomic=True))
    ]


@pytest.mark.parametrize(
    "message", [push(1), Received({}, 0), Subscribe([NOTES]), Renew("token")], ids=type
)
def test_hello_comes_first(story: HubStory, message: object) -> None:
    """Anything else before hello, or between hello and welcome, is a bad message."""
    early, between = story.opened(), story.opened()
    story.say(between, hello())

    for socket in (early, between):
        effects = story.say(socket, message)  # type: ignore[arg-type]

        assert codes_in(effects, socket) == ["bad_message"]
        assert story.closed(socket) == 4403
        assert len(effects) == 2


def test_hello_comes_once(story: HubStory) -> None:
    """A second hello is a bad message, before and after the welcome."""
    for socket in (story.opened(), story.live()):
        if story.sent(socket) == []:
            story.say(socket, hello())
        effects = story.say(socket, hello(connection=2))

        assert codes_in(effects, socket) == ["bad_message"]
        assert story.closed(socket) == 4403


def test_table_named_twice_is_a_bad_message(story: HubStory) -> None:
    """Its rows would be read and sent twice; the store never hears of such a hello."""
    twice = structs.replace(hello(), tables=[NOTES, TASKS, NOTES])
    newcomer, socket = story.opened(), story.live()
    reads = len(story.calls(ReadPage))

    for each, message in ((newcomer, twice), (socket, Subscribe([NOTES, NOTES]))):
        assert codes_in(story.say(each, message), each) == ["bad_message"]
        assert story.closed(each) == 4403

    assert [each.socket for each in story.calls(Greet)] == [socket]
    assert len(story.calls(ReadPage)) == reads


def test_long_reason_is_cut(story: HubStory) -> None:
    """A problem may repeat what the device sent; the error about it stays a small message."""
    socket = story.opened()
    story.say(socket, hello())

    effects = story.happen(inputs.Greeted(socket, Problem("schema_mismatch", "x" * 1_000_000)))

    (error,) = sent_in(effects, socket)
    assert isinstance(error, Error)
    assert error.message == "x" * WHY_LENGTH


def test_socket_without_hello_is_closed(story: HubStory) -> None:
    """Whoever says nothing does not hold a socket, and may come back."""
    socket = story.opened()

    story.wait(HELLO_SECONDS - 0.1)
    assert story.closed(socket) is None
    story.wait(0.2)

    assert story.closed(socket) == 1000


@pytest.mark.parametrize(
    "code",
    ["unknown_table", "schema_mismatch", "file_behind", "digest_mismatch", "checkpoint_too_old"],
)
def test_problem_of_the_store_ends_the_socket(story: HubStory, code: str) -> None:
    """A device that the store does not take in is told the code, its action and the close code."""
    socket = story.opened()
    story.say(socket, hello())

    effects = story.happen(inputs.Greeted(socket, Problem(code, "why")))

    kind = CATALOGUE[code]
    assert effects == [
        Send(socket, Error(code, "why", kind.action)),
        Close(socket, kind.close or 0, code),
    ]


def test_newer_connection_supersedes_the_older(story: HubStory) -> None:
    """A higher pair (fencing, connection) of the same device ends the older socket."""
    older = story.live(hello(fencing=1, connection=9))

    newer = story.welcomed(hello(fencing=2, connection=1))

    assert isinstance(story.sent(older)[-1], Goodbye)
    assert story.closed(older) == 1000
    assert story.closed(newer) is None
    assert isinstance(story.sent(newer)[0], Welcome)


def test_device_may_come_back_when_its_socket_is_gone(story: HubStory) -> None:
    """The pair is compared with an open socket only: the device's own numbers tell the rest."""
    first = story.live(hello(connection=9))
    story.happen(inputs.SocketClosed(first))

    assert story.closed(story.live(hello(connection=9))) is None


def test_same_device_name_of_two_users_are_two_devices(story: HubStory) -> None:
    """A device belongs to (user, device): B naming A's device ends nothing of A's (I15)."""
    ann = story.live(hello(connection=1))
    bob = story.live(hello(connection=2), user=BOB, session="bob's")

    assert story.closed(ann) is None
    assert story.closed(bob) is None


# --- batches -------------------------------------------------------------------------------------


def test_batches_go_to_the_store_in_order(story: HubStory) -> None:
    """Batches are handed over as they came, with user and session of the token."""
    socket = story.live()

    effects = story.say(socket, push(1)) + story.say(socket, push(2, acked=1))

    assert effects == [
        PushBatch(socket, "ann", "session", DEVICE, (NOTES,), {}, push(1), 1),
        PushBatch(socket, "ann", "session", DEVICE, (NOTES,), {}, push(2, acked=1), 2),
    ]


def test_more_than_the_window_is_refused(story: HubStory) -> None:
    """Window + 1 batches without a result are too many; a result makes room."""
    socket = story.live()
    story.say(socket, push(1))
    story.say(socket, push(2))
    story.judge(socket, 1)
    story.say(socket, push(3))
    assert story.closed(socket) is None

    effects = story.say(socket, push(4))

    assert codes_in(effects, socket) == ["too_many_requests"]
    assert story.closed(socket) == 4429
    assert len(story.calls(PushBatch)) == 3


def test_results_that_are_never_acknowledged_do_not_pile_up(story: HubStory) -> None:
    """They are kept, and told in the next welcome: a device that commits none of them may not go on."""
    most = LIMITS.window + RESULTS_KEPT
    socket = story.live(hello(acked=2))

    for batch, acked in ((most + 2, 0), (most + 3, 3)):
        story.say(socket, push(batch, acked=acked))
        story.judge(socket, batch)
    assert story.closed(socket) is None
    effects = story.say(socket, push(most + 4, acked=3))

    assert codes_in(effects, socket) == ["too_many_requests"]
    assert story.closed(socket) == 4429


def test_gap_is_told_with_the_last_batch(story: HubStory) -> None:
    """Out of order keeps the socket: the device sends again from the one after `last`."""
    socket = story.live()
    story.say(socket, push(5))

    effects = story.happen(inputs.BatchJudged(socket, OutOfOrder(3), 1))

    (error,) = sent_in(effects, socket)
    assert isinstance(error, Error)
    assert (error.code, error.last, error.action) == ("out_of_order", 3, "retry")
    assert story.closed(socket) is None


@pytest.mark.parametrize("code", ["bad_message", "digest_mismatch", "schema_mismatch"])
def test_batch_that_cannot_be_judged_ends_the_socket(story: HubStory, code: str) -> None:
    """A problem of a batch is told with its code and close code."""
    socket = story.live()
    story.say(socket, push(1))

    effects = story.happen(inputs.BatchJudged(socket, Problem(code, "why"), 1))

    assert codes_in(effects, socket) == [code]
    assert story.closed(socket) == CATALOGUE[code].close


def test_batch_of_an_ended_session_ends_the_socket(story: HubStory) -> None:
    """The store saw within the transaction that the session is over (I3)."""
    socket = story.live()
    story.say(socket, push(1))

    answer = SessionOver(SessionStatus.USER_DISABLED)
    effects = story.happen(inputs.BatchJudged(socket, answer, 1))

    assert codes_in(effects, socket) == ["user_disabled"]
    assert story.closed(socket) == 4401


def test_confirmed_results_are_forgotten_one_call_at_a_time(story: HubStory) -> None:
    """`received` reaches the store only when it says more, and never twice at once."""
    socket = story.live(hello(acked=2))

    nothing_new = story.confirm(socket, {}, acked=2)
    first = story.confirm(socket, {}, acked=3)
    meanwhile = story.confirm(socket, {}, acked=4) + story.confirm(socket, {}, acked=5)
    rest = story.happen(inputs.ResultsForgotten(socket))
    done = story.happen(inputs.ResultsForgotten(socket))

    assert nothing_new == meanwhile == done == []
    assert first == [ForgetResults(socket, DEVICE, 3)]
    assert rest == [ForgetResults(socket, DEVICE, 5)]


# --- ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "close"), [("bad_message", 4403), ("message_too_big", 1009)])
def test_unreadable_frame_ends_the_socket(story: HubStory, code: str, close: int) -> None:
    """What cannot be read is told and ends the socket, also before hello."""
    socket = story.opened()

    effects = story.happen(inputs.FrameRefused(socket, code, "why"))

    assert codes_in(effects, socket) == [code]
    assert story.closed(socket) == close


def test_failure_of_the_store_ends_the_socket(story: HubStory) -> None:
    """A call that raised is told as `internal`; the device comes back and sends again."""
    socket = story.live()
    story.say(socket, push(1))

    effects = story.happen(inputs.StoreFailed(socket))

    assert codes_in(effects, socket) == ["internal"]
    assert story.closed(socket) == 1011


def test_drain_sends_everybody_away_and_takes_nobody_in(story: HubStory) -> None:
    """Before the server ends every device is told to come back, newcomers too, one after the other."""
    sockets = [story.live(), story.live(user=BOB, session="2"), story.opened("eve", "3")]

    story.happen(inputs.DrainWanted(1500, per_second=50))
    late = story.opened()

    for place, socket in enumerate((*sockets, late)):
        goodbye = story.sent(socket)[-1]
        assert isinstance(goodbye, Goodbye)
        assert (goodbye.code, goodbye.retry_after) == (
            "server_restarting",
            1500 + 20 * place,
        )
        assert story.closed(socket) == 1012


def test_nothing_is_said_after_the_end(story: HubStory) -> None:
    """Answers, messages and times that come for an ended socket do nothing."""
    socket = story.live(hello(checkpoints={OWN: 1}))
    story.say(socket, push(1))
    story.judge(socket, 1, OWN)
    story.happen(inputs.FrameRefused(socket, "bad_message", "why"))
    before = len(story.effects)

    story.judge(socket, 1, OWN)
    story.read(socket, page({OWN: 2}))
    story.say(socket, push(2))
    story.happen(inputs.Greeted(socket, Problem("file_behind", "")))
    story.happen(inputs.StoreFailed(socket))
    story.happen(inputs.SocketClosed(socket))
    story.wait(LIFE * 2)

    assert story.effects[before:] == []
    assert story.hub.next_deadline() is None


def test_peer_shows_no_token() -> None:
    """A peer that is printed while a newer token waits does not show it (I10)."""
    peer = Peer(1, "ann", "session", token=TokenLife(2.0, 1.0), opened_at=0.0)
    peer.next_token = Secret("very-secret")

    assert "very-secret" not in repr(peer)
