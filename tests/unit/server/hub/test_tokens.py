"""The hub's enforcement of tokens and sessions on open sockets, as stories (I3)."""

from __future__ import annotations

import pytest

from syncauth.models import Secret
from syncauth.sansio.messages import Changes, Checkpoint, Error, Renew, Renewed
from syncauth.server.accounts.issuer import Claims, TokenFault
from syncauth.server.hub import inputs
from syncauth.server.hub.effects import (
    CheckSessions,
    PushBatch,
    ReadPage,
    ReadPermissions,
    Send,
    VerifyToken,
)
from syncauth.server.hub.hub import RECHECK_SECONDS
from syncauth.server.hub.peer import GRACE_SECONDS
from syncauth.server.stores.interface import SessionStatus
from syncauth.server.stores.rows_interface import Access
from tests.support.hub_story import (
    BOB,
    DEVICE,
    LIFE,
    HubStory,
    codes_in,
    hello,
    page,
    push,
    sent_in,
)

OWN = "user:ann"
OTHER_DEVICE = "c" * 16


@pytest.fixture
def story() -> HubStory:
    """A hub without sockets."""
    return HubStory()


def renewed(
    story: HubStory, socket: int, life: float = LIFE, partitions: dict[str, Access] | None = None
) -> list[object]:
    """Let a device renew its token, and the store read its permissions; returns what is said."""
    story.say(socket, Renew("newer"))
    story.happen(inputs.TokenChecked(socket, Claims("ann", "session", story.now + life)))
    may: dict[str, Access] = partitions or {OWN: "write"}
    return list(sent_in(story.happen(inputs.PermissionsRead(socket, may)), socket))


# --- the token's life ----------------------------------------------------------------------------


@pytest.mark.parametrize(("life", "lead"), [(1800.0, 180.0), (30.0, 5.0), (4.0, 1.0)])
def test_newer_token_is_asked_for_in_good_time(story: HubStory, life: float, lead: float) -> None:
    """A tenth of the life or 5 s before the end, of short lives a quarter, and only once."""
    socket = story.live(life=life)

    before = story.wait(life - lead - 0.01)
    due = story.wait(0.02)
    after = story.wait(lead - 0.02)

    assert codes_in(before, socket) == codes_in(after, socket) == []
    assert codes_in(due, socket) == ["token_expiring"]
    (error,) = sent_in(due, socket)
    assert isinstance(error, Error)
    assert error.action == "renew_token"


def test_push_after_the_end_is_not_forwarded(story: HubStory) -> None:
    """A batch that comes after the token's end is answered with token_expired and not counted."""
    socket = story.live(life=4)
    story.wait(4)

    effects = story.say(socket, push(1))

    assert codes_in(effects, socket) == ["token_expired"]
    assert story.calls(PushBatch) == []
    assert story.closed(socket) is None


def test_no_page_is_read_or_sent_after_the_end(story: HubStory) -> None:
    """A page that arrives after the token's end is withheld, and read again later."""
    socket = story.live(hello(checkpoints={OWN: 1}), life=4)
    story.judge(socket, 1, OWN)
    story.wait(4)

    withheld = story.read(socket, page({OWN: 2}))
    quiet = story.judge(socket, 2, OWN)

    assert withheld == []
    assert not any(isinstance(each, ReadPage) for each in quiet)
    story.say(socket, Renew("newer"))
    story.happen(inputs.TokenChecked(socket, Claims("ann", "session", story.now + LIFE)))
    effects = story.happen(inputs.PermissionsRead(socket, {OWN: "write"}))
    assert [each.cursors for each in effects if isinstance(each, ReadPage)] == [{OWN: 1}]


def test_socket_without_a_newer_token_is_closed_after_the_grace(story: HubStory) -> None:
    """After the token's end comes a short grace without data, then the close with 4401."""
    socket = story.live(life=4)

    story.wait(4 + GRACE_SECONDS - 0.01)
    assert story.closed(socket) is None
    effects = story.wait(0.02)

    assert codes_in(effects, socket) == ["token_expired"]
    assert story.closed(socket) == 4401


def test_renewal_keeps_the_socket_and_lets_data_move(story: HubStory) -> None:
    """The socket outlives the refresh: renewed tells the new life, and pushes are taken again."""
    socket = story.live(life=4)
    story.wait(4.5)

    said = renewed(story, socket, life=10)
    effects = story.say(socket, push(1))

    assert said == [Renewed(round(story.now * 1000), 10_000, {OWN: "write"})]
    assert [type(each) for each in effects] == [PushBatch]
    story.wait(GRACE_SECONDS)
    assert story.closed(socket) is None
    story.wait(10)
    assert story.closed(socket) == 4401


def test_newer_token_is_asked_for_again(story: HubStory) -> None:
    """Every token has its own warning."""
    socket = story.live(life=100)
    story.wait(95)
    renewed(story, socket, life=100)

    effects = story.wait(95)

    assert codes_in(effects, socket) == ["token_expiring"]


