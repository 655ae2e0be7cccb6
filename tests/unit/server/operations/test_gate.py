"""A server that is about to end waits for what is under way, for no longer than it may."""

from __future__ import annotations

import asyncio

from syncauth.server.operations.gate import Gate


async def until_waiting(gate: Gate) -> None:
    """Let a drain begin."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert gate.draining


async def test_drain_waits_for_requests_under_way() -> None:
    """It ends when the last request has ended and the sockets have been sent away."""
    gate, gone = Gate(1.0), asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        gate.enter()
        gate.enter()
        assert gate.under_way == 2
        draining = tasks.create_task(gate.drain(gone.wait, 60))
        await until_waiting(gate)
        gone.set()
        gate.leave()
        await asyncio.sleep(0)
        assert not draining.done()
        gate.leave()
        await draining


async def test_drain_has_a_limit() -> None:
    """What never ends is waited for until the time is up, and not longer."""
    gate = Gate(1.0)
    gate.enter()
    async with asyncio.timeout(10):
        await gate.drain(asyncio.Event().wait, 0.01)

    assert gate.draining


async def test_a_hurried_drain_ends_at_once() -> None:
    """Whoever hurries before or while it waits is obeyed."""
    gate = Gate(1.0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        gate.enter()
        draining = tasks.create_task(gate.drain(asyncio.Event().wait, 60))
        await until_waiting(gate)
        gate.hurry()
        gate.hurry()
        await draining
        await gate.drain(asyncio.Event().wait, 60)


async def test_whoever_hurries_late_breaks_nothing() -> None:
    """A drain that has ended in time cannot be hurried, and hurrying then is no error."""
    gate = Gate(1.0)

    async def nobody() -> None:
        pass

    await gate.drain(nobody, 60)
    gate.hurry()


async def test_all_who_wait_are_hurried() -> None:
    """Who runs the server and who closes it may both wait: neither goes on waiting."""
    gate = Gate(1.0)
    gate.enter()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(gate.drain(asyncio.Event().wait, 60))
            await until_waiting(gate)
        gate.hurry()
