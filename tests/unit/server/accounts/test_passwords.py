"""Passwords are hashed with argon2id at the OWASP cost, off the loop, and in bounded parallel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from argon2 import Parameters, PasswordHasher, extract_parameters

from syncauth.errors import Closed, ServerBusy
from syncauth.models import Secret
from syncauth.server.accounts.passwords import LONGEST_LINE, Passwords


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """The cheap kind, for tests that do not look at the cost."""
    made = Passwords("low")
    yield made
    made.close()


def test_right_password_alone_verifies(passwords: Passwords) -> None:
    """The password that was hashed verifies, another one, none and a broken hash do not."""

    async def story() -> list[bool]:
        known = await passwords.hash(Secret("correct horse"))
        return [
            await passwords.verify(known, Secret("correct horse")),
            await passwords.verify(known, Secret("correct hors")),
            await passwords.verify(None, Secret("correct horse")),
            await passwords.verify(None, Secret("no account has this hash")),
            await passwords.verify("$argon2id$broken", Secret("correct horse")),
        ]

    assert asyncio.run(story()) == [True, False, False, False, False]


def test_same_password_gives_different_hashes(passwords: Passwords) -> None:
    """Every hash has its own salt."""

    async def story() -> tuple[str, str]:
        return await passwords.hash(Secret("x")), await passwords.hash(Secret("x"))

    first, second = asyncio.run(story())
    assert first != second


def test_cost_is_the_owasp_cost() -> None:
    """The default is argon2id with 19 MiB, two passes and one lane."""
    passwords = Passwords("owasp")
    encoded = asyncio.run(passwords.hash(Secret("x")))
    passwords.close()

    parameters = extract_parameters(encoded)
    assert encoded.startswith("$argon2id$")
    assert parameters.memory_cost == 19 * 1024
    assert parameters.time_cost == 2
    assert parameters.parallelism == 1


def test_unknown_account_costs_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verifying for nobody does one hashing with the parameters of a real account's."""
    work: list[Parameters] = []
    verify = PasswordHasher.verify

    def note(hasher: PasswordHasher, encoded: str, password: str) -> bool:
        work.append(extract_parameters(encoded))
        return bool(verify(hasher, encoded, password))

    monkeypatch.setattr(PasswordHasher, "verify", note)
    passwords = Passwords("owasp")

    async def story() -> None:
        account = await passwords.hash(Secret("right"))
        await passwords.verify(account, Secret("wrong"))
        await passwords.verify(None, Secret("wrong"))

    asyncio.run(story())
    passwords.close()
    assert len(work) == 2
    assert work[0] == work[1]


def test_loop_stays_free(passwords: Passwords) -> None:
    """While passwords are hashed the event loop goes on doing other work."""

    async def story() -> int:
        hashing = asyncio.gather(*(passwords.hash(Secret("x")) for _ in range(20)))
        turns = 0
        while not hashing.done():
            turns += 1
            await asyncio.sleep(0)
        await hashing
        return turns

    assert asyncio.run(story()) > 1


def test_line_is_bounded() -> None:
    """A call that the line cannot hold is told when to come back; the others are served."""
    passwords = Passwords("low")

    async def story() -> tuple[int, list[float | None]]:
        calls = [passwords.hash(Secret("x")) for _ in range(LONGEST_LINE + 3)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        refused = [error.retry_after for error in results if isinstance(error, ServerBusy)]
        await passwords.hash(Secret("x"))  # the line has emptied
        return len(results) - len(refused), refused

    served, refused = asyncio.run(story())
    passwords.close()
    assert served == LONGEST_LINE
    assert refused == [1.0, 1.0, 1.0]


async def test_who_stands_in_the_line_at_the_end_is_told() -> None:
    """At the end of a server a hashing that has begun ends; those in the line and behind it raise `Closed`."""
    passwords = Passwords("low")
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(_hashed(passwords)) for _ in range(20)]
        await asyncio.sleep(0)
        passwords.close()
    ended = [task.result() for task in waiting]

    assert set(ended) <= {"hashed", "closed"}
    assert await _hashed(passwords) == "closed"
    assert passwords.line == 0


async def _hashed(passwords: Passwords) -> str:
    try:
        await passwords.hash(Secret("correct horse"))
    except Closed:
        return "closed"
    return "hashed"
