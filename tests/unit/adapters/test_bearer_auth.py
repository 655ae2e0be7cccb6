"""The app's own requests bear the token where they should, and a refused one is renewed and repeated once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import httpx
import httpx2
import pytest

from syncauth.errors import ReloginRequiredError, SyncAuthError, TokenUnavailableError
from tests.support.bearer_clients import Caller, auth_for, each_caller
from tests.support.bearer_server import BearerServer, serving
from tests.support.token_source import CountingTokens

MANY = 1000


@pytest.fixture
def server() -> Iterator[BearerServer]:
    """A listed server, which takes the first token."""
    with serving() as server:
        server.takes_only("token-1")
        yield server


@each_caller
def test_a_listed_origin_gets_the_token(caller: Caller, server: BearerServer) -> None:
    """A request to a listed origin bears the token, and nobody is asked to renew it."""
    tokens = CountingTokens()

    answer = caller.send("GET", server.url, auth=auth_for(tokens, server.url))

    assert answer.status_code == 200
    assert server.shown() == ["Bearer token-1"]
    assert tokens.renewals == 0


@each_caller
def test_any_other_origin_gets_none(caller: Caller, server: BearerServer) -> None:
    """I10: a request to an origin that is not listed passes without the token, and its 401 is its own."""
    tokens = CountingTokens()

    answer = caller.send("GET", server.url, auth=auth_for(tokens, "https://api.example.com"))

    assert answer.status_code == 401
    assert server.shown() == [None]
    assert tokens.renewals == 0


@each_caller
def test_a_header_of_the_app_is_left_alone(caller: Caller, server: BearerServer) -> None:
    """Where the app has set `Authorization`, that is what is sent, once, and it is still there afterwards."""
    tokens = CountingTokens()
    auth = auth_for(tokens, server.url)

    answer = caller.send("GET", server.url, auth=auth, headers={"authorization": "Basic eA=="})

    assert answer.status_code == 401
    assert server.shown() == ["Basic eA=="]
    assert answer.request.headers["Authorization"] == "Basic eA=="
    assert tokens.renewals == 0


@each_caller
def test_a_user_in_the_address_gets_no_token(caller: Caller, server: BearerServer) -> None:
    """I10: an address with a user or a password asks for something else than the token."""
    url = server.url.replace("//", "//ann:secret@")

    caller.send("GET", url, auth=auth_for(CountingTokens(), server.url))

    assert "Bearer token-1" not in server.shown()


@each_caller
def test_a_refused_token_is_renewed_and_the_request_repeated(
    caller: Caller, server: BearerServer
) -> None:
    """After a 401 the same request goes out again with the renewed token."""
    tokens = CountingTokens()
    server.takes_only("token-2")

    answer = caller.send("PUT", server.url, auth=auth_for(tokens, server.url), json={"a": 1})

    assert answer.status_code == 200
    assert server.shown() == ["Bearer token-1", "Bearer token-2"]
    assert server.seen[0].body == server.seen[1].body != b""
    assert tokens.renewals == 1


@each_caller
def test_a_request_is_never_repeated_twice(caller: Caller, server: BearerServer) -> None:
    """A server that goes on answering 401 sees the request twice, and the app gets the second 401."""
    tokens = CountingTokens()
    server.takes_only()

    answer = caller.send("GET", server.url, auth=auth_for(tokens, server.url))

    assert answer.status_code == 401
    assert server.shown() == ["Bearer token-1", "Bearer token-2"]
    assert tokens.renewals == 1


@each_caller
def test_without_a_usable_token_it_is_renewed_first(caller: Caller, server: BearerServer) -> None:
    """A token known to be dead is not shown to anybody."""
    tokens = CountingTokens()
    tokens.dead.add("token-1")
    server.takes_only("token-2")

    answer = caller.send("GET", server.url, auth=auth_for(tokens, server.url))

    assert answer.status_code == 200
    assert server.shown() == ["Bearer token-2"]


@each_caller
@pytest.mark.parametrize("known", [True, False], ids=["known before", "told by 401"])
@pytest.mark.parametrize(
    "failure",
    [
        TokenUnavailableError("no token now", retry_at=None, online=False),
        ReloginRequiredError(user_id="u1", reason="expired"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_what_renewing_says_reaches_the_app(
    caller: Caller, server: BearerServer, failure: SyncAuthError, known: bool
) -> None:
    """Without a token the request raises what the session says, and holds no token (I10)."""
    tokens = CountingTokens()
    tokens.failure = failure
    server.takes_only("another")
    if known:
        tokens.dead.add("token-1")

    with pytest.raises(type(failure)) as caught:
        caller.send("GET", server.url, auth=auth_for(tokens, server.url))

    assert len(server.seen) == (0 if known else 1)
    assert "token-1" not in "".join(traceback.format_exception(caught.value))


@each_caller
def test_a_request_can_be_sent_again(caller: Caller, server: BearerServer) -> None:
    """A request object holds no token afterwards, so that it goes out with the present one when it is sent again."""
    tokens = CountingTokens()
    auth = auth_for(tokens, server.url)
    request = caller.library.Request("GET", server.url)
    server.takes_only("token-2", "token-3")

    caller.send_twice(request, auth=auth)
    server.takes_only("token-3")
    answer = caller.send_twice(request, auth=auth)

    assert answer.status_code == 200
    assert server.shown()[-2:] == ["Bearer token-3"] * 2
    assert "Authorization" not in answer.request.headers
    assert all("Authorization" not in each.request.headers for each in answer.history)


@each_caller
def test_an_answer_can_be_streamed(caller: Caller, server: BearerServer) -> None:
    """The answer to the repeated request is not read before the app reads it."""
    tokens = CountingTokens()
    server.takes_only("token-2")
    auth = auth_for(tokens, server.url)
    if caller.asynchronous:

        async def read() -> bytes:
            async with (
                caller.library.AsyncClient(auth=auth, trust_env=False) as client,
                client.stream("GET", server.url) as answer,
            ):
                assert not answer.is_stream_consumed
                return b"".join([part async for part in answer.aiter_bytes()])

        body = asyncio.run(read())
    else:
        with (
            caller.library.Client(auth=auth, trust_env=False) as client,
            client.stream("GET", server.url) as answer,
        ):
            assert not answer.is_stream_consumed
            body = b"".join(answer.iter_bytes())

    assert body == b"{}"


@pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda library: library.__name__)
async def test_a_thousand_requests_cause_one_renewal(
    library: ModuleType, server: BearerServer
) -> None:
    """I4: a thousand concurrent requests with a dead token cause one renewal, and each is repeated once."""
    tokens = CountingTokens()
    server.takes_only("token-2")
    auth = auth_for(tokens, server.url)
    few = library.Limits(max_connections=5)  # the pools take their time with hundreds that wait
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                library.AsyncClient(auth=auth, trust_env=False, timeout=None, limits=few)
            )
            for _ in range(20)
        ]
        answers = await asyncio.gather(
            *(client.get(server.url) for client in clients for _ in range(MANY // 20))
        )

    first, second = server.count()["Bearer token-1"], server.count()["Bearer token-2"]
    assert [answer.status_code for answer in answers] == [200] * MANY
    assert tokens.renewals == 1
    assert second == MANY
    assert len(server.seen) == first + MANY <= 2 * MANY


@pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda library: library.__name__)
def test_threads_share_one_renewal(library: ModuleType, server: BearerServer) -> None:
    """I4: twenty threads with the same dead token wait for one renewal, and none sends its request a third time."""
    tokens = CountingTokens()
    tokens.may_renew.clear()
    server.takes_only("token-2")
    auth = auth_for(tokens, server.url)
    with (
        library.Client(auth=auth, trust_env=False, timeout=10) as client,
        ThreadPoolExecutor(20) as pool,
    ):
        asked = [pool.submit(client.get, server.url) for _ in range(20)]
        limit = threading.Event()
        while tokens.waiting < 20:
            assert not limit.wait(0.01)
        tokens.may_renew.set()
        answers = [each.result(10) for each in asked]

    assert {answer.status_code for answer in answers} == {200}
    assert tokens.renewals == 1
    assert server.count()["Bearer token-1"] >= 1
    assert server.count()["Bearer token-2"] == 20


@each_caller
def test_no_token_is_printed(
    caller: Caller, server: BearerServer, caplog: pytest.LogCaptureFixture
) -> None:
    """I10: neither the auth nor the answer nor the most talkative log of the library shows a token."""
    tokens = CountingTokens()
    server.takes_only("token-2")
    auth = auth_for(tokens, server.url)
    with caplog.at_level(logging.DEBUG):
        answer = caller.send("GET", server.url, auth=auth)

    told = [repr(auth), str(auth), repr(answer), repr(answer.request.headers), caplog.text]
    assert not any("token-" in text for text in told)
    assert server.url.removeprefix("http://") in repr(auth)
