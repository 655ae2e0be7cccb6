"""Tokens of ES256 are those of any other library, and nothing else is one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey

from syncauth.server.accounts import es256

KEY, OTHER = (ECKey.generate_key("P-256", private=True) for _ in range(2))
KID = KEY.thumbprint()
REGISTRY = jws.JWSRegistry(algorithms=["ES256"])
CLAIMS: dict[str, Any] = {"sub": "ann", "exp": 1, "deep": {"ä": [None, 1.5, True]}}


def find(kid: str | None) -> ECKey | None:
    """Accept the one key, named or not."""
    return KEY if kid in (None, KID) else None


def part(content: object) -> str:
    """Encode one part of a token."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def signed(header: object, payload: object = CLAIMS) -> str:
    """Sign parts of which some are odd."""
    text = f"{part(header)}.{part(payload)}"
    assert KEY.private_key is not None
    r, s = utils.decode_dss_signature(KEY.private_key.sign(text.encode(), ec.ECDSA(SHA256())))
    return f"{text}.{part(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.none() | st.integers(0, 9)
    )
)
def test_other_libraries_read_what_is_signed(claims: dict[str, Any]) -> None:
    """A token is good for joserfc, with its claims, and names algorithm, type and key."""
    token = jwt.decode(es256.sign(claims, KEY, KID), KEY, registry=REGISTRY)

    assert token.claims == claims
    assert token.header == {"typ": "JWT", "alg": "ES256", "kid": KID}


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers(0, 9)))
def test_what_other_libraries_sign_is_read(claims: dict[str, Any]) -> None:
    """A token that joserfc has signed, as this server did before, stays good."""
    text = jwt.encode({"alg": "ES256", "kid": KID}, claims, KEY, registry=REGISTRY)

    content = es256.verified(text, find)

    assert content is not None
    assert json.loads(content) == claims


def test_wrong_keys_are_refused() -> None:
    """Signed with another key, or naming one that is not to be accepted."""
    assert es256.verified(es256.sign(CLAIMS, OTHER, KID), find) is None
    assert es256.verified(es256.sign(CLAIMS, KEY, "unknown"), find) is None
    assert es256.verified(es256.sign(CLAIMS, KEY, KID), find) is not None
    public = ECKey.import_key(KEY.as_dict(private=False))
    with pytest.raises(ValueError, match="public key"):
        es256.sign(CLAIMS, public, KID)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": ["ES256"]},
        {"kid": "no algorithm"},
        {"alg": "ES256", "crit": ["exp"]},
        {"alg": "ES256", "crit": ["b64"], "b64": False},
        {"alg": "ES256", "kid": 7},
        ["ES256"],
        b"\xff",
        b'{"alg":"ES256","x":' + b"[" * 5000,
    ],
    ids=str,
)
def test_odd_headers_are_refused(header: object) -> None:
    """Although the signature over them is right."""
    assert es256.verified(signed({"alg": "ES256"}), find) is not None
    assert es256.verified(signed(header), find) is None


@given(st.data())
def test_no_changed_text_is_good(data: st.DataObject) -> None:
    """Whatever character is changed, added or left out, the token is refused: there is one text of it."""
    text = es256.sign(CLAIMS, KEY, KID)
    place = data.draw(st.integers(0, len(text)))
    put = data.draw(st.text(st.sampled_from("AZaz09-_.=+/ \n\0é"), max_size=2))
    changed = text[:place] + put + text[place + data.draw(st.integers(0, 2)) :]

    found = es256.verified(changed, find)

    assert (found is not None) == (changed == text)


@given(st.text())
def test_no_text_is_a_failure(text: str) -> None:
    """What is no token is refused, never raised."""
    assert es256.verified(text, find) is None
