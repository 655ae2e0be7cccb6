"""Generated tokens of other issuers: whatever they hold, only what the settings ask for is let in."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from syncauth.models import Secret
from syncauth.server.accounts.claim_paths import ABSENT, find_claim, has_required
from syncauth.server.accounts.foreign_keys import read_published
from syncauth.server.accounts.foreign_tokens import ForeignFault, ForeignTokens, ForeignUser
from syncauth.server.settings.issuers import TokenIssuer
from syncauth.server.stores.subjects import read_subject_session, subject_name, subject_session
from tests.support.foreign_issuer import new_key, sign

ISS, NOW = "https://id.example", 1_700_000_000.0
KEY = new_key("ES256")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
NAMES = st.sampled_from(
    ["iss", "sub", "aud", "exp", "nbf", "azp", "client_id", "realm", "alg", "kid", "typ", "crit"]
)
OBJECTS = st.dictionaries(NAMES | st.text(), VALUES, max_size=6)
GOOD: dict[str, Any] = {"iss": ISS, "sub": "ann", "aud": "notes", "exp": NOW + 60}


@functools.cache
def tokens() -> ForeignTokens:
    """Return an issuer with one key and one required claim."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "key.pem"
        path.write_bytes(KEY.as_pem(private=False))
        issuer = TokenIssuer(
            "issuers.id", ISS, ("notes",), "ES256", key_file=path, sync=True,
            required=(("realm.role", ("a", 1)),), fields=(("realm.name", "name"),),
        )  # fmt: skip
        return ForeignTokens((issuer,))


def verify(text: str) -> ForeignUser | ForeignFault:
    """Verify a token."""
    return asyncio.run(tokens().verify(Secret(text), "sync", wall=NOW, now=0))


@given(OBJECTS, st.booleans(), VALUES)
def test_signed_claims_of_any_shape_are_judged(
    claims: dict[str, Any], good: bool, role: Any
) -> None:
    """Nothing that the issuer's own key signs raises; who comes in has exactly what is required."""
    told = {**GOOD, **claims, "realm": {"role": role}} if good else claims
    try:
        text = sign(KEY, "ES256", told)
    except UnicodeEncodeError:  # half of a surrogate pair: no issuer can write it
        return

    outcome = verify(text)

    if isinstance(outcome, ForeignUser):
        assert (told["iss"], told["sub"]) == (outcome.issuer, outcome.subject)
        assert told["aud"] == "notes" or "notes" in told["aud"]
        assert outcome.expires_at > NOW
        assert has_required(told, "realm.role", ("a", 1))
        name = subject_name(outcome.issuer, outcome.subject)
        assert read_subject_session(subject_session("u", name)) == ("u", name, 0)


@given(OBJECTS, OBJECTS, st.binary(max_size=80))
def test_nothing_unsigned_comes_in(
    header: dict[str, Any], claims: dict[str, Any], signature: bytes
) -> None:
    """Whatever header and signature say, a token that the issuer did not sign is refused (RFC 8725)."""
    parts = (json.dumps({"alg": "ES256", **header}), json.dumps({**GOOD, **claims}))
    raw = [*(part.encode() for part in parts), signature]
    text = ".".join(base64.urlsafe_b64encode(each).rstrip(b"=").decode() for each in raw)

    tokens().concern(Secret(text), "sync")
    assert isinstance(verify(text), ForeignFault)


@given(st.text(max_size=300))
def test_any_text_is_refused(text: str) -> None:
    """What is no token at all is refused without an exception."""
    assert not tokens().concern(Secret(text), "sync")
    assert verify(text) is ForeignFault.INVALID


@settings(max_examples=200)
@given(st.lists(VALUES | OBJECTS, max_size=4), st.integers(0, 4))
def test_good_key_is_found_among_any_others(others: list[Any], place: int) -> None:
    """No entry of a published set hides or breaks the others (RFC 7517 section 5)."""
    kinds = [{"kty": "EC", **each} if isinstance(each, dict) else each for each in others]
    kinds.insert(min(place, len(kinds)), KEY.as_dict(private=False))

    found = read_published({"keys": kinds}, "ES256")

    assert KEY.thumbprint() in {each.thumbprint() for each in found}


@given(st.dictionaries(st.text(), VALUES, max_size=4), st.text())
def test_paths_find_what_stands_there(claims: dict[str, Any], name: str) -> None:
    """A name that is there is found as it is, whatever dots it has; an escaped path finds it nested."""
    found = find_claim(claims, name)
    if name in claims:
        assert found is claims[name]
    escaped = name.replace(".", "\\.")
    if "\\" not in name:
        nested = find_claim({"outer": claims}, f"outer.{escaped}")
        assert nested is claims.get(name, ABSENT)


@pytest.mark.parametrize("sub", ["\ud800", "a\udfff"])
def test_half_of_a_surrogate_pair_is_no_subject(sub: str) -> None:
    """JSON can escape what is no text; it names nobody."""
    payload = json.dumps({**GOOD, "sub": sub, "realm": {"role": "a"}}).encode()
    signing = sign(KEY, "ES256", GOOD).split(".")
    text = f"{signing[0]}.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.{signing[2]}"

    assert verify(text) is ForeignFault.INVALID
