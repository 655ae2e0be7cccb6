"""Other services verify access tokens with the published keys, by libraries that know nothing of syncauth."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import jwt
import pytest

from tests.integration.server_keys.conftest import Start, key_of, published, rotate, wait_for
from tests.support.processes import ROOT, Server
from tests.support.socket_device import Account

PAGE = ROOT / "docs" / "how-to" / "verify-access-tokens.md"
JOSE = ROOT / ".services" / "oauth" / "node_modules" / "jose" / "dist" / "webapi" / "index.js"
PROGRAM = ROOT / "tests" / "support" / "oidc_provider" / "verify.js"
DOMAIN = hashlib.sha256(b"test").hexdigest()[:24]


def place(server: Server) -> str:
    """Return where the keys are."""
    return f"{server.url}/.well-known/jwks.json"


def with_pyjwt(keys: jwt.PyJWKClient, token: str) -> dict[str, object]:
    """Verify a token as services in Python do."""
    key = keys.get_signing_key_from_jwt(token)
    claims: dict[str, object] = jwt.decode(token, key.key, algorithms=["ES256"])
    return claims


def with_jose(server: Server, token: str) -> subprocess.CompletedProcess[str]:
    """Verify a token as services in Node do."""
    assert JOSE.exists(), "run: make services-oauth"
    return subprocess.run(
        [str(shutil.which("node")), str(PROGRAM), JOSE.as_uri(), place(server), DOMAIN],
        input=token,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_keys_are_public_and_may_be_kept(start: Start) -> None:
    """RFC 7517: public parts alone, each with its id and use; caches may keep them for five minutes."""
    answer = httpx.get(place(start()))

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/jwk-set+json"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    keys = answer.json()["keys"]
    assert len(keys) == 2
    for key in keys:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["crv"], key["use"], key["alg"]) == ("P-256", "sig", "ES256")


def test_a_service_that_keeps_the_keys_is_not_surprised(start: Start, tmp_path: Path) -> None:
    """With keys fetched before the rotation tokens of both keys are verified, and nothing is fetched anew."""
    server = start()
    ann = Account.log_in(server.url, "ann")
    kept = jwt.PyJWKSet.from_dict(published(server))
    done = rotate(tmp_path).document
    wait_for(lambda: key_of(Account.log_in(server.url, "ann").access) == done["key"])
    later = Account.log_in(server.url, "ann")

    assert key_of(later.access) != key_of(ann.access)
    for token in (ann.access, later.access):
        claims = jwt.decode(token, kept[key_of(token)].key, algorithms=["ES256"])
        assert claims["sub"] == ann.user
        assert claims["typ"] == "access"
        assert claims["baas_domain_id"] == DOMAIN


@pytest.mark.timeout(180)
def test_independent_verifiers_agree(start: Start, tmp_path: Path) -> None:
    """PyJWT and jose accept our tokens before and after rotations, and refuse those of keys that were revoked."""
    server = start()
    ann = Account.log_in(server.url, "ann")
    keys = jwt.PyJWKClient(place(server), cache_jwk_set=False)
    for _ in range(2):
        assert with_pyjwt(keys, ann.access)["sub"] == ann.user
        told = with_jose(server, ann.access)
        assert json.loads(told.stdout)["sub"] == ann.user, told.stderr
        before = key_of(ann.access)
        rotate(tmp_path)
        wait_for(lambda before=before: key_of(ann.renew().access) != before)
    rotate(tmp_path, "--revoke-old")
    wait_for(lambda: key_of(ann.access) not in {key["kid"] for key in published(server)["keys"]})

    with pytest.raises(jwt.PyJWKClientError):
        with_pyjwt(keys, ann.access)
    assert with_jose(server, ann.access).returncode == 1


def test_the_example_of_the_page_runs(start: Start, tmp_path: Path) -> None:
    """What the page shows accepts an access token, and refuses a refresh token and one that was changed."""
    server = start()
    ann = Account.log_in(server.url, "ann")
    (block,) = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    program = tmp_path / "service.py"
    changed = block.replace("https://sync.example.com", server.url).replace("field-notes", "test")
    program.write_text(changed)

    def run(token: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(program)],
            input=token,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert run(ann.access).stdout.strip() == ann.user
    head, body, signature = ann.access.split(".")
    forged = f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    for token in (ann.refresh, forged, "nonsense"):
        refused = run(token)
        assert refused.returncode == 1
        assert "refused" in refused.stdout
