"""The server's clock is read from any answer, without a token, within a deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from syncauth.adapters.http_date import measure_skew
from syncauth.errors import InsecureServer, InvalidConfig, ServerUnreachable, UnexpectedAnswer
from tests.support.odd_server import OddServer, answer, hang_up, silence

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
SECONDS = 1_700_000_000.0


class StoppedClock:
    """A clock that stands."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> float:
        return self._seconds

    def wall(self) -> float:
        return self._seconds


@pytest.fixture
async def odd() -> AsyncIterator[OddServer]:
    server = OddServer()
    await server.start()
    yield server
    await server.stop()


@pytest.mark.parametrize("status", [200, 302, 404, 500])
async def test_any_answer_tells_the_clock(odd: OddServer, status: int) -> None:
    """The difference is the server's clock less ours, whatever the answer says otherwise."""
    odd.reply("/", answer(status, Date=DATE, Location="http://192.0.2.1/"))

    skew = await measure_skew(odd.url, StoppedClock(SECONDS - 100), deadline=5)

    assert abs(skew.seconds - 100) <= skew.uncertainty == 1.0
    (request,) = odd.requests
    assert "authorization" not in request.headers


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}, {"Date": ""}])
async def test_answer_without_a_date(odd: OddServer, headers: dict[str, str]) -> None:
    """An answer whose date cannot be read is no clock."""
    odd.reply("/", answer(200, **headers))

    with pytest.raises(UnexpectedAnswer):
        await measure_skew(odd.url, StoppedClock(SECONDS), deadline=5)


async def test_nobody_answers(odd: OddServer) -> None:
    """Silence ends with the deadline, a broken connection at once; both are unreachable."""
    odd.reply("/", silence)
    with pytest.raises(ServerUnreachable, match="in time"):
        await measure_skew(odd.url, StoppedClock(SECONDS), deadline=0.2)
    odd.reply("/", hang_up)
    with pytest.raises(ServerUnreachable, match="broke"):
        await measure_skew(odd.url, StoppedClock(SECONDS), deadline=5)


@pytest.mark.parametrize(
    ("url", "error"), [("http://192.0.2.1", InsecureServer), ("nothing", InvalidConfig)]
)
async def test_only_safe_servers_are_asked(url: str, error: type[Exception]) -> None:
    """Plain http goes to loopback alone."""
    with pytest.raises(error):
        await measure_skew(url, StoppedClock(SECONDS), deadline=1)
