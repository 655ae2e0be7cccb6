"""The hub's pages and checkpoints, as stories: a scripted store answers what it is asked."""

from __future__ import annotations

import pytest

from syncauth.sansio.messages import (
    Changes,
    Checkpoint,
    Goodbye,
    PushResult,
    Subscribe,
)
from syncauth.server.hub import inputs
from syncauth.server.hub.effects import PushBatch, ReadPage, Send
from syncauth.server.hub.flow_rules import CHECKPOINTS_OWED, READ_ALONG
from syncauth.server.stores.rows_interface import (
    PageLimits,
    Problem,
)
from tests.support.hub_story import (
    BOB,
    DEVICE,
    NOTES,
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


def test_hello_is_answered_by_one_checkpoint(story: HubStory) -> None:
    """With nothing to send the answer to hello is exactly one checkpoint, and no page."""
    socket = story.welcomed(hello(checkpoints={OWN: 4}))

    effects = story.read(socket, page({OWN: 4}, rows=0, commit=12))

    assert effects == [Send(socket, Checkpoint({OWN: 4}, 12))]
    assert story.wait(0) == []


def test_first_download_goes_page_by_page_and_ends_in_a_checkpoint(story: HubStory) -> None:
    """Without checkpoints pages need not end at commits until the first is complete."""
    socket = story.welcomed()
    first, second = page({OWN: 10}, complete=False), page({OWN: 15}, rows=5, commit=3)

    after_first = story.read(socket, first)
    after_second = story.read(socket, second)
    story.confirm(socket, {OWN: 15})
    story.judge(socket, 1, OWN)

    assert after_first == [
        Send(socket, first.changes),
        ReadPage(socket, DEVICE, (NOTES,), {OWN: 10}, {}, PageLimits(atomic=False)),
    ]
    assert after_second == [Send(socket, second.changes), Send(socket, Checkpoint({OWN: 15}, 3))]
    assert [each.limits.atomic for each in story.calls(ReadPage)] == [False, False, True]


def test_a_comparison_lasts_until_the_first_checkpoint(story: HubStory) -> None:
    """From then on what the device writes itself is left out as usual."""
    socket = story.welcomed(hello(checkpoints={OWN: 0}, compare={OWN: 7}))

    story.read(socket, page({OWN: 7}, complete=False))
    story.read(socket, page({OWN: 9}))
    story.confirm(socket, {OWN: 9})
    story.judge(socket, 1, OWN)

    assert [each.compared for each in story.calls(ReadPage)] == [{OWN: 7}, {OWN: 7}, {}]


def test_slow_reader_is_not_read_for(story: HubStory) -> None:
    """At most two pages are unconfirmed, however much is written: nothing is queued."""
    slow = story.welcomed()
    writer = story.live(hello(device=OTHER_DEVICE), session="other")
    story.read(slow, page({OWN: 1}, complete=False))
    effects = story.read(slow, page({OWN: 2}, complete=False))
    assert not any(isinstance(each, ReadPage) for each in effects)

    for batch in range(1, 50):
        story.judge(writer, batch, OWN)
    assert len([each for each in story.calls(ReadPage) if each.socket == slow]) == 2

    # One page confirmed: exactly the next is read, from where the last one ended.
    effects = story.confirm(slow, {OWN: 1})
    assert [each.cursors for each in effects if isinstance(each, ReadPage)] == [{OWN: 2}]


def test_no_page_is_read_twice_at_once(story: HubStory) -> None:
    """Commits during a read lead to one more read after it, not to one each."""
    socket = story.live(hello(checkpoints={OWN: 1}))
    story.judge(socket, 1, OWN)
    reads = len(story.calls(ReadPage))

    for batch in (2, 3, 4):
        story.judge(socket, batch, OWN)
    assert len(story.calls(ReadPage)) == reads
    effects = story.read(socket, page({OWN: 2}))

    assert isinstance(effects[-1], ReadPage)
    story.read(socket, page({OWN: 4}))
    assert len(story.calls(ReadPage)) == reads + 1


def test_commit_reaches_those_who_read_the_partition(story: HubStory) -> None:
    """A commit is read by the sockets of its partitions, its writer last, by nobody else."""
    ann = story.live(hello(checkpoints={OWN: 1}))
    tablet = story.live(hello(device=OTHER_DEVICE, checkpoints={OWN: 1}), session="2")
    bob = story.live(user=BOB, session="3")

    effects = story.judge(ann, 1, OWN)

    assert effects[0] == Send(ann, PushResult(result(1)))
    assert [each.socket for each in effects[1:] if isinstance(each, ReadPage)] == [tablet, ann]
    assert story.closed(bob) is None


def test_commit_of_a_device_that_is_gone_still_reaches_the_others(story: HubStory) -> None:
    """The pusher's socket may end before the answer: what was committed is told to the others."""
    ann = story.live(hello(checkpoints={OWN: 1}))
    tablet = story.live(hello(device=OTHER_DEVICE, checkpoints={OWN: 1}), session="2")
    story.say(ann, push(1))
    story.happen(inputs.SocketClosed(ann))

    story.judge(ann, 1, OWN)
    effects = story.read(tablet, page({OWN: 2}))

    assert [type(each) for each in sent_in(effects, tablet)] == [Changes]


def test_page_without_rows_is_not_sent(story: HubStory) -> None:
    """Cursors that moved over the device's own rows travel with the next rows or checkpoint."""
    socket = story.live(hello(checkpoints={OWN: 1}))
    story.judge(socket, 1, OWN)

    assert story.read(socket, page({OWN: 2}, rows=0)) == []

    effects = story.judge(socket, 2, OWN)
    (asked,) = [each for each in effects if isinstance(each, ReadPage)]
    assert asked.cursors == {OWN: 2}


def test_end_of_an_incomplete_run_is_told(story: HubStory) -> None:
    """After an incomplete page the complete one is told even if it holds nothing more."""
    socket = story.live(hello(checkpoints={OWN: 1}))
    story.judge(socket, 1, OWN)
    story.read(socket, page({OWN: 2}, complete=False))

    effects = story.read(socket, page({OWN: 2}, rows=0))

    (told,) = sent_in(effects, socket)
    assert isinstance(told, Changes)
    assert told.complete


def test_every_subscribe_is_answered_by_its_own_checkpoint(story: HubStory) -> None:
    """A device counts the answers: each subscribe has one, given after a page read since then."""
    socket = story.live(hello(checkpoints={OWN: 1}))

    story.say(socket, Subscribe([NOTES]))
    story.say(socket, Subscribe([NOTES]))
    story.say(socket, Subscribe([]))
    first = story.read(socket, page({OWN: 1}, rows=0))
    second = story.read(socket, page({OWN: 1}, rows=0))

    # The first page was asked for when one subscribe had come; the second answers the other two.
    assert [type(each) for each in first] == [Send, ReadPage]
    assert second == [Send(socket, Checkpoint({OWN: 1}, 1))] * 2
    assert [each.tables for each in story.calls(ReadPage)][-1] == ()


def test_subscribe_to_other_tables_begins_anew(story: HubStory) -> None:
    """Only the device knows from where it misses rows of a new table: it says hello again."""
    socket = story.live()

    story.say(socket, Subscribe([NOTES, TASKS]))

    assert isinstance(story.sent(socket)[-1], Goodbye)
    assert story.closed(socket) == 1000


def test_flood_of_subscribes_is_refused(story: HubStory) -> None:
    """What waits for an answer is bounded."""
    socket = story.live()

    for _ in range(CHECKPOINTS_OWED):
        story.say(socket, Subscribe([NOTES]))
    assert story.closed(socket) is None
    story.say(socket, Subscribe([NOTES]))

    assert story.closed(socket) == 4429


def test_cursor_above_the_store_ends_the_socket(story: HubStory) -> None:
    """A page that cannot be read because the server was restored is told to the device."""
    socket = story.welcomed(hello(checkpoints={OWN: 99}))

    effects = story.happen(inputs.PageRead(socket, Problem("file_behind", "why")))

    assert codes_in(effects, socket) == ["file_behind"]
    assert story.closed(socket) == 4409


def test_page_of_a_device_that_reads_along_follows_the_batch(story: HubStory) -> None:
    """The store reads it right behind the batch; when this is judged nothing has to be read once more."""
    reader = story.live(hello(checkpoints={OWN: 1}))
    writer = story.live(hello(device=OTHER_DEVICE, checkpoints={OWN: 1}), session="other")
    effects = story.say(writer, push(1))
    assert [type(each) for each in effects] == [PushBatch, ReadPage]
    assert effects[1].socket == reader

    effects = story.judge(writer, 1, OWN)
    assert not any(isinstance(each, ReadPage) and each.socket == reader for each in effects)
    effects = story.read(reader, page({OWN: 2}))
    assert [type(each) for each in effects] == [Send]


def test_page_that_was_read_before_a_batch_is_followed_by_another(story: HubStory) -> None:
    """A batch that came while a page was being read for another one is not in it (I6)."""
    reader = story.live(hello(checkpoints={OWN: 1}))
    writer = story.live(hello(device=OTHER_DEVICE, checkpoints={OWN: 1}), session="other")
    story.say(writer, push(1))
    story.say(writer, push(2))
    story.judge(writer, 1, OWN)
    story.judge(writer, 2, OWN)
    effects = story.read(reader, page({OWN: 2}))
    assert [each.cursors for each in effects if isinstance(each, ReadPage)] == [{OWN: 2}]


def test_pages_are_not_read_ahead_for_many(story: HubStory) -> None:
    """Where many share a partition, only what a batch has touched is read."""
    for number in range(READ_ALONG + 1):
        story.live(hello(device=f"{number:016x}", checkpoints={OWN: 1}), session=f"s{number}")
    writer = story.live(hello(device=OTHER_DEVICE, checkpoints={OWN: 1}), session="other")
    assert [type(each) for each in story.say(writer, push(1))] == [PushBatch]
    assert (
        len([e for e in story.judge(writer, 1, OWN) if isinstance(e, ReadPage)]) == READ_ALONG + 2
    )
