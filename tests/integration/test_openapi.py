"""
A real server answers as its OpenAPI document says, whatever it is asked, with and without a token.

schemathesis makes the calls from the document: such as fit it and such as do not. Under CI they are the same each time.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.routing import compile_path

from syncauth.server.routes.admin import LOGIN, OPERATIONS as FOR_ADMINISTRATORS
from syncauth.server.routes.admin_users import USERS
from syncauth.server.routes.api import OPERATIONS as FOR_CLIENTS
from syncauth.server.routes.openapi import PLACE, make_document
from syncauth.server.routes.operations import BASE, Operation
from syncauth.server.settings import issuers
from tests.support.commands import run
from tests.support.processes import JsonProcess

APP_ID = "field-notes"
PROVIDERS = f"{BASE}/app/{APP_ID}/auth/providers"
SECRET = "of-the-issuer-0123456789-0123456789"
CONFIG = f"""
[server]
app_id = "{APP_ID}"
schema = "schema.sql"
test_mode = true
[limits]
login_burst = 1000000
register_burst = 1000000
failure_burst = 1000000
refresh_burst = 1000000
function_bytes = 20000
[login]
password_cost = "low"
[email]
confirmation = "function"
reset = "function"
[hooks]
confirm = "tests.support.api_functions:reset"
reset = "tests.support.api_functions:reset"
custom_login = "tests.support.api_functions:custom_login"
custom_data = "tests.support.api_functions:custom_data"
[admin]
enabled = true
[functions]
echo = "tests.support.api_functions:echo"
count = "tests.support.api_functions:count"
refuse = "tests.support.api_functions:refuse"
fail = "tests.support.api_functions:fail"
apart = {{ call = "tests.support.api_functions:echo", process = true }}
""" + "".join(
    f"""
