"""Clients of App Services, as they are, whose sessions an administrator ends while they work."""

from __future__ import annotations

from pathlib import Path

from tests.integration.admin.conftest import APP, Admin, AdminServer
from tests.support.app_services import drive


def places(server: AdminServer, admin: Admin) -> tuple[str, str, str]:
    """Return what a program needs to play the client and the administrator."""
    token = admin.client.headers["Authorization"].removeprefix("Bearer ")
    return server.url, f"{server.url}{APP}/users", token


def test_realm_web_sees_that_its_session_has_ended(server: AdminServer, admin: Admin) -> None:
    """It asks once for another token, is refused and logged out, and its next login works unless it is disabled."""
    assert drive("realm_web_ends.js", *places(server, admin)) == {
        "revoked": "401 InvalidSession",
        "refreshes": 1,
        "state": "logged-out",
        "second": "401 InvalidSession",
        "disabled": ["401 InvalidSession", "401 UserDisabled"],
        "ownLogOut": ["logged-out", "none"],
        "deleted": ["401 InvalidSession", "401 InvalidPassword"],
        "same": True,
    }


def test_the_stitch_client_sees_that_its_session_has_ended(
    server: AdminServer, admin: Admin, tmp_path: Path
) -> None:
    """The older client, whose code is another, sees the same."""
    assert drive("stitch_ends.js", *places(server, admin), str(tmp_path)) == {
        "before": True,
        "revoked": "InvalidSession",
        "refreshes": 1,
        "loggedIn": False,
        "again": True,
        "disabled": ["InvalidSession", "UserDisabled"],
        "deleted": ["InvalidSession", "invalid username/password"],
    }
