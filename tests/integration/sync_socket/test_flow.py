"""What flows on the sync socket: batches, results, pages and checkpoints."""

from __future__ import annotations

from pathlib import Path

from syncauth.sansio.messages import (
    BatchMark,
    Changes,
    Checkpoint,
    Error,
    PushResult,
    Received,
    Renew,
    Renewed,
    Subscribe,
    decode_sections,
    digest_of,
    encode_sections,
)
from tests.support.socket_device import NOTES, Account, device, rows_of


async def test_changes_travel_between_two_devices(ann: Account) -> None:
    """What one device pushes is judged for it and comes to the other, and the other way."""
    async with device(ann, "a") as phone, device(ann, "b") as tablet:
        await phone.greet()
        await tablet.greet()
        assert await phone.catch_up() == await tablet.catch_up() == []

        result = await phone.judged(phone.insert(("1", "from the phone")))
        (section,) = decode_sections((await tablet.hear_a(Changes)).sections)
        life = section.rows[0][1]
        await tablet.judged(tablet.update("1", "from the tablet", life=life, hlc=2))
        while True:
            page = await phone.hear_a(Changes)
            answer = decode_sections(page.sections)
            if answer:
                break

    assert (result.batch, result.refused) == (1, [])
    assert (section.kind, section.partition) == ("row", ann.partition)
    assert section.rows[0][0] == "1"
    assert section.rows[0][-1] == "from the phone"
    assert answer[0].rows[0][-1] == "from the tablet"
    assert page.complete


async def test_every_subscribe_has_its_checkpoint(ann: Account) -> None:
    """Hello and each subscribe are answered by one checkpoint, which covers what was pushed."""
    async with device(ann) as phone:
        await phone.greet()
        await phone.push(phone.insert(("1", "a")))
        await phone.say(Subscribe([NOTES]))
        await phone.say(Subscribe([NOTES]))
        checkpoints = [await phone.hear_a(Checkpoint) for _ in range(3)]

    versions = [each.checkpoints[ann.partition] for each in checkpoints]
    assert versions == sorted(versions)
    assert versions[-1] > 0


async def test_slow_reader_gets_two_pages_and_the_rest_when_it_confirms(ann: Account) -> None:
    """A first download goes on only as pages are confirmed, and ends complete and exact."""
    count = 10_000
    async with device(ann, "a") as writer:
        await writer.greet()
        rows = [(f"{number:05}", "x" * 20) for number in range(count)]
        await writer.judged(writer.insert(*rows))
    async with device(ann, "b") as reader:
        await reader.greet()
        first, second = await reader.hear(), await reader.hear()
        assert isinstance(first, Changes)
        assert isinstance(second, Changes)
        assert not second.complete
        # The third page waits: the answer to this renewal overtakes it.
        await reader.say(Renew(ann.access))
        assert isinstance(await reader.hear(), Renewed)
        await reader.say(Received(second.cursors, 0))
        sections = await reader.catch_up()
        for page in (first, second):
            sections += decode_sections(page.sections)

    keys = [row[0] for section in sections for row in section.rows]
    assert len(keys) == count
    assert set(keys) == {key for key, _ in rows}


async def test_lost_answer_is_given_again(ann: Account) -> None:
    """A device that lost the answer learns it in welcome, and again for the same batch."""
    async with device(ann) as phone:
        await phone.greet()
        section = phone.insert(("1", "a"))
        first = await phone.judged(section)
    digest = digest_of(encode_sections([section]))

    async with device(ann) as phone:
        welcome = await phone.greet(connection=2, highest=BatchMark(1, digest))
        await phone.push(section, batch=1)
        again = await phone.hear_a(PushResult)

    assert welcome.last == 1
    assert welcome.results == [first] == [again.result]


async def test_gap_in_the_numbers_applies_nothing(ann: Account, tmp_path: Path) -> None:
    """A batch that is not the next one is out of order; the next one is then applied."""
    async with device(ann) as phone:
        await phone.greet()
        await phone.push(phone.insert(("2", "b")), batch=2)
        error = await phone.hear_a(Error)
        await phone.judged(phone.insert(("1", "a")))

    assert (error.code, error.last) == ("out_of_order", 0)
    assert rows_of(tmp_path) == [(ann.partition, "1", "a")]
