"""200 attackers at once: every limit holds as it does one after the other, and nobody else is touched."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.integration.sync_socket.conftest import Start
from tests.support.socket_device import APP, BASE, Account, device, open_socket

ATTACKERS = 200
CALLS = 2
PROVIDER = f"{APP}/auth/providers/local-userpass"
OFFICE, HOME = "127.0.7.1", "127.0.0.1"

BURST, PER_MINUTE = 10, 60
LIMITS = f"""
login_burst = {BURST}
logins_per_minute = {PER_MINUTE}
failure_burst = {BURST}
failures_per_minute = {PER_MINUTE}
register_burst = {BURST}
registrations_per_minute = {PER_MINUTE}
refresh_burst = {BURST}
refreshes_per_minute = {PER_MINUTE}
sockets_per_user = {BURST}
"""

Attack = Callable[[httpx.AsyncClient, int, int], Awaitable[httpx.Response]]


@dataclass
class Outcome:
    """What the attackers got, and in how many seconds."""

    seconds: float
    answers: list[httpx.Response] = field(repr=False)

    def passed(self) -> int:
        """Count the calls that were not slowed down; each that was is told for how long."""
        for answer in self.answers:
            assert answer.status_code < 500, answer.text
            if answer.status_code == 429:
                assert answer.json()["error_code"] == "TooManyRequests"
                assert int(answer.headers["retry-after"]) >= 1
        return sum(answer.status_code != 429 for answer in self.answers)

    def allowed(self) -> float:
        """Return how many a limit lets pass in that time."""
        return BURST + PER_MINUTE / 60 * self.seconds + 1


async def attack(url: str, addresses: Sequence[str], call: Attack) -> Outcome:
    """Let all attackers call at once, each several times, from these addresses in turn."""
    async with AsyncExitStack() as open_clients:
        clients = [
            await open_clients.enter_async_context(
                httpx.AsyncClient(
                    base_url=url,
                    timeout=60,
                    transport=httpx.AsyncHTTPTransport(
                        local_address=addresses[place % len(addresses)]
                    ),
                )
            )
            for place in range(ATTACKERS)
        ]
        begun = time.monotonic()
        answers = await asyncio.gather(
            *(
                call(client, place, again)
                for again in range(CALLS)
                for place, client in enumerate(clients)
            )
        )
        return Outcome(time.monotonic() - begun, answers)


def guess(client: httpx.AsyncClient, name: str, password: str) -> Awaitable[httpx.Response]:
    """Try to log in."""
    return client.post(f"{PROVIDER}/login", json={"username": name, "password": password})


def log_in(url: str, address: str) -> httpx.Response:
    """Log in rightfully from an address."""
    body = {"username": "ann@example.com", "password": "correct horse"}
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address)) as client:
        return client.post(f"{url}{PROVIDER}/login", json=body)


@pytest.fixture
def url(start: Start) -> str:
    """A server with narrow limits."""
    return start(limits=LIMITS).url


async def test_guesses_at_one_account_are_slowed_down(url: str) -> None:
    """So many guesses pass as one attacker would have; the owner, elsewhere, and its socket notice nothing."""
    ann = Account.log_in(url, "ann")
    async with device(ann) as phone:
        await phone.greet()
        await phone.catch_up()

        outcome = await attack(
            url,
            [OFFICE],
            lambda client, _, again: guess(client, "ann@example.com", f"guess{again}"),
        )
        result = await phone.judged(phone.insert(("1", "written meanwhile")))

    assert BURST <= outcome.passed() <= outcome.allowed()
    assert result.refused == []
    assert log_in(url, HOME).status_code == 200
    assert ann.renew().access


async def test_one_guess_at_each_of_many_accounts_is_slowed_down(url: str) -> None:
    """Whoever tries one password at many accounts is slowed down as well."""
    Account.log_in(url, "ann")

    outcome = await attack(
        url, [OFFICE], lambda client, place, again: guess(client, f"u{place}-{again}", "password1")
    )

    assert BURST <= outcome.passed() <= outcome.allowed()
    assert log_in(url, HOME).status_code == 200


async def test_guesses_from_many_addresses_lock_nobody_out(url: str) -> None:
    """From as many addresses each has its own pace; the owner is not among them and gets in."""
    Account.log_in(url, "ann")
    addresses = [f"127.0.8.{place + 1}" for place in range(10)]

    outcome = await attack(
        url, addresses, lambda client, _, again: guess(client, "ann@example.com", f"guess{again}")
    )

    assert outcome.passed() <= len(addresses) * outcome.allowed()
    assert log_in(url, HOME).status_code == 200


async def test_registrations_are_slowed_down(url: str) -> None:
    """So many accounts are made as one attacker would have made, and no account more than answered."""
    outcome = await attack(
        url,
        [OFFICE],
        lambda client, place, again: client.post(
            f"{PROVIDER}/register",
            json={"email": f"u{place}-{again}@example.com", "password": "correct horse"},
        ),
    )

    assert Counter(answer.status_code for answer in outcome.answers).keys() == {201, 429}
    assert BURST <= outcome.passed() <= outcome.allowed()
    assert Account.log_in(url, "ann").access


async def test_refreshes_of_one_session_are_slowed_down(url: str) -> None:
    """A client that loops is slowed down where it is; the session goes on elsewhere, and others do everywhere."""
    Account.log_in(url, "ann")
    body = {"username": "ann@example.com", "password": "correct horse"}
    async with httpx.AsyncClient(base_url=url) as client:
        login = await client.post(f"{PROVIDER}/login", json=body)
    header = {"Authorization": f"Bearer {login.json()['refresh_token']}"}

    outcome = await attack(
        url, [OFFICE], lambda client, _, __: client.post(f"{BASE}/auth/session", headers=header)
    )

    assert Counter(answer.status_code for answer in outcome.answers).keys() == {201, 429}
    assert BURST <= outcome.passed() <= outcome.allowed()
    async with httpx.AsyncClient(base_url=url) as client:
        elsewhere = await client.post(f"{BASE}/auth/session", headers=header)
    assert elsewhere.status_code == 201
    assert Account.log_in(url, "bob").renew().access


async def test_sockets_of_one_user_are_limited(url: str) -> None:
    """Of 200 upgrades at once no more are accepted than allowed; another user gets in, and a place is free again."""
    ann, bob = Account.log_in(url, "ann"), Account.log_in(url, "bob")
    async with AsyncExitStack() as sockets:

        async def enter(_: int) -> InvalidStatus | None:
            try:
                await sockets.enter_async_context(open_socket(url, ann.access))
            except InvalidStatus as refused:
                return refused
            return None

        refusals = await asyncio.gather(*(enter(place) for place in range(ATTACKERS)))
        async with device(bob) as phone:
            welcome = await phone.greet()

    assert refusals.count(None) == BURST
    for refused in filter(None, refusals):
        assert refused.response.status_code == 429
        assert int(refused.response.headers["Retry-After"]) >= 1
    assert welcome.last == 0
    async with device(ann) as phone:
        await phone.greet()
