"""What the account service passes around can be printed without giving anything away (I10)."""

from __future__ import annotations

from syncauth.models import ReloginReason, Secret
from syncauth.server.accounts import answers
from syncauth.server.accounts.issuer import Issued
from syncauth.server.stores.interface import LoginRecord, NewUser


def test_no_secret_is_printed() -> None:
    """Neither tokens nor password hashes stand in a repr."""
    token = Issued(Secret("token-text"), 0)
    shown = [
        answers.LoggedIn("u", "d", token, token, 1),
        answers.Refreshed(token, token, 1),
        NewUser("u", "i", "local-userpass", "a@example.com", "hash-text", {}),
        LoginRecord("u", "i", "hash-text", None),
    ]

    for thing in shown:
        assert "token-text" not in repr(thing)
        assert "hash-text" not in repr(thing)


def test_end_of_a_session_is_told_in_the_words_of_the_client() -> None:
    """Every reason that the server can have is one that the client knows."""
    for reason in ("expired", "revoked", "user_disabled", "user_removed", "reuse_detected"):
        denied = answers.session_ended(reason)

        assert ReloginReason(reason).value == denied.reason
        assert denied.status == 401
        assert denied.code == "InvalidSession"
