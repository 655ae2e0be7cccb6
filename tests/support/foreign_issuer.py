"""An issuer of JSON Web Tokens that is not ours, and a place where it publishes its keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

Key = OctKey | RSAKey | ECKey


def new_key(algorithm: str, kid: str = "k1") -> Key:
    """Make a private key for an algorithm."""
    more: Any = {"kid": kid}
    if algorithm == "HS256":
        return OctKey.generate_key(256, more)
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
    """What a key server answers, and how often it was asked."""

    def __init__(self) -> None:
        self.content: Any = {"keys": []}
        self.asked = 0
        self.url = ""

    def publish(self, *keys: Key) -> None:
        """Show the public halves of these keys."""
        self.content = {"keys": [key.as_dict(private=False) for key in keys]}


@contextmanager
def key_place() -> Iterator[KeyPlace]:
    """Serve keys on loopback."""
    place = KeyPlace()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place.asked += 1
            body = json.dumps(place.content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    place.url = f"http://127.0.0.1:{server.server_port}/keys"
    try:
        yield place
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
