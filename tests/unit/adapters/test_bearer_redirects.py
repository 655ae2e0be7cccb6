"""A redirect carries the token to no other origin, and what is repeated is what was refused."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from syncauth.adapters.bearer_auth import make_auth
from syncauth.adapters.bearer_origins import read_origins
from syncauth.errors import InvalidConfig
from tests.support.bearer_clients import Caller, auth_for, each_caller
from tests.support.bearer_server import BearerServer, serving
from tests.support.token_source import CountingTokens

KINDS = pytest.mark.parametrize("status", [301, 302, 303, 307, 308])


@pytest.fixture
def server() -> Iterator[BearerServer]:
    """A listed server, which takes the first token."""
    with serving() as server:
        server.takes_only("token-1")
        yield server


@pytest.fixture
def other() -> Iterator[BearerServer]:
    """A server at another port, which is another origin."""
    with serving() as server:
        yield server


@each_caller
@KINDS
def test_within_one_origin_the_token_stays(
    caller: Caller, server: BearerServer, status: int
) -> None:
    """A redirect to another path of the same origin is followed with the token: the receiver is the same."""
    tokens = CountingTokens()
    server.redirects["/notes"] = (status, "/notes/")
    auth = auth_for(tokens, server.url)

    answer = caller.send("GET", f"{server.url}/notes", auth=auth, follow_redirects=True)

    assert answer.status_code == 200
    assert server.shown() == ["Bearer token-1"] * 2
    assert tokens.renewals == 0
    assert "Authorization" not in answer.request.headers


@each_caller
@KINDS
@pytest.mark.parametrize("listed", [False, True], ids=["to an unlisted", "to a listed"])
def test_to_another_origin_it_is_not_carried(
    caller: Caller, server: BearerServer, other: BearerServer, status: int, listed: bool
) -> None:
    """I10: a redirect never carries the token to another origin; the 401 there does not count against the token."""
    tokens = CountingTokens()
    server.redirects["/notes"] = (status, f"{other.url}/elsewhere")
    origins = [server.url, other.url] if listed else [server.url]
    auth = auth_for(tokens, *origins)

    answer = caller.send("GET", f"{server.url}/notes", auth=auth, follow_redirects=True)

    assert answer.status_code == 401
    assert server.shown() == ["Bearer token-1"]
    assert other.shown() == [None]
    assert tokens.renewals == 0


@each_caller
def test_from_clear_text_to_tls_it_is_not_carried(
    caller: Caller, server: BearerServer, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """I10: https at another port is another origin, also on the same host."""
    at_server, at_client = contexts
    with serving(at_server) as safe:
        server.redirects["/"] = (307, f"{safe.url}/")
        auth = auth_for(CountingTokens(), server.url)

        caller.send("GET", server.url, auth=auth, follow_redirects=True, verify=at_client)

        assert server.shown() == ["Bearer token-1"]
        assert safe.shown() == [None]


@each_caller
def test_from_tls_to_clear_text_it_is_not_carried(
    caller: Caller, server: BearerServer, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """I10: a redirect that leaves TLS takes no token along, also not to a listed origin."""
    at_server, at_client = contexts
    with serving(at_server) as safe:
        safe.redirects["/"] = (307, f"{server.url}/")
        auth = auth_for(CountingTokens(), server.url, safe.url)

        caller.send("GET", safe.url, auth=auth, follow_redirects=True, verify=at_client)

        assert safe.shown() == ["Bearer token-1"]
        assert server.shown() == [None]


def test_the_port_at_which_clients_upgrade_is_listed_with_its_partner() -> None:
    """I10: clients carry the header from http on port 80 to https on port 443, which must therefore be listed too."""
    tokens = CountingTokens()

    with pytest.raises(InvalidConfig, match="https://localhost") as caught:
        make_auth(tokens, read_origins(["http://localhost"]))

    assert caught.value.setting == "origins"
    make_auth(tokens, read_origins(["http://localhost", "https://localhost"]))
    make_auth(tokens, read_origins(["http://localhost:8080"]))


@each_caller
def test_a_chain_of_redirects_loses_it_for_good(
    caller: Caller, server: BearerServer, other: BearerServer
) -> None:
    """I10: whoever redirects back to the listed origin does not bring the token into play again."""
    server.redirects["/out"] = (307, f"{other.url}/back")
    other.redirects["/back"] = (307, f"{server.url}/in")
    auth = auth_for(CountingTokens(), server.url)

    answer = caller.send("GET", f"{server.url}/out", auth=auth, follow_redirects=True)

    assert answer.status_code == 401
    assert server.shown() == ["Bearer token-1", None]
    assert other.shown() == [None]


@each_caller
def test_only_the_refused_step_is_repeated(caller: Caller, server: BearerServer) -> None:
    """After 303 the order has been made: the page that the redirect names is asked for again, not the order."""
    tokens = CountingTokens()
    server.redirects["/orders"] = (303, "/orders/5")
    server.takes_only("token-2")
    auth = auth_for(tokens, server.url)

    answer = caller.send(
        "POST", f"{server.url}/orders", auth=auth, json={"a": 1}, follow_redirects=True
    )

    assert answer.status_code == 200
    assert [(each.method, each.path) for each in server.seen] == [
        ("POST", "/orders"),
        ("GET", "/orders/5"),
        ("GET", "/orders/5"),
    ]
    assert server.shown() == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


@each_caller
def test_a_body_that_a_redirect_kept_is_sent_again(caller: Caller, server: BearerServer) -> None:
    """After 307 the body is the first request's, which is in memory and can be repeated."""
    server.redirects["/a"] = (307, "/b")
    server.takes_only("token-2")
    auth = auth_for(CountingTokens(), server.url)

    answer = caller.send(
        "POST", f"{server.url}/a", auth=auth, content=b"words", follow_redirects=True
    )

    assert answer.status_code == 200
    assert [(each.path, each.body) for each in server.seen] == [
        ("/a", b"words"),
        ("/b", b"words"),
        ("/b", b"words"),
    ]


@each_caller
def test_the_request_that_the_app_may_follow_bears_none(
    caller: Caller, server: BearerServer, other: BearerServer
) -> None:
    """I10: with redirects not followed, the request that the client offers holds no token, wherever it leads."""
    for place in ("/b", f"{other.url}/"):
        server.redirects["/a"] = (307, place)
        answer = caller.send("GET", f"{server.url}/a", auth=auth_for(CountingTokens(), server.url))

        assert answer.status_code == 307
        assert "Authorization" not in answer.next_request.headers
