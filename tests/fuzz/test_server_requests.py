"""Whatever a client sends to the server is a call that is understood or a refusal of the API, never a failure."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
from hypothesis import given, strategies as st
from starlette.requests import Request

from syncauth.models import Secret
from syncauth.server.accounts.answers import Denied
from syncauth.server.routes.api import OPERATIONS
from syncauth.server.routes.cross_site import is_cross_site
from syncauth.server.routes.exchange import bearer, read_json
from syncauth.server.routes.functions import _read_query
from syncauth.server.team.worker import answer
from tests.support.odd_input import DEEP, SECRET, documents, frames, judge, texts

LIMIT = 3 * DEEP
BODIES = [each.body for each in OPERATIONS if each.body is not None]
ORIGINALS = (
    {"username": "a", "password": SECRET, "options": {"device": {"deviceId": "d"}, "rotate": True}},
    {"email": "a", "password": SECRET, "arguments": [{"$oid": "a" * 24}]},
    {"token": SECRET, "tokenId": "i", "password": SECRET},
    {"key": SECRET, "options": {}},
    {"name": "n", "arguments": [1], "service": None},
    {"refresh_id": "r"},
)


def request(body: bytes, *headers: tuple[bytes, bytes]) -> Request:
    """Return a request with this body, in two parts."""
    parts = [body[: len(body) // 2], body[len(body) // 2 :]]

    async def receive() -> dict[str, Any]:
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    return Request({"type": "http", "headers": list(headers)}, receive)


@given(frames(*ORIGINALS))
async def test_any_body_is_of_its_shape_or_a_bad_request(body: bytes) -> None:
    """Each body that a route reads is read or answered with 400 or 413; its text is not told."""
    for shape in BODIES:
        read = await read_json(request(body), shape, limit=LIMIT)
        if isinstance(read, Denied):
            assert (read.status, read.code) in {(400, "BadRequest"), (413, "RequestTooLarge")}
            assert SECRET not in repr(read)
        elif isinstance(read, msgspec.Struct) and "password" in type(read).__struct_fields__:
            assert SECRET not in repr(read)


@given(st.binary(max_size=200), st.integers(0, 100))
async def test_no_body_is_read_beyond_its_limit(body: bytes, limit: int) -> None:
    """What is larger than the limit is 413, whatever it holds."""
    read = await read_json(request(body), dict[str, Any], limit=limit)

    assert (isinstance(read, Denied) and read.status == 413) == (len(body) > limit)


@given(frames(ORIGINALS[4]), st.booleans(), texts)
def test_any_baas_request_is_a_call_or_a_bad_request(body: bytes, urlsafe: bool, odd: str) -> None:
    """The call in the URL is read in both alphabets, or refused."""
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    for text in (encode(body).decode(), encode(body).decode().rstrip("="), odd):
        read = _read_query(text)
        if isinstance(read, Denied):
            assert read.code in {"BadRequest", "ServiceNotFound"}
            assert SECRET not in read.text


@given(st.binary(max_size=60) | texts.map(lambda text: f"Bearer {text}".encode()))
def test_any_authorization_is_a_token_or_none(value: bytes) -> None:
    """The header Authorization carries a bearer token or counts as absent."""
    read = bearer(request(b"", (b"authorization", value)))

    assert isinstance(read, Secret | Denied)
    assert SECRET not in repr(read)


@given(documents)
def test_any_call_of_a_worker_is_answered(document: Any) -> None:
    """A process answers each call; a function that does not take its arguments is a failed one."""
    call = {
        "place": "tests.support.process_functions:echo",
        "seconds": 1,
        "largest": 1000,
        "context": {"user_id": "u", "session_id": "s", "custom_data": {}, "app_id": "a"},
        "arguments": [document],
    }
    told = judge(lambda: answer(json.dumps(call).encode()), msgspec.DecodeError)

    assert told is None or told.kind in {"result", "unfit", "large"}


ORIGINS = st.sampled_from(["https://app.example", "null", "http://[::1", "https://other.example"])


@given(ORIGINS | texts, texts | st.sampled_from(["same-origin", "none", "cross-site", ""]), texts)
def test_any_origin_is_judged(origin: str, site: str, host: str) -> None:
    """Whatever a browser says of where a request comes from, it is let in or not; a stranger's page never is."""
    headers = {"origin": origin, "sec-fetch-site": site, "host": host}

    assert is_cross_site(headers, {"https://app.example"}) in {True, False}
    assert is_cross_site({"origin": "https://other.example", "host": host}, ()) == (
        host.lower() != "other.example"
    )