def test_token_of_renew_is_verified_outside(story: HubStory) -> None:
    """The hub asks for the check, then for the permissions; the token cannot be printed (I10)."""
    socket = story.live()

    effects = story.say(socket, Renew("very-secret"))
    good = Claims("ann", "session", story.now + LIFE)

    assert effects == [VerifyToken(socket, Secret("very-secret"))]
    assert "very-secret" not in repr(effects)
    assert story.happen(inputs.TokenChecked(socket, good)) == [ReadPermissions(socket, "ann")]


@pytest.mark.parametrize(
    ("fault", "code"),
    [(TokenFault.EXPIRED, "token_expired"), (TokenFault.INVALID, "token_invalid")],
)
def test_bad_token_of_renew_is_told(story: HubStory, fault: TokenFault, code: str) -> None:
    """A token that is not accepted is told; until the old one's end the socket lives, then not."""
    socket = story.live(life=100)
    story.say(socket, Renew("bad"))

    effects = story.happen(inputs.TokenChecked(socket, fault))

    assert codes_in(effects, socket) == [code]
    assert story.closed(socket) is None
    story.wait(100 + GRACE_SECONDS)
    assert story.closed(socket) == 4401


def test_token_that_cannot_be_checked_ends_the_socket(story: HubStory) -> None:
    """Without the keys of its issuer a newer token proves nothing: the device comes back later."""
    socket = story.live()
    story.say(socket, Renew("foreign"))

    effects = story.happen(inputs.TokenChecked(socket, TokenFault.UNCHECKED))

    assert codes_in(effects, socket) == ["internal"]
    assert story.closed(socket) == 1011
    assert story.calls(ReadPermissions) == []


@pytest.mark.parametrize(("user", "session"), [(BOB, "session"), ("ann", "other"), (BOB, "other")])
def test_token_of_somebody_else_ends_the_socket(story: HubStory, user: str, session: str) -> None:
    """A renewal by another user or session is refused, and nothing of theirs read (I15)."""
    socket = story.live()
    story.say(socket, Renew("other"))

    claims = Claims(user, session, story.now + LIFE)
    effects = story.happen(inputs.TokenChecked(socket, claims))

    assert codes_in(effects, socket) == ["wrong_session"]
    assert story.closed(socket) == 4403
    assert story.calls(ReadPermissions) == []


def test_of_many_renewals_the_newest_waits(story: HubStory) -> None:
    """One token is checked at a time; of those that come meanwhile only the newest is kept."""
    socket = story.live()
    story.say(socket, Renew("1"))
    for name in "234":
        assert story.say(socket, Renew(name)) == []

    effects = story.happen(inputs.TokenChecked(socket, TokenFault.INVALID))

    assert effects[-1] == VerifyToken(socket, Secret("4"))
    good = Claims("ann", "session", story.now + LIFE)
    story.happen(inputs.TokenChecked(socket, good))
    effects = story.happen(inputs.PermissionsRead(socket, {OWN: "write"}))
    assert [type(each) for each in sent_in(effects, socket)] == [Renewed]
    assert story.calls(VerifyToken) == [
        VerifyToken(socket, Secret("1")),
        VerifyToken(socket, Secret("4")),
    ]


# --- permissions ---------------------------------------------------------------------------------


def test_renewal_adds_partitions(story: HubStory) -> None:
    """A partition that came is read from its beginning, and its commits are heard of."""
    socket = story.live(hello(checkpoints={OWN: 7}))

    renewed(story, socket, partitions={OWN: "write", "team": "read"})

    assert story.calls(ReadPage)[-1].cursors == {OWN: 7, "team": 0}
    story.read(socket, page({OWN: 7, "team": 3}))
    effects = story.judge(99, 1, "team")
    assert [each.socket for each in effects if isinstance(each, ReadPage)] == [socket]


def test_renewal_drops_partitions(story: HubStory) -> None:
    """A partition that went is read no more, and a page that was being read with it is withheld."""
    both: dict[str, Access] = {OWN: "write", "team": "read"}
    socket = story.welcomed(hello(checkpoints={OWN: 7, "team": 3}), partitions=both)
    story.read(socket, page({OWN: 7, "team": 3}, rows=0))
    story.judge(socket, 1, "team")

    renewed(story, socket)
    withheld = story.read(socket, page({OWN: 7, "team": 4}))

    assert sent_in(withheld, socket) == []
    assert [each.cursors for each in withheld if isinstance(each, ReadPage)] == [{OWN: 7}]
    story.read(socket, page({OWN: 7}, rows=0))
    assert story.judge(99, 1, "team") == []


def test_partition_that_comes_back_goes_on_where_it_was(story: HubStory) -> None:
    """A device refuses versions that go back: the cursor of a partition is kept."""
    both: dict[str, Access] = {OWN: "write", "team": "read"}
    socket = story.welcomed(hello(checkpoints={OWN: 7, "team": 3}), partitions=both)
    story.read(socket, page({OWN: 7, "team": 5}))
    renewed(story, socket)
    story.read(socket, page({OWN: 7}, rows=0))

    renewed(story, socket, partitions=both)

    assert story.calls(ReadPage)[-1].cursors == {OWN: 7, "team": 5}


