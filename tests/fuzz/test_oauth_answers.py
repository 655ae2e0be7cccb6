"""Whatever an OAuth 2.0 server answers or signs, the client reads it or raises its typed error, and tells no token."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, strategies as st
from joserfc import jwt as signing
from joserfc.jwk import ECKey

from syncauth.adapters import oauth_judgement as judgement
from syncauth.adapters.oauth_answers import (
    LONGEST_LIFE_SECONDS,
    Answer,
    Granted,
    Malformed,
    read_object,
    read_tokens,
)
from syncauth.adapters.oauth_discovery import read_endpoints
from syncauth.adapters.oauth_identity import profile_of, subject_of, told_user, verify_id_token
from syncauth.adapters.oauth_loopback import LONGEST_REQUEST_BYTES, Loopback
from syncauth.errors import InsecureServer, SyncAuthError
from syncauth.models import Deferred, Misconfigured, Refused, Renewed, Secret
from tests.fuzz.test_client_answers import claims, jwt, statuses
from tests.support.odd_input import SECRET, altered, documents, frames, judge, numbers, texts

ISSUER = "https://id.example.com"
PRESENTED = Secret(SECRET)
KEY = ECKey.generate_key("P-256", parameters={"kid": "one"})
KEYS = {"keys": [KEY.as_dict(private=False)]}
NOW = 1_700_000_000
CLAIMS = {"iss": ISSUER, "aud": "client", "sub": "u", "exp": NOW + 60, "iat": NOW, "nonce": "n"}


@st.composite
def grants(draw: st.DrawFn) -> bytes:
    """Give an answer of a token endpoint."""
    told: dict[str, Any] = {"access_token": jwt(draw(claims)), "token_type": "Bearer"}
    told |= {"refresh_token": SECRET, "id_token": jwt(CLAIMS)}
    for name in ("expires_in", "refresh_expires_in", "refresh_token_expires_in"):
        if draw(st.booleans()):
            told[name] = draw(numbers | texts)
    return json.dumps(draw(altered(told))).encode()


DENIALS = ({"error": "invalid_grant", "error_description": f"user disabled {SECRET}"},)
METADATA = {
    "issuer": ISSUER,
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
    "revocation_endpoint": f"{ISSUER}/revoke?x=1",
    "authorization_response_iss_parameter_supported": True,
}
answers = st.builds(
    Answer,
    status=statuses,
    media_type=st.sampled_from(["application/json", "application/problem+json", "text/html", ""]),
    body=grants() | frames(*DENIALS, METADATA) | st.just(b""),
    retry_after=st.none() | st.floats(0, 3600),
    sent_at=st.none() | st.just(float(NOW)),
)


def granting(**told: Any) -> Answer:
    """Return an answer that grants tokens which say this."""
    content = {"access_token": jwt(told), "refresh_token": SECRET}
    return Answer(200, "application/json", json.dumps(content).encode())


@given(answers)
@example(granting(exp=0, iat=10**400))
@example(granting(exp=10**400, iat=0.5))
def test_any_granting_answer_is_read_or_malformed(answer: Answer) -> None:
    """Tokens have lives that can be counted, or the answer is `Malformed` without a token in it."""
    granted = judge(lambda: read_tokens(answer), Malformed)
    judge(lambda: read_object(answer), Malformed)

    assert SECRET not in repr(granted)
    if granted is not None:
        assert 0 <= granted.life <= LONGEST_LIFE_SECONDS


def whose(granted: Granted) -> str | None:
    """Tell the user of an ID token as the provider does."""
    return None if granted.id_token is None else told_user(granted.id_token, "i", "sub")


@given(answers)
def test_any_answer_is_judged(answer: Answer) -> None:
    """Each answer means one of the known things for a session, a revocation and a login, and quotes no token."""
    judged = judgement.judge_refresh(answer, PRESENTED, {(403, "x"), (400, "")}, whose)
    assert isinstance(judged, Renewed | Refused | Misconfigured | Deferred)
    assert SECRET not in repr(judged)
    assert judgement.judge_revoke(answer) in {True, False}
    error = judgement.refusal(answer, secrets=(PRESENTED,))
    assert isinstance(error, SyncAuthError)
    assert SECRET not in f"{error}{error!r}"


@given(altered(METADATA), texts)
def test_any_metadata_are_taken_or_refused(told: Any, url: str) -> None:
    """I10: an endpoint is https, or the metadata count for nothing."""
    for document in (told, METADATA | {"token_endpoint": url}):
        answer = Answer(200, "application/json", json.dumps(document).encode())
        found = judge(lambda a=answer: read_endpoints(a, ISSUER), Malformed, InsecureServer)  # type: ignore[misc]
        if found is not None:
            assert found.token_endpoint.startswith("https://")


def verified(token: str, keys: Any) -> Any:
    """Check an ID token, and read whose it is."""

    def whole() -> Any:
        found = verify_id_token(
            Secret(token), keys, issuer=ISSUER, client_id="client", nonce="n", at=float(NOW)
        )
        subject = subject_of(found, "sub")
        return subject, profile_of(found, subject, "oauth2")

    return judge(whole, Malformed)


@given(altered(CLAIMS), altered({"alg": "ES256", "kid": "one", "typ": "JWT"}))
def test_any_signed_claims_are_taken_or_refused(signed: Any, header: Any) -> None:
    """A token with a good signature says what it must, or is `Malformed`; nothing else comes out."""
    try:
        token = signing.encode({"alg": "ES256", "kid": "one"}, signed, KEY)
        odd = signing.encode(header, signed, KEY)
    except Exception:  # noqa: BLE001 - what cannot be signed cannot come
        token, odd = jwt(signed), jwt(header)

    found = verified(token, KEYS)
    assert found is None or isinstance(found[0], str)
    verified(odd, KEYS)


@given(texts | st.from_regex(r"[\w-]+\.[\w-]+\.[\w-]+"), altered(KEYS) | documents)
def test_any_token_and_key_set_are_refused(text: str, keys: Any) -> None:
    """What nobody has signed, and keys that are none, are `Malformed`."""
    assert verified(f"{text}{SECRET}", KEYS) is None
    verified(signing.encode({"alg": "ES256", "kid": "one"}, CLAIMS, KEY), keys)


targets = st.one_of(
    st.binary(max_size=80),
    st.tuples(st.sampled_from([b"GET", b"POST"]), st.binary(max_size=40)).map(
        lambda both: both[0] + b" /?state=s&" + both[1] + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    ),
    st.just(b"GET /?" + b"a&" * (LONGEST_REQUEST_BYTES // 2) + b" HTTP/1.1\r\n\r\n"),
    st.just(b"GET http://[ HTTP/1.1\r\n\r\n"),
)


@given(targets)
async def test_any_request_to_the_loopback_is_the_redirect_or_not(head: bytes) -> None:
    """A request that does not name the state is not the redirect, whatever it holds."""
    told = Loopback(port=0, state="s")._read(head)

    assert told is None or told["state"] == "s"
