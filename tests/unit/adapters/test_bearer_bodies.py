"""What can be sent once only is sent with a token that lasts, and is not sent twice."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syncauth.errors import BodyNotReplayable, ReloginRequiredError
from tests.support.bearer_clients import Caller, auth_for, each_caller
from tests.support.bearer_server import BearerServer, serving
from tests.support.token_source import CountingTokens

Body = Callable[[bool], dict[str, Any]]


@pytest.fixture
def server() -> Iterator[BearerServer]:
    """A listed server, which takes the second token."""
    with serving() as server:
        server.takes_only("token-2")
        yield server


def parts() -> Iterator[bytes]:
    yield b"some "
    yield b"words"


async def async_parts() -> AsyncIterator[bytes]:
    for part in parts():
        yield part


REPLAYABLE: dict[str, Body] = {
    "none": lambda asynchronous: {},
    "bytes": lambda asynchronous: {"content": b"words"},
    "text": lambda asynchronous: {"content": "words"},
    "json": lambda asynchronous: {"json": {"words": 2}},
    "form": lambda asynchronous: {"data": {"words": "2"}},
}
STREAMS: dict[str, Body] = {
    "generator": lambda asynchronous: {"content": async_parts() if asynchronous else parts()},
    "upload": lambda asynchronous: {"files": {"file": io.BytesIO(b"words")}},
}


@each_caller
@pytest.mark.parametrize("kind", REPLAYABLE)
def test_a_body_in_memory_is_repeated(caller: Caller, server: BearerServer, kind: str) -> None:
    """What the request holds in memory arrives the same both times."""
    tokens = CountingTokens(life=5)  # short, which does not matter to a body that can be repeated
    body = REPLAYABLE[kind](caller.asynchronous)

    answer = caller.send("POST", server.url, auth=auth_for(tokens, server.url), **body)

    assert answer.status_code == 200
    assert server.shown() == ["Bearer token-1", "Bearer token-2"]
    assert server.seen[0].body == server.seen[1].body
    assert tokens.renewals == 1


@each_caller
@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_is_not_repeated(caller: Caller, server: BearerServer, kind: str) -> None:
    """A refused request with a stream raises a typed error once the token is renewed: the next one gets through."""
    tokens = CountingTokens()
    auth = auth_for(tokens, server.url)

    body = STREAMS[kind](caller.asynchronous)
    with pytest.raises(BodyNotReplayable) as caught:
        caller.send("POST", f"{server.url}/notes?key=private", auth=auth, **body)

    assert (caught.value.method, caught.value.origin) == ("POST", server.url)
    assert "private" not in str(caught.value)
    assert server.shown() == ["Bearer token-1"]
    assert tokens.renewals == 1
    again = STREAMS[kind](caller.asynchronous)
    assert caller.send("POST", server.url, auth=auth, **again).status_code == 200


@each_caller
def test_the_end_of_the_session_is_told_rather_than_the_body(
    caller: Caller, server: BearerServer
) -> None:
    """Where a relogin is required, sending the body again would not help, and the error says the former."""
    tokens = CountingTokens()
    tokens.failure = ReloginRequiredError(user_id="u1", reason="expired")
    body = STREAMS["generator"](caller.asynchronous)

    with pytest.raises(ReloginRequiredError):
        caller.send("POST", server.url, auth=auth_for(tokens, server.url), **body)


@each_caller
@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_goes_out_with_a_token_that_lasts(
    caller: Caller, server: BearerServer, kind: str
) -> None:
    """With less than a minute left the token is renewed before a stream is sent, and it is sent once."""
    tokens = CountingTokens()
    tokens.left = 59.0
    body = STREAMS[kind](caller.asynchronous)

    answer = caller.send("POST", server.url, auth=auth_for(tokens, server.url), **body)

    assert answer.status_code == 200
    assert server.shown() == ["Bearer token-2"]
    assert b"words" in server.seen[0].body
    assert tokens.renewals == 1


@each_caller
def test_a_token_that_lasts_is_not_renewed(caller: Caller, server: BearerServer) -> None:
    """With a minute left a stream goes out as it is."""
    tokens = CountingTokens()
    tokens.left = 60.0
    server.takes_only("token-1")
    body = STREAMS["generator"](caller.asynchronous)

    answer = caller.send("POST", server.url, auth=auth_for(tokens, server.url), **body)

    assert answer.status_code == 200
    assert tokens.renewals == 0


@each_caller
def test_short_lived_tokens_are_not_renewed_for_every_stream(
    caller: Caller, server: BearerServer
) -> None:
    """Where a new token lives for 30 s, one that has half of that left is good for a stream."""
    tokens = CountingTokens(life=30.0)
    auth = auth_for(tokens, server.url)
    for left in (30.0, 30.0, 15.0):
        tokens.left = left
        body = STREAMS["generator"](caller.asynchronous)
        assert caller.send("POST", server.url, auth=auth, **body).status_code == 200

    assert tokens.renewals == 1
    tokens.left = 14.0
    server.takes_only("token-3")
    body = STREAMS["generator"](caller.asynchronous)
    assert caller.send("POST", server.url, auth=auth, **body).status_code == 200
    assert tokens.renewals == 2


@each_caller
def test_a_file_is_a_stream(caller: Caller, server: BearerServer, tmp_path: Path) -> None:
    """A file that has been read to its end would be repeated as an empty body, and is not."""
    path = tmp_path / "words"
    path.write_bytes(b"words")
    auth = auth_for(CountingTokens(), server.url)
    with path.open("rb") as file:
        body: Any = _chunks_of(file) if caller.asynchronous else file
        with pytest.raises(BodyNotReplayable):
            caller.send("PUT", server.url, auth=auth, content=body)

    assert [each.body for each in server.seen] == [b"words"]


async def _chunks_of(file: io.BufferedReader) -> AsyncIterator[bytes]:
    yield file.read()


@each_caller
def test_after_a_redirect_to_a_page_nothing_is_left_to_repeat_but_the_page(
    caller: Caller, server: BearerServer
) -> None:
    """After 303 what was refused has no body, so that the stream before it is no obstacle."""
    server.redirects["/orders"] = (303, "/orders/5")
    auth = auth_for(CountingTokens(), server.url)
    body = STREAMS["generator"](caller.asynchronous)

    answer = caller.send("POST", f"{server.url}/orders", auth=auth, follow_redirects=True, **body)

    assert answer.status_code == 200
    assert [each.method for each in server.seen] == ["POST", "GET", "GET"]
