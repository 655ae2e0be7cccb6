"""Whatever a server of the App Services API answers, the client reads it or raises its typed error without a token."""

from __future__ import annotations

import base64
import json
from pathlib import PurePath
from typing import Any

from hypothesis import given, strategies as st

from syncauth.adapters import http_judgement as judgement, http_readings as readings
from syncauth.adapters.http_answers import (
    Answer,
    Malformed,
    NoLocation,
    Outcome,
    read_denial,
)
from syncauth.adapters.http_location import read_location
from syncauth.config import AppConfig
from syncauth.errors import InsecureServer, SyncAuthError
from syncauth.interfaces import AccessRejected
from syncauth.models import Deferred, Misconfigured, Refused, Renewed, Secret
from tests.support.odd_input import SECRET, altered, frames, judge, numbers, texts

CONFIG = AppConfig("https://sync.example.com", "app", PurePath("/data"))
PRESENTED = Secret(SECRET)


def jwt(claims: Any) -> str:
    """Return a token that says this."""
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJFUzI1NiJ9.{body}.{SECRET}"


claims = altered({"exp": 1_800_000_000, "iat": 1_700_000_000, "sub": "u"}) | st.fixed_dictionaries(
    {"exp": numbers, "iat": numbers}
)


@st.composite
def logins(draw: st.DrawFn) -> bytes:
    """Give an answer with tokens that say all sorts of things."""
    told = {
        "access_token": jwt(draw(claims)),
        "refresh_token": jwt(draw(claims)),
        "user_id": "u",
        "device_id": "d",
    }
    for name in ("life_ms", "expires_in", "refresh_expires_in"):
        if draw(st.booleans()):
            told[name] = draw(numbers)
    return json.dumps(draw(altered(told))).encode()


DENIALS = (
    {"error": f"invalid session {SECRET}", "error_code": "InvalidSession", "reason": "expired"},
    {"error": SECRET, "error_code": SECRET, "link": ""},
    {"error": "no bearer token", "error_code": "UserDisabled"},
)
GRANTS = (
    {"user_id": "u", "identities": [{"id": "1", "provider_type": "p"}], "data": {}, "type": "t"},
    {"hostname": "https://sync.example.com", "ws_hostname": "wss://sync.example.com"},
    [{"_id": "1", "name": "n", "disabled": False}],
    {"_id": "1", "name": "n", "key": SECRET},
    {"$numberLong": "1", "a": [{"$oid": "a" * 24}]},
)
media = st.sampled_from(["application/json", "text/html", ""])
statuses = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 409, 429, 500, 503, 511])
answers = st.builds(
    Answer,
    status=statuses,
    media_type=media,
    body=logins() | frames(*DENIALS, *GRANTS),
    retry_after=st.none() | st.floats(0, 3600),
    too_long=st.booleans(),
)


@given(answers)
def test_any_granting_answer_is_read_or_malformed(answer: Answer) -> None:
    """Logins, tokens, profiles, keys and results are of their types, or `Malformed` without a token in it."""
    login = judge(lambda: readings.read_login(answer), Malformed)
    pair = judge(lambda: readings.read_tokens(answer, PRESENTED), Malformed)
    judge(lambda: readings.read_profile(answer, "u"), Malformed)
    judge(lambda: readings.read_linked(answer, "u"), Malformed)
    judge(lambda: readings.read_keys(answer), Malformed)
    key = judge(lambda: readings.read_key(answer, made=True), Malformed)
    judge(lambda: readings.read_result(answer), Malformed)

    assert SECRET not in repr((login, pair, key))
    if pair is not None:
        assert 0 <= pair.life <= readings.LONGEST_LIFE_SECONDS


@given(answers, st.booleans())
def test_any_answer_is_judged(answer: Answer, before_the_call: bool) -> None:
    """Each answer means one of the known things for a session, a revocation and a call, and quotes no token."""
    outcome: Outcome = NoLocation(answer) if before_the_call else answer
    judged = judgement.judge_refresh(outcome, PRESENTED)
    assert isinstance(judged, Renewed | Refused | Misconfigured | Deferred)
    assert SECRET not in repr(judged)
    assert judgement.judge_revoke(outcome) in {True, False}
    secrets = (PRESENTED,)
    for error in (
        judgement.refusal(outcome, secrets=secrets),
        judgement.token_refusal(outcome, secrets=secrets),
        judgement.token_refusal(outcome, secrets=secrets, linking=True),
        judgement.function_refusal("f", outcome, secrets),
    ):
        assert isinstance(error, SyncAuthError | AccessRejected)
        assert SECRET not in f"{error}{error!r}"
    read_denial(answer)


@given(answers, texts, texts)
def test_any_location_is_taken_or_refused(answer: Answer, host: str, other: str) -> None:
    """I10: a place that was not listed is never taken, whatever its address looks like."""
    named = json.dumps({"hostname": host, "ws_hostname": other}).encode()
    for each in (answer, Answer(200, "application/json", named)):
        found = judge(lambda each=each: read_location(each, CONFIG), Malformed, InsecureServer)  # type: ignore[misc]
        if found is not None:
            assert found.http == CONFIG.base_url
            assert found.socket.startswith("wss://sync.example.com")
