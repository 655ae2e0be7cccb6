"""Whatever is presented as a token or published as a key is judged; nothing else comes out, and nothing is told."""

from __future__ import annotations

import asyncio
import base64
import hmac
import http.server
import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from syncauth.errors import FileCorrupt, FileTooNew
from syncauth.models import Secret
from syncauth.server.accounts.foreign_keys import candidates, read_published
from syncauth.server.accounts.foreign_tokens import ForeignFault, ForeignTokens, ForeignUser
from syncauth.server.accounts.issuer import Claims, Issuer, TokenFault, domain_id
from syncauth.server.accounts.jwks import PublishedKeys
from syncauth.server.accounts.key_file import KEY_FILE, KeyFile
from syncauth.server.accounts.signing_keys import SigningKeys
from syncauth.server.settings.issuers import TokenIssuer
from tests.support.odd_input import NESTED, SECRET, altered, documents, frames, judge, texts

NOW = 1_700_000_000.0
ACCESS = {
    "typ": "access",
    "sub": "u",
    "iss": "s",
    "exp": NOW + 60,
    "baas_domain_id": domain_id("app"),
    "user_data": {"a": 1},
}
REFRESH = {
    "typ": "refresh",
    "sub": "u",
    "baas_id": "s",
    "exp": NOW + 60,
    "baas_domain_id": domain_id("app"),
}
ADMIN = {"typ": "admin", "sub": "k", "exp": NOW + 60, "baas_domain_id": domain_id("app")}
FOREIGN = {"iss": "https://id.example", "sub": "u", "aud": ["app"], "exp": NOW + 60, "email": "a@b"}
SHARED = "a-secret-of-thirty-two-bytes-0123456789"
PUBLISHED = {"keys": [ECKey.generate_key("P-256", {"kid": "one"}).as_dict(private=False)]}


ONE_KEY = ECKey.generate_key("P-256").as_dict(private=True) | {"kid": SECRET}


def sign(header: Any, claims: Any, key: Any) -> str:
    """Sign what can be signed; the rest is written as it is, with a signature that is none."""
    try:
        return jwt.encode(header, claims, key)
    except Exception:  # noqa: BLE001 - what cannot be signed comes unsigned
        parts = [json.dumps(part).encode() for part in (header, claims)]
        coded = [base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts]
        return ".".join([*coded, SECRET])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    """The keys of a new server."""
    return SigningKeys(tmp_path_factory.mktemp("data"))


@given(altered({"alg": "ES256", "typ": "JWT", "kid": "k"}), altered(ACCESS, REFRESH, ADMIN), texts)
def test_any_own_token_is_judged(keys: SigningKeys, header: Any, claims: Any, odd: str) -> None:
    """A token, even one with our signature, is good, expired or invalid."""
    issuer, own = Issuer(keys, "app"), keys.signing(NOW)
    ours = {"alg": "ES256", "kid": own.kid}
    signed = [sign(head, claims, own.key) for head in (header, ours)]
    for text in (*signed, odd, f"{odd}.{odd}.{odd}", signed[1] + odd, odd + signed[1]):
        token = Secret(text)
        for verify in (issuer.verify_access, issuer.verify_refresh):
            assert isinstance(verify(token, NOW), Claims | TokenFault)
        admin = issuer.verify_admin(token, NOW)
        assert admin is None or admin == claims["sub"]


def sign_with_secret(header: Any, claims: Any) -> str:
    """Sign with the shared secret by hand, also what a library would not sign, such as NaN."""
    parts = [json.dumps(part).encode() for part in (header, claims)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    digest = hmac.digest(SHARED.encode(), text, "sha256")
    return (text + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> ForeignTokens:
    """An issuer whose key both sides share."""
    file = tmp_path_factory.mktemp("key") / "key"
    file.write_text(SHARED)
    issuer = TokenIssuer(
        "issuers.id", FOREIGN["iss"], ("app",), "HS256", key_file=file, fields=(("email", "e"),)
    )
    return ForeignTokens((issuer,))


@given(altered({"alg": "HS256", "kid": "k"}), altered(FOREIGN), texts)
@example({"alg": "HS256"}, FOREIGN | {"exp": math.nan}, "")
@example({"alg": "HS256"}, FOREIGN | {"exp": math.inf}, "")
def test_any_foreign_token_is_judged(
    foreign: ForeignTokens, header: Any, claims: Any, odd: str
) -> None:
    """A token of another issuer names a user, or is told to be expired or invalid, and no more."""
    tokens = [
        sign_with_secret(header, claims),
        sign_with_secret({"alg": "HS256"}, claims),
        odd,
        f"{odd}.{odd}.{odd}",
    ]
    for token in tokens:
        found = asyncio.run(foreign.verify(Secret(token), "custom-token", wall=NOW, now=0.0))
        if isinstance(found, ForeignUser):
            assert math.isfinite(claims["exp"])
            json.dumps(found.data, allow_nan=False)
        else:
            assert found in {ForeignFault.EXPIRED, ForeignFault.INVALID}


@given(altered(PUBLISHED) | documents, st.sampled_from(["one", "other", None]))
@example({"keys": [1]}, None)
@example({"keys": [{"kty": ["EC"]}]}, "one")
def test_any_key_set_gives_a_key_or_none(content: Any, kid: str | None) -> None:
    """What an issuer publishes is a set with the key in it, or as good as none."""
    if not isinstance(content, dict) or not isinstance(content.get("keys"), list):
        return  # what is fetched has been looked at so far
    for algorithm in ("ES256", "RS256"):
        for found in candidates(read_published(content, algorithm), kid):
            assert found.key_type in {"EC", "RSA"}
            assert kid is None or found.kid in {None, kid}


class Published(http.server.BaseHTTPRequestHandler):
    """Serves whatever the test says."""

    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(type(self).body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    """A server of key sets on loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Published)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join(10)
    server.server_close()


@settings(max_examples=30)
@given(frames(PUBLISHED))
@example(b'{"keys":' + NESTED[0])
@example(b"x" * 300_000)
def test_any_published_document_is_a_key_set_or_none(place: str, body: bytes) -> None:
    """Whatever stands at the address of an issuer's keys, it is an object or counts as not there."""
    Published.body = body
    found = asyncio.run(PublishedKeys(url=place).renewed(0.0))

    assert found is None or isinstance(found["keys"], list)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(frames(ONE_KEY, {"format": 2, "signing": ONE_KEY, "following": ONE_KEY, "retired": []}))
def test_any_key_file_is_a_ring_or_corrupt(tmp_path: Path, content: bytes) -> None:
    """The server's own key file is read, or told to be damaged without a part of it, and left as it is."""
    file = tmp_path / KEY_FILE
    file.touch(0o600)
    file.write_bytes(content)
    judge(KeyFile(tmp_path).read, FileCorrupt, FileTooNew)

    assert file.read_bytes() == content