def test_checkpoint_names_only_what_may_be_read(story: HubStory) -> None:
    """A checkpoint covers the readable partitions; what a device claims of others is not echoed."""
    socket = story.welcomed(hello(checkpoints={OWN: 7, "user:bob": 3}))

    effects = story.read(socket, page({OWN: 7}, rows=0))

    assert effects == [Send(socket, Checkpoint({OWN: 7}, 1))]
    assert not any(isinstance(each, Changes) for each in story.sent(socket))


# --- sessions ------------------------------------------------------------------------------------


def test_sessions_are_rechecked_every_second(story: HubStory) -> None:
    """Each live session is asked about once a second, all in one call, one call at a time."""
    story.live(session="one")
    story.live(hello(device=OTHER_DEVICE), session="two")
    story.live(user=BOB, session="three")

    story.wait(RECHECK_SECONDS * 3)
    assert story.calls(CheckSessions) == [CheckSessions(["one", "three", "two"])]
    story.happen(inputs.SessionsChecked({}))
    story.wait(RECHECK_SECONDS)

    assert len(story.calls(CheckSessions)) == 2


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (SessionStatus.EXPIRED, "token_expired"),
        (SessionStatus.REVOKED, "session_revoked"),
        (SessionStatus.USER_DISABLED, "user_disabled"),
        (SessionStatus.USER_REMOVED, "user_removed"),
    ],
)
def test_ended_session_ends_its_sockets(story: HubStory, status: SessionStatus, code: str) -> None:
    """All sockets of an ended session are closed with 4401 and told why; others stay."""
    ended = [
        story.live(session="one"),
        story.live(hello(device=OTHER_DEVICE), session="one"),
        story.opened(session="one"),
    ]
    other = story.live(user=BOB, session="two")
    story.wait(RECHECK_SECONDS)

    statuses = {"one": status, "two": SessionStatus.ACTIVE}
    effects = story.happen(inputs.SessionsChecked(statuses))

    for socket in ended:
        assert codes_in(effects, socket) == [code]
        assert story.closed(socket) == 4401
    assert story.closed(other) is None


def test_revocation_here_is_looked_at_at_once(story: HubStory) -> None:
    """A session that this very process ended does not wait for the next recheck."""
    story.live(session="one")
    story.wait(RECHECK_SECONDS)
    before = len(story.calls(CheckSessions))

    effects = story.happen(inputs.SessionsRevoked(["one", "of another process"]))

    assert before == 1  # which has not been answered yet, and may have come before the revocation
    assert effects == [CheckSessions(["one"])]


def test_revocations_here_do_not_delay_the_recheck(story: HubStory) -> None:
    """I3: however often this process ends sessions, those that another one ended are noticed within a second."""
    story.live(session="ended elsewhere")
    story.live(hello(device=OTHER_DEVICE), session="one")
    for session in ("of nobody here", "one") * 4:
        story.wait(RECHECK_SECONDS / 4)
        if story.happen(inputs.SessionsRevoked([session])):
            story.happen(inputs.SessionsChecked({}))

    asked = [each.session_ids for each in story.calls(CheckSessions)]
    assert sum("ended elsewhere" in each for each in asked) == 2


def test_the_recheck_waits_for_no_other_look(story: HubStory) -> None:
    """I3: looks at single sessions, one of which is always under way, do not keep the recheck of all away."""
    story.live(session="ended elsewhere")
    story.live(hello(device=OTHER_DEVICE), session="one")
    story.happen(inputs.SessionsRevoked(["one"]))
    for _ in range(4):
        story.happen(inputs.SessionsRevoked(["one"]))
        story.happen(inputs.SessionsChecked({}))
        story.wait(RECHECK_SECONDS / 2)

    asked = [each.session_ids for each in story.calls(CheckSessions)]
    assert ["ended elsewhere", "one"] in asked


def test_revocation_of_nobody_here_asks_nothing(story: HubStory) -> None:
    """Sessions without a socket are no matter of the hub."""
    story.live()

    assert story.happen(inputs.SessionsRevoked(["other"])) == []


def test_clock_set_back_does_not_stop_the_rechecks(story: HubStory) -> None:
    """A wall clock that jumps back an hour delays the next recheck by no more than its pace."""
    story.live()
    story.now -= 3600
    story.happen(inputs.DeadlineReached())

    story.wait(RECHECK_SECONDS)

    assert len(story.calls(CheckSessions)) == 1


def test_hub_without_sockets_sleeps(story: HubStory) -> None:
    """With nobody there nothing is ever due."""
    assert story.hub.next_deadline() is None
    socket = story.opened()
    story.happen(inputs.SocketClosed(socket))

    story.wait(LIFE)

    assert story.effects == []
    assert story.hub.next_deadline() is None


def test_device_id_of_the_store_is_used(story: HubStory) -> None:
    """What is pushed goes under the device that the store named, whatever hello said (I15)."""
    socket = story.live(hello(device=DEVICE))
    (call,) = [each for each in story.say(socket, push(1)) if isinstance(each, PushBatch)]

    assert (call.user_id, call.session_id, call.device) == ("ann", "session", DEVICE)
