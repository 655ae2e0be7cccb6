"""Custom tokens of other issuers, and logins by a function: who comes in, and who does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey

from syncauth.errors import FunctionError, InvalidConfig
from syncauth.server.settings.issuers import TokenIssuer
from syncauth.server.team.extensions import Extensions
from tests.integration.auth_api.conftest import AuthServer, StartServer
from tests.support.foreign_issuer import Key, key_place, new_key, sign, sign_with_text

ISS, AUD, NOW = "https://id.example", "field-notes", 1_700_000_000


def claims(**changes: Any) -> dict[str, Any]:
    """Return claims that are accepted, with changes; None leaves one out."""
    whole = {"iss": ISS, "sub": "ann", "aud": AUD, "exp": NOW + 600, "email": "ann@example.com"}
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def issuer(algorithm: Any, **more: Any) -> TokenIssuer:
    """Return the settings of the issuer."""
    fields = (("email", "email"), ("level", "rank"))
    return TokenIssuer("issuers.id", ISS, (AUD, "other"), algorithm, fields=fields, **more)


def write_key(folder: Path, key: Key) -> Path:
    """Write the half of a key that the server needs."""
    path = folder / "issuer-key"
    path.write_bytes(key.raw_value if isinstance(key, OctKey) else key.as_pem(private=False))
    return path


def log_in(server: AuthServer, token: str) -> Any:
    """Log in with a token."""
    return server.log_in_with("custom-token", {"token": token, "options": {"rotate": True}})


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256"])
def test_token_of_another_issuer_logs_in(
    start_server: StartServer, tmp_path: Path, algorithm: str
) -> None:
    """The first token makes the user, the next leads to it; data follows the token."""
    key = new_key(algorithm)
    server = start_server(issuers=(issuer(algorithm, key_file=write_key(tmp_path, key)),))

    first = log_in(server, sign(key, algorithm, claims(level=3)))
    again = log_in(server, sign(key, algorithm, claims(aud=["x", AUD], level=4)))
    other = log_in(server, sign(key, algorithm, claims(sub="bob")))

    assert first.status_code == again.status_code == other.status_code == 200
    assert first.json()["user_id"] == again.json()["user_id"] != other.json()["user_id"]
    profile = server.profile(again.json()["access_token"]).json()
    assert profile["data"] == {"email": "ann@example.com", "rank": 4}
    assert profile["identities"][0]["provider_type"] == "custom-token"


Forge = Callable[[Key], str]


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda key: sign(key, "ES256", claims(iss="https://evil")), id="issuer"),
        pytest.param(lambda key: sign(key, "ES256", claims(iss=None)), id="no issuer"),
        pytest.param(lambda key: sign(key, "ES256", claims(aud="evil")), id="audience"),
        pytest.param(lambda key: sign(key, "ES256", claims(aud=None)), id="no audience"),
        pytest.param(lambda key: sign(key, "ES256", claims(sub=None)), id="no subject"),
        pytest.param(lambda key: sign(key, "ES256", claims(sub="")), id="empty subject"),
        pytest.param(lambda key: sign(key, "ES256", claims(exp=None)), id="no end"),
        pytest.param(lambda key: sign(key, "ES256", claims(exp="never")), id="end is a text"),
        pytest.param(lambda key: sign(key, "ES256", claims(exp=NOW)), id="expired"),
        pytest.param(lambda key: sign(key, "ES256", claims(nbf=NOW + 9)), id="not yet"),
        pytest.param(lambda _key: sign(new_key("ES256"), "ES256", claims()), id="other key"),
        pytest.param(
            lambda key: sign_with_text(key.as_pem(private=False), claims()),
            id="public key as a secret",
        ),
        pytest.param(lambda _key: "eyJhbGciOiJub25lIn0." + "e30" + ".", id="none"),
        pytest.param(lambda key: sign(key, "ES256", claims())[:-4] + "AAAA", id="signature"),
        pytest.param(lambda _key: "x" * 20_000, id="long"),
        pytest.param(lambda _key: "ä.b.c", id="no token"),
    ],
)
def test_other_tokens_are_refused(start_server: StartServer, tmp_path: Path, forge: Forge) -> None:
    """Algorithm, key, issuer, audience and end are fixed; the refusal is never `InvalidSession`."""
    key = new_key("ES256")
    server = start_server(issuers=(issuer("ES256", key_file=write_key(tmp_path, key)),))

    answer = log_in(server, forge(key))

    assert (answer.status_code, answer.json()["error_code"]) == (401, "AuthError")
    assert answer.json()["error"] in {"signature is invalid", "token expired"}


def test_published_keys_are_fetched_kept_and_renewed(start_server: StartServer) -> None:
    """A new key id fetches the set anew, in measure; an unreachable place changes nothing."""
    first, second, third = (new_key("ES256", kid) for kid in ("k1", "k2", "k3"))
    with key_place() as place:
        place.publish(first)
        server = start_server(issuers=(issuer("ES256", jwks_url=place.url),))
        assert log_in(server, sign(first, "ES256", claims(), kid="k1")).status_code == 200
        place.publish(second, new_key("RS256"))
        assert log_in(server, sign(first, "ES256", claims(), kid="k1")).status_code == 200
        assert place.asked == 1
        assert log_in(server, sign(second, "ES256", claims(), kid="k2")).status_code == 200
        assert log_in(server, sign(second, "ES256", claims())).status_code == 200
        assert place.asked == 2
        assert log_in(server, sign(third, "ES256", claims(), kid="k3")).status_code == 401
        assert log_in(server, sign(first, "ES256", claims(), kid="k1")).status_code == 401
        assert log_in(server, sign(third, "ES256", claims(), kid="k3")).status_code == 401
        assert place.asked == 4
        place.content = "nonsense"
        server.clock.pass_time(61)
        assert log_in(server, sign(third, "ES256", claims(), kid="k3")).status_code == 401
        assert log_in(server, sign(second, "ES256", claims(), kid="k2")).status_code == 200


def test_without_an_issuer_there_is_no_such_login(server: AuthServer) -> None:
    """The provider is told as not found, and so is that of functions."""
    assert log_in(server, "x").json()["error_code"] == "AuthProviderNotFound"
    answer = server.log_in_with("custom-function", {"a": 1})
    assert answer.json()["error_code"] == "AuthProviderNotFound"


@pytest.mark.parametrize("text", ["", "hunter2", "-----BEGIN PUBLIC KEY-----"])
def test_unusable_key_ends_the_start(start_server: StartServer, tmp_path: Path, text: str) -> None:
    """A key that is missing or no key is told by its setting, without its text."""
    (tmp_path / "key").write_text(text)
    for algorithm in ("HS256", "ES256"):
        if algorithm == "HS256" and text.startswith("-"):
            continue
        with pytest.raises(InvalidConfig) as refused:
            start_server(issuers=(issuer(algorithm, key_file=tmp_path / "key"),))
        assert refused.value.setting == "issuers.id.key_file"
        assert not text or text not in str(refused.value)


def judge(payload: dict[str, Any]) -> Any:
    """Let those in that the test names."""
    if payload.get("refuse"):
        raise FunctionError("come back tomorrow")
    return payload.get("answer")


def test_function_says_who_it_is(start_server: StartServer) -> None:
    """The id that the function gives leads to the same user; what it adds is the user's data."""
    server = start_server(Extensions(custom_login=judge))

    def log_in_as(answer: Any, **more: Any) -> Any:
        body = {"answer": answer, "options": {"rotate": True, "device": {}}, **more}
        return server.log_in_with("custom-function", body)

    first = log_in_as("ann")
    again = log_in_as({"id": "ann", "name": "Ann"})
    assert first.status_code == again.status_code == 200
    assert first.json()["user_id"] == again.json()["user_id"]
    assert server.profile(again.json()["access_token"]).json()["data"] == {"name": "Ann"}
    for answer in (None, "", {"$numberInt": "7"}, {}, "x" * 256):
        refused = log_in_as(answer)
        assert (refused.status_code, refused.json()["error_code"]) == (401, "AuthError")
    told = log_in_as("ann", refuse=True)
    assert told.json() == {"error": "come back tomorrow", "error_code": "AuthError", "link": ""}


@pytest.mark.parametrize("body", [{"a": {"$oid": "x"}}, {"options": 3}, {"options": {"device": 1}}])
def test_broken_payload_is_a_bad_request(start_server: StartServer, body: dict[str, Any]) -> None:
    """What is no Extended JSON, or no options, is told as such."""
    server = start_server(Extensions(custom_login=judge))

    answer = server.log_in_with("custom-function", body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "BadRequest")


def test_keys_are_of_the_curve_that_the_algorithm_names() -> None:
    """The test's own issuer signs with the curve of ES256."""
    key = new_key("ES256")

    assert isinstance(key, ECKey)
    assert key.curve_name == "P-256"
