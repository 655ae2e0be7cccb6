"""`users/verify_token`: what an access token of a user says, for a team's own backends."""

from __future__ import annotations

from dataclasses import replace

from syncauth.server.accounts.issuer import Issuer, domain_id
from syncauth.server.accounts.signing_keys import SigningKeys
from syncauth.server.clock import SystemClock
from syncauth.server.stores.interface import SessionRecord
from tests.integration.admin.conftest import Admin, AdminServer
from tests.integration.auth_api.conftest import claims
from tests.support.socket_device import Account

PATH = "/users/verify_token"


def test_good_token_is_told(admin: Admin, ann: Account) -> None:
    """User, session, times, app and device of the token, as the token itself says."""
    answer = admin.ask("POST", PATH, json={"token": ann.access})
    said = claims(ann.access)

    assert answer.status_code == 200
    assert answer.json() == {
        "sub": ann.user,
        "exp": said["exp"],
        "iat": said["iat"],
        "iss": said["iss"],
        "domain_id": domain_id("test"),
        "device_id": said["baas_device_id"],
    }


def test_custom_data_goes_along_and_the_end_is_said(
    admin: Admin, server: AdminServer, ann: Account
) -> None:
    """Custom data is told as `custom_user_data`; a token that has ended gives the text "token expired"."""
    issuer, now = Issuer(SigningKeys(server.data), "test"), SystemClock().wall()
    session = SessionRecord(
        claims(ann.access)["iss"], ann.user, "d", "i", "x", True, now + 9e6, None, {"a": 1}
    )
    good = issuer.access_token(session, now=now, life=60).text.reveal()
    ended = issuer.access_token(session, now=now - 100, life=60).text.reveal()

    assert admin.ask("POST", PATH, json={"token": good}).json()["custom_user_data"] == {"a": 1}
    answer = admin.ask("POST", PATH, json={"token": ended})
    assert (answer.status_code, answer.json()) == (200, "token expired")


def test_what_is_no_access_token_of_ours(admin: Admin, server: AdminServer, ann: Account) -> None:
    """A refresh token, one of another key or app, an administrator's and any text get 401 alike."""
    now = SystemClock().wall()
    session = SessionRecord(
        claims(ann.access)["iss"], ann.user, "d", "i", "x", True, now + 9e6, None, None
    )
    other_key = Issuer(SigningKeys(server.directory), "test")
    other_app = Issuer(SigningKeys(server.data), "other")
    tokens = [
        ann.refresh,
        ann.access[:-2],
        other_key.access_token(session, now=now, life=60).text.reveal(),
        other_app.access_token(replace(session), now=now, life=60).text.reveal(),
        admin.client.headers["Authorization"].removeprefix("Bearer "),
        "",
        "x" * 20_000,
    ]
    for token in tokens:
        answer = admin.ask("POST", PATH, json={"token": token})

        assert answer.status_code == 401
        assert answer.json() == {"error": "signature is invalid"}


def test_token_of_an_ended_session_is_not_good(admin: Admin, ann: Account) -> None:
    """Whoever was logged out is out at the team's backends too, before the token's end."""
    admin.ask("PUT", f"/users/{ann.user}/logout")
    answer = admin.ask("POST", PATH, json={"token": ann.access})

    assert answer.status_code == 401
    assert answer.json()["error_code"] == "InvalidSession"
