"""One user and another on the same server (I15)."""

from __future__ import annotations

from pathlib import Path

from syncauth.sansio.messages import Subscribe
from tests.support.socket_device import NOTES, Account, device, rows_of


async def test_another_user_cannot_touch_a_row(ann: Account, tmp_path: Path) -> None:
    """B cannot read, overwrite, delete, capture by key or move A's row (I15)."""
    bob = Account.log_in(ann.url, "bob")
    async with device(ann, "a") as hers, device(bob, "b") as his:
        await hers.greet()
        await hers.judged(hers.insert(("1", "ann's")))
        await his.greet(checkpoints={ann.partition: 0, bob.partition: 0})
        seen = await his.catch_up()
        life = f"{1:016x}{'a' * 16}"
        overwrite = await his.judged(
            his.update("1", "bob's", life=life, hlc=9, partition=ann.partition)
        )
        delete = await his.judged(his.delete("1", life=life, hlc=9, partition=ann.partition))
        unnamed = await his.judged(his.update("1", "moved", life=life, hlc=9))
        capture = await his.judged(his.insert(("1", "bob's own"), hlc=9))
        await his.say(Subscribe([NOTES]))
        seen += await his.catch_up()

    assert seen == []
    assert capture.refused == []
    assert [each.code for each in overwrite.refused] == ["permission_denied"]
    assert [each.code for each in delete.refused] == ["permission_denied"]
    for result in (overwrite, delete, unnamed):
        told = str([section.rows for section in result.rows])
        assert "ann's" not in told
    assert rows_of(tmp_path) == sorted(
        [(ann.partition, "1", "ann's"), (bob.partition, "1", "bob's own")]
    )


async def test_another_user_cannot_advance_a_device(ann: Account) -> None:
    """B naming A's device gets one of its own; A's next batch number stays what it was (I15)."""
    bob = Account.log_in(ann.url, "bob")
    async with device(ann, "a") as hers, device(bob, "a") as his:
        await hers.greet()
        await hers.judged(hers.insert(("1", "ann's")))
        welcome = await his.greet()
        await his.judged(his.insert(("1", "bob's")))
        await his.judged(his.insert(("2", "bob's")))
        result = await hers.judged(hers.insert(("2", "ann's")))

    assert welcome.device != hers.device
    assert (welcome.last, welcome.results) == (0, [])
    assert (result.batch, result.refused) == (2, [])
