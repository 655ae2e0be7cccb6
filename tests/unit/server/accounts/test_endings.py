"""Who waits for the end of a session is told, and forgotten when it waits no longer."""

from __future__ import annotations

import asyncio

from syncauth.server.accounts.endings import Endings


async def test_all_who_wait_for_a_session_are_told() -> None:
    """Each future of the session is done at once, those of others are not, and none is kept."""
    endings = Endings()
    one, two, other = endings.of("a"), endings.of("a"), endings.of("b")

    endings.tell(["a", "unknown"])
    endings.tell(["a"])

    assert one.done()
    assert two.done()
    assert not other.done()
    await asyncio.sleep(0)
    assert len(endings) == 1
    other.cancel()
    await asyncio.sleep(0)
    assert len(endings) == 0


async def test_who_waits_no_longer_is_not_told() -> None:
    """A cancelled future is neither told nor kept, also when both happen in one turn."""
    endings = Endings()
    gone, waiting = endings.of("a"), endings.of("a")

    gone.cancel()
    endings.tell(["a"])

    assert gone.cancelled()
    assert waiting.done()
    await asyncio.sleep(0)
    assert len(endings) == 0
