"""An issuer of JSON Web Tokens that is not ours, and a place where it publishes its keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

Key = OctKey | RSAKey | ECKey


def new_key(algorithm: str, kid: str = "k1") -> Key:
    """Make a private key for an algorithm."""
    more: Any = {"kid": kid}
    if algorithm == "HS256":
        return OctKey.import_key(secrets.token_hex(32), more)
    if algorithm == "RS256":
        return RSAKey.generate_key(2048, more)
    return ECKey.generate_key("P-256", more)


def sign(key: Key, algorithm: str, claims: dict[str, Any], **header: Any) -> str:
    """Sign claims as that issuer does."""
    registry = jws.JWSRegistry(algorithms=[algorithm])
    return jwt.encode({"alg": algorithm, **header}, claims, key, registry=registry)


def sign_with_text(secret: bytes, claims: dict[str, Any]) -> str:
    """Sign with HS256 and any bytes, as a forger does with a public key (RFC 8725 section 2.1)."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256"}, claims)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.new(secret, text, hashlib.sha256).digest()
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


class KeyPlace:
    """What a key server answers, and how often it was asked for its keys."""

    def __init__(self) -> None:
        self.content: Any = {"keys": []}
        self.asked = 0
        self._more = threading.Condition()
        self.url = ""
        self.issuer = ""
        self.metadata: Any = {}
        self.status = 200
        self.headers: dict[str, str] = {}
        self.drip: float | None = None
        """Seconds after each byte, so that no single wait is long."""

    def ask(self) -> None:
        """Count a question for the keys."""
        with self._more:
            self.asked += 1
            self._more.notify_all()

    def wait_asked(self, times: int) -> None:
        """Wait until the keys were asked for so often."""
        with self._more:
            assert self._more.wait_for(lambda: self.asked >= times, 10)

    def publish(self, *keys: Key) -> None:
        """Show the public halves of these keys."""
        self.content = {"keys": [key.as_dict(private=False) for key in keys]}

    def set_url(self, url: str) -> None:
        """Be at that place, with metadata as they should be."""
        self.issuer, self.url = url, f"{url}/keys"
        self.metadata = {"issuer": url, "jwks_uri": self.url}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a token for this place's app, with changes; None leaves one out."""
        whole = {
            "iss": self.issuer,
            "sub": "ann",
            "aud": "field-notes",
            "exp": int(time.time()) + 600,
        }
        return {name: value for name, value in {**whole, **changes}.items() if value is not None}


@contextmanager
def key_place() -> Iterator[KeyPlace]:
    """Serve keys and metadata on loopback."""
    place = KeyPlace()
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            well_known = self.path == "/.well-known/openid-configuration"
            if not well_known:
                place.ask()
            body = json.dumps(place.metadata if well_known else place.content).encode()
            self.send_response(200 if well_known else place.status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in place.headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):
                self.write(body)

        def write(self, body: bytes) -> None:
            if place.drip is None:
                self.wfile.write(body)
                return
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if ended.wait(place.drip):
                    return

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    place.set_url(f"http://127.0.0.1:{server.server_port}")
    try:
        yield place
    finally:
        ended.set()
        server.shutdown()
        thread.join(10)
        server.server_close()
