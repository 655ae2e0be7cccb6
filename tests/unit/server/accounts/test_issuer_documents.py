"""Documents of issuers over TLS: only from whom the machine trusts, and by no way that the environment names."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from syncauth.server.accounts.issuer_documents import LARGEST, fetch_object
from tests.support.certificates import make_contexts
from tests.support.foreign_issuer import KeyPlace, key_place

DOCUMENT = {"keys": []}


class Door(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(DOCUMENT).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def secure_url(tmp_path: Path) -> Iterator[str]:
    """A server with a certificate for localhost that nobody has heard of, in `certificate.pem`."""
    context, _ = make_contexts(tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign] - refused handshakes
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"https://localhost:{server.server_port}/keys"
        server.shutdown()
        thread.join(10)


@pytest.fixture
def place() -> Iterator[KeyPlace]:
    """A server without TLS."""
    with key_place() as made:
        yield made


async def test_only_a_trusted_certificate_counts(
    secure_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who cannot prove its name gives no keys; whom the machine trusts does."""
    assert await fetch_object(secure_url) is None
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    assert await fetch_object(secure_url) == DOCUMENT
    assert await fetch_object(secure_url.replace("localhost", "127.0.0.1")) is None


async def test_proxies_of_the_environment_are_not_used(
    place: KeyPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is put in between by a variable."""
    with key_place() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.issuer)
        assert await fetch_object(place.url) == DOCUMENT
        assert proxy.asked == 0


@pytest.mark.parametrize(
    ("content", "good"),
    [
        ({"x": "y" * (LARGEST - 20)}, True),
        ({"x": "y" * LARGEST}, False),
        ([], False),
        ("text", False),
        (None, False),
    ],
)
async def test_document_is_one_object_within_the_limit(
    place: KeyPlace, content: Any, good: bool
) -> None:
    """Whatever else comes is as if nothing had come."""
    place.content = content

    assert (await fetch_object(place.url) is not None) is good


@pytest.mark.parametrize("status", [204, 301, 401, 404, 500, 503])
async def test_other_answers_are_none(place: KeyPlace, status: int) -> None:
    """Only 200 has a document."""
    place.status = status

    assert await fetch_object(place.url) is None


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x", "http://", "https://[", "nonsense", "http://a\x00b/", ""]
)
async def test_places_that_are_none(url: str) -> None:
    """An address that leads nowhere raises nothing."""
    assert await fetch_object(url) is None