[issuers.{provider}]
provider = "{provider}"
issuer = "https://{provider}.example"
audience = ["{APP_ID}"]
algorithm = "HS256"
key_env = "OTHERS_KEY"
"""
    for provider in issuers.PROVIDERS
)
OPERATIONS = (*FOR_CLIENTS, *FOR_ADMINISTRATORS)
NAMES = {
    "app_id": APP_ID,
    "group_id": "g",
    "key_id": "k",
    "name": "n",
    "user_id": "u",
    "session_id": "s",
}
"""What stands in paths where it does not matter."""

ACCOUNTS = itertools.count()
"""Numbers of accounts: each call has a user that no other call has disabled or removed."""

FUNCTIONS = ("echo", "count", "refuse", "fail", "apart")
EXAMPLES = 20
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
POSITIVE = GenerationMode.POSITIVE
MODES = (POSITIVE, GenerationMode.NEGATIVE)

load_all_checks()
SCHEMA = schemathesis.openapi.from_dict(make_document(OPERATIONS, APP_ID))
PARTS: dict[str, APIOperation] = {
    found.ok().label: found.ok() for found in SCHEMA.get_all_operations()
}


def label(operation: Operation) -> str:
    """Name an operation as schemathesis does."""
    return f"{operation.method} {operation.path}"


def can_be_wrong(operation: Operation) -> bool:
    """Whether a call has anything that could not fit the document."""
    return operation.body is not None or bool(operation.query) or "{" in operation.path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server has its files."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    """A client of a server of its own process."""
    (folder / "schema.sql").write_text("")
    (folder / "syncauth.toml").write_text(CONFIG)
    place = ["--config", str(folder / "syncauth.toml"), "--data", str(folder / "data")]
    environment = {**os.environ, "OTHERS_KEY": SECRET}
    serve = ["syncauth.cli", "serve", "--port", "0", "--log-level", "warning"]
    with JsonProcess(*serve, *place, environment=environment) as process:
        with httpx.Client(base_url=process.hear()["url"], timeout=20) as client:
            yield client
        assert process.stop() == 0


@pytest.fixture(scope="module")
def admin(client: httpx.Client, folder: Path) -> str:
    """The token of an admin key that was made in the shell."""
    made = run("admin", "keys", "create", "--data", folder / "data", "--name", "t", "--json")
    key = {"username": made.document["key"], "apiKey": made.document["secret"]}
    answer = client.post(LOGIN, json=key)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token


def log_in(client: httpx.Client, number: int) -> dict[str, str]:
    """Open a session of a user of its own; three of four have a password and so may have keys."""
    if number % 4 == 0:
        answer = client.post(f"{PROVIDERS}/anon-user/login")
    else:
        account = {
            "email": f"{next(ACCOUNTS):09}@example.com",
            "password": "secret",
        }
        client.post(f"{PROVIDERS}/local-userpass/register", json=account)
        body = {"username": account["email"], "password": "secret"}
        answer = client.post(f"{PROVIDERS}/local-userpass/login", json=body)
    assert answer.status_code == 200, answer.text
    session: dict[str, str] = answer.json()
    return session


def aim(client: httpx.Client, case: Case, token: str, number: int) -> None:
    """Let a call reach what is there: a function that exists, an own key."""
    name = FUNCTIONS[number % len(FUNCTIONS)]
    if isinstance(case.body, dict) and "arguments" in case.body:
        case.body["name"] = name
    if case.query and "baas_request" in case.query:
        call = json.dumps({"name": name, "arguments": [1, {"$oid": "a" * 24}]}).encode()
        case.query["baas_request"] = base64.b64encode(call).decode()
    if "key_id" in (case.path_parameters or {}):
        headers = {"Authorization": f"Bearer {token}"}
        made = client.post(f"{BASE}/auth/api_keys", json={"name": f"k{number}"}, headers=headers)
        if made.status_code == 201:
            case.path_parameters["key_id"] = made.json()["_id"]


def aim_at_user(client: httpx.Client, case: Case, session: dict[str, str], admin: str) -> None:
    """Let a call of an administrator reach a user, its session or its token."""
    path = case.path_parameters or {}
    if "user_id" in path:
        path["user_id"] = session["user_id"]
    if "session_id" in path:
        place = USERS.format(**NAMES) + f"/{session['user_id']}/sessions"
        found = client.get(place, headers={"Authorization": f"Bearer {admin}"})
        path["session_id"] = found.json()[0]["_id"]
    if isinstance(case.body, dict) and "token" in case.body:
        case.body["token"] = session["access_token"]
    if isinstance(case.body, dict) and "expiration_time_seconds" in case.body:
        case.body["expiration_time_seconds"] = 3600


def check(client: httpx.Client, case: Case, headers: dict[str, str]) -> None:
    """Make the call over the network, and judge the answer by the document."""
    answer = case.call(base_url=str(client.base_url).rstrip("/"), headers=headers, timeout=20)
    checks = list(CHECKS)
    # A name in the query that the document does not know breaks nothing: clients may send more than is read.
    known = {each.name for each in case.operation.query}
    unfit = case.meta is not None and case.meta.generation.mode is GenerationMode.NEGATIVE
    if unfit and set(case.query or {}) <= known:
        checks.append(negative_data_rejection)
    case.validate_response(answer, checks=checks)
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("operation", "mode"),
    [
        (each, mode)
        for each in OPERATIONS
        for mode in MODES
        if mode is POSITIVE or can_be_wrong(each)
    ],
    ids=lambda value: value.value if isinstance(value, GenerationMode) else label(value),
)
def test_every_answer_is_as_the_document_says(
    client: httpx.Client, admin: str, operation: Operation, mode: GenerationMode
) -> None:
    """No call is answered with 5xx, another status, code, header or shape than the document tells."""
    part = PARTS[label(operation)]
    strategy = part.as_strategy(mode)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=strategy,
        number=st.integers(0, 10_000_000),
        with_token=st.sampled_from([True, True, True, False]),
    )
    def one(case: Case, number: int, with_token: bool) -> None:
        headers = {}
        if with_token and operation.bearer == "admin":
            headers["Authorization"] = f"Bearer {admin}"
            if mode is POSITIVE and number % 5:
                aim_at_user(client, case, log_in(client, number), admin)
        elif with_token and operation.bearer != "none":
            session = log_in(client, number)
            kind = "refresh_token" if operation.bearer == "refresh" else "access_token"
            headers["Authorization"] = f"Bearer {session[kind]}"
            if mode is POSITIVE and number % 5:
                aim(client, case, session["refresh_token"], number)
        check(client, case, headers)

    one()


def test_the_published_document_is_this_one(client: httpx.Client) -> None:
    """A server publishes what its routes tell, with its own app's id; administrators' where they are served."""
    answer = client.get(PLACE)

    assert answer.json() == json.loads(json.dumps(make_document(OPERATIONS, APP_ID)))


@pytest.mark.parametrize("operation", OPERATIONS, ids=label)
def test_without_its_token_no_call_is_served(client: httpx.Client, operation: Operation) -> None:
    """A call that needs a token is refused without one and with a wrong one, whatever else it says."""
    if operation.bearer in {"none", "access for a link"}:
        return
    path = operation.path.format(**NAMES)
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}):
        answer = client.request(operation.method, path, headers=headers, json={"name": "n"})
        assert (answer.status_code, answer.json()["error_code"]) == (401, "InvalidSession")


@pytest.mark.parametrize("path", sorted({each.path for each in OPERATIONS}))
def test_other_methods_are_told_what_is_allowed(client: httpx.Client, path: str) -> None:
    """A method that a path does not have is 405 with the allowed ones in Allow (RFC 9110 section 15.5.6)."""
    place = path.format(**NAMES)
    allowed = {each.method for each in OPERATIONS if compile_path(each.path)[0].fullmatch(place)}
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"} - allowed:
        answer = client.request(method, place)
        assert answer.status_code == 405, method
        told = {word.strip() for word in answer.headers["allow"].split(",")}
        assert told - {"HEAD"} == allowed
        assert answer.json()["error_code"] == "MethodNotAllowed"
