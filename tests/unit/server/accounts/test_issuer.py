"""The issuer's tokens carry the claims of App Services, and no other token is ever accepted."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from syncauth.models import Secret
from syncauth.server.accounts.issuer import (
    Claims,
    Issuer,
    TokenFault,
    domain_id,
    token_hash,
)
from syncauth.server.stores.interface import SessionRecord
from tests.support.signing import keys_with

NOW = 1_700_000_000.25
DEVICE = "ab" * 12
SESSION = SessionRecord(
    session_id="5e" * 12,
    user_id="0a" * 12,
    device_id=DEVICE,
    identity_id="1d" * 12,
    provider_type="local-userpass",
    rotates=True,
    expires_at=NOW + 5_184_000,
    end_reason=None,
    custom_data=None,
)
KEY = ECKey.generate_key("P-256", private=True)
ISSUER = Issuer(keys_with(KEY), "field-notes")


def access(session: SessionRecord = SESSION, life: float = 1800) -> Secret:
    """Return an access token made at NOW."""
    return ISSUER.access_token(session, now=NOW, life=life).text


def refresh(session: SessionRecord = SESSION) -> Secret:
    """Return a refresh token made at NOW."""
    return ISSUER.refresh_token(session, now=NOW, unique=b"\x01" * 16).text


def payload(token: Secret) -> dict[str, Any]:
    """Read a token as clients do: without looking at the signature."""
    part = token.reveal().split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def signed(claims: dict[str, Any], key: ECKey = KEY) -> Secret:
    """Sign any claims with a key of our kind."""
    return Secret(jwt.encode({"alg": "ES256", "kid": key.thumbprint()}, claims, key))


def test_access_token_has_the_claims_of_app_services() -> None:
    """`sub` is the user, `iss` the session, times are whole seconds that never shorten the life."""
    assert payload(access()) == {
        "sub": "0a" * 12,
        "iss": "5e" * 12,
        "iat": 1_700_000_000,
        "exp": 1_700_001_801,
        "typ": "access",
        "baas_device_id": DEVICE,
        "baas_domain_id": domain_id("field-notes"),
    }
    with_data = replace(SESSION, custom_data={"plan": "free"})
    assert payload(access(with_data))["user_data"] == {"plan": "free"}


def test_refresh_token_has_the_claims_of_app_services() -> None:
    """A refresh token names session and identity, has no `iss`, and ends with the session."""
    claims = payload(refresh())

    assert claims == {
        "sub": "0a" * 12,
        "iat": 1_700_000_000,
        "exp": 1_705_184_001,
        "typ": "refresh",
        "jti": "01" * 16,
        "baas_id": "5e" * 12,
        "baas_data": None,
        "baas_identity": {
            "id": "1d" * 12,
            "provider_type": "local-userpass",
            "provider_id": domain_id("local-userpass"),
        },
        "baas_device_id": DEVICE,
        "baas_domain_id": domain_id("field-notes"),
    }


def test_access_token_does_not_outlive_its_session() -> None:
    """Near the end of the session an access token ends with it."""
    ending = replace(SESSION, expires_at=NOW + 10)

    assert payload(access(ending))["exp"] == 1_700_000_011


def test_own_tokens_are_verified_until_their_end() -> None:
    """A token is good until its `exp`, by the clock that is given, and expired from then on."""
    end = 1_700_001_801

    assert ISSUER.verify_access(access(), NOW) == Claims("0a" * 12, "5e" * 12, end)
    assert ISSUER.verify_access(access(), end - 0.001) == Claims("0a" * 12, "5e" * 12, end)
    assert ISSUER.verify_access(access(), end) is TokenFault.EXPIRED
    assert ISSUER.verify_refresh(refresh(), NOW) == Claims("0a" * 12, "5e" * 12, 1_705_184_001)
    assert ISSUER.verify_refresh(refresh(), 1_705_184_001) is TokenFault.EXPIRED


def test_types_are_not_exchangeable() -> None:
    """A refresh token is no access token, and the other way round."""
    assert ISSUER.verify_access(refresh(), NOW) is TokenFault.INVALID
    assert ISSUER.verify_refresh(access(), NOW) is TokenFault.INVALID


def test_other_key_and_other_app_are_refused() -> None:
    """A token of another server, or of another app with the same key, is not accepted."""
    other_key = Issuer(keys_with(ECKey.generate_key("P-256", private=True)), "field-notes")
    other_app = Issuer(keys_with(KEY), "other-app")

    for issuer in (other_key, other_app):
        assert issuer.verify_access(access(), NOW) is TokenFault.INVALID
        assert issuer.verify_refresh(refresh(), NOW) is TokenFault.INVALID


def encoded(part: bytes) -> str:
    """Encode one part of a JWT."""
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def test_header_does_not_choose_the_algorithm() -> None:
    """No algorithm, HMAC over the public key, and ES384 are refused (RFC 8725 section 2.1)."""
    body = access().reveal().split(".")[1]
    unsigned = encoded(b'{"alg":"none"}') + f".{body}."
    to_sign = encoded(b'{"alg":"HS256"}') + f".{body}"
    mac = hmac.digest(KEY.as_pem(private=False), to_sign.encode(), "sha256")
    confused = f"{to_sign}.{encoded(mac)}"
    other_curve = ECKey.generate_key("P-384", private=True)
    longer = jwt.encode({"alg": "ES384"}, payload(access()), other_curve, algorithms=["ES384"])

    for forged in (unsigned, confused, longer):
        assert ISSUER.verify_access(Secret(forged), NOW) is TokenFault.INVALID


@pytest.mark.parametrize("part", [0, 1, 2])
def test_altered_token_is_refused(part: int) -> None:
    """A change of any part of a token makes it invalid."""
    parts = access().reveal().split(".")
    middle = len(parts[part]) // 2
    other = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + other + parts[part][middle + 1 :]

    assert ISSUER.verify_access(Secret(".".join(parts)), NOW) is TokenFault.INVALID


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("sub", None),
        ("sub", 7),
        ("iss", ...),
        ("exp", ...),
        ("exp", "1800000000"),
        ("exp", 1.5e400),
        ("typ", "id"),
        ("typ", ...),
        ("baas_domain_id", "0" * 24),
        ("baas_domain_id", ...),
    ],
)
def test_claims_of_wrong_shape_are_refused(claim: str, value: object) -> None:
    """A token of our own key whose claims are missing or of the wrong type is refused."""
    claims = payload(access())
    if value is ...:
        del claims[claim]
    else:
        claims[claim] = value

    assert ISSUER.verify_access(signed(claims), NOW) is TokenFault.INVALID


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")))
def test_no_text_makes_the_issuer_fail(text: str) -> None:
    """Whatever is given as a token, the answer is that it is invalid, never an exception."""
    assert ISSUER.verify_access(Secret(text), NOW) is TokenFault.INVALID
    assert ISSUER.verify_refresh(Secret(text), NOW) is TokenFault.INVALID
    assert len(token_hash(Secret(text))) == 32


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"ES256","crit":["x"],"x":1}',
        b"[]",
        b"[" * 50_000,
        b'{"alg":["ES256"]}',
        b'{"alg":"ES256","b64":false}',
        b'{"alg":"ES256","kid":' + b"1" * 5_000 + b"}",
    ],
)
def test_odd_headers_are_refused(header: bytes) -> None:
    """Headers of any shape are refused without an exception."""
    body, signature = access().reveal().split(".")[1:]
    text = f"{encoded(header)}.{body}.{signature}"

    assert ISSUER.verify_access(Secret(text), NOW) is TokenFault.INVALID


def test_a_key_that_is_not_ours_is_not_looked_for() -> None:
    """A token names its key among our own only: without a name, or with another's, it is refused."""
    claims = payload(access())
    other = ECKey.generate_key("P-256", private=True)
    embedded = {"alg": "ES256", "kid": other.thumbprint(), "jwk": other.as_dict(private=False)}

    for header, key in (
        ({"alg": "ES256"}, KEY),
        ({"alg": "ES256", "kid": other.thumbprint()}, KEY),
        ({"alg": "ES256", "kid": KEY.thumbprint()}, other),
        ({"alg": "ES256", "kid": KEY.thumbprint() + "x"}, KEY),
        (embedded, other),
    ):
        token = Secret(jwt.encode(header, claims, key))
        assert ISSUER.verify_access(token, NOW) is TokenFault.INVALID


@pytest.mark.parametrize("kid", ["7", "null", "[]", "{}", "true"])
def test_odd_key_ids_are_refused(kid: str) -> None:
    """What is no text names no key."""
    body, signature = access().reveal().split(".")[1:]
    header = encoded(b'{"alg":"ES256","kid":' + kid.encode() + b"}")
    text = f"{header}.{body}.{signature}"

    assert ISSUER.verify_access(Secret(text), NOW) is TokenFault.INVALID


@pytest.mark.parametrize("text", ["a.b.c.d.e", "e30.e30.e30.e30.e30", "..", "....", "a.b"])
def test_texts_of_other_forms_are_refused(text: str) -> None:
    """An encrypted token, or half of one, is none of ours."""
    assert ISSUER.verify_access(Secret(text), NOW) is TokenFault.INVALID
