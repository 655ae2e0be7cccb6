"""Confirmation and reset: by mail or by a function, and nobody learns who has an account."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.settings.config import ServerLimits
from syncauth.server.settings.login import EmailSettings
from syncauth.server.team.extensions import EmailRequest, Extensions, Mail
from tests.integration.auth_api.conftest import EMAIL, PASSWORD, AuthServer, StartServer

BY_MAIL = EmailSettings(
    confirmation="mail",
    reset="mail",
    confirm_url="https://app.example/confirm",
    reset_url="https://app.example/reset?lang=en",
)


class Mailbox:
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    def __call__(self, mail: Mail) -> None:
        self.mails.append(mail)

    def last(self, count: int) -> dict[str, str]:
        """Wait for so many mails and return token and tokenId of the last one."""
        end = time.monotonic() + 10
        while len(self.mails) < count:
            assert time.monotonic() < end, "the mail did not come"
            time.sleep(0.005)
        url = next(line for line in self.mails[-1].text.split() if line.startswith("https://"))
        found = parse_qs(urlsplit(url).query)
        return {name: found[name][0] for name in ("token", "tokenId")}


@pytest.fixture
def mailbox() -> Mailbox:
    """Where all mail of a server goes."""
    return Mailbox()


@pytest.fixture
def server(start_server: StartServer, mailbox: Mailbox) -> AuthServer:
    """A server that confirms and resets by mail."""
    return start_server(Extensions(mail=mailbox), email=BY_MAIL)


def test_account_is_good_after_its_confirmation(server: AuthServer, mailbox: Mailbox) -> None:
    """Before it the right password is told what is missing, and the wrong one is just wrong."""
    assert server.register().status_code == 201
    sent = mailbox.last(1)

    early = server.try_login()
    assert (early.status_code, early.json()["error_code"]) == (401, "AuthError")
    assert "confirmation required" in early.json()["error"]
    assert server.try_login(password="wrong horse").json()["error_code"] == "InvalidPassword"
    assert server.email("confirm", **sent).status_code == 204
    assert server.try_login().status_code == 200
    again = server.email("confirm", **sent)
    assert (again.status_code, again.json()["error_code"]) == (400, "UserpassTokenInvalid")


def test_confirmation_is_sent_again(server: AuthServer, mailbox: Mailbox) -> None:
    """The mail that was sent last counts."""
    server.register()
    first = mailbox.last(1)

    assert server.email("confirm/send", email=EMAIL).status_code == 204
    last = mailbox.last(2)
    assert server.email("confirm", **first).status_code == 400
    assert server.email("confirm", **last).status_code == 204


def test_reset_sets_the_password_and_ends_sessions(server: AuthServer, mailbox: Mailbox) -> None:
    """The old password and all sessions are worth nothing after it; the token is spent."""
    server.register()
    server.email("confirm", **mailbox.last(1))
    login = server.try_login().json()
    assert server.email("reset/send", email=EMAIL).status_code == 204
    sent = mailbox.last(2)

    short = server.email("reset", **sent, password="short")
    assert short.json()["error_code"] == "BadRequest"
    assert server.email("reset", **sent, password="battery staple").status_code == 204
    assert server.email("reset", **sent, password="battery staple").status_code == 400
    assert server.refresh(login["refresh_token"]).json()["error_code"] == "InvalidSession"
    assert len(server.revoked) == 1
    assert server.try_login().status_code == 401
    assert server.try_login(password="battery staple").status_code == 200


def test_tokens_end_in_time(server: AuthServer, mailbox: Mailbox) -> None:
    """A mail that lies about is worth nothing after half an hour."""
    server.register()
    sent = mailbox.last(1)
    server.clock.pass_time(1801)

    assert server.email("confirm", **sent).status_code == 400


@pytest.mark.parametrize("verb", ["confirm/send", "reset/send"])
def test_unknown_addresses_are_answered_alike(
    server: AuthServer, mailbox: Mailbox, verb: str
) -> None:
    """Known, confirmed and unknown addresses get the same answer; only the mailbox tells."""
    server.register()
    server.email("confirm", **mailbox.last(1))

    known = server.email(verb, email=EMAIL)
    unknown = server.email(verb, email="bob@example.com")

    assert known.status_code == unknown.status_code == 204
    assert known.content == unknown.content == b""
    assert known.headers.keys() == unknown.headers.keys()
    assert all(mail.to == EMAIL for mail in mailbox.mails)


def test_registration_can_conceal_which_accounts_exist(
    start_server: StartServer, mailbox: Mailbox
) -> None:
    """With the setting a name that is taken is answered like a new one, and stays as it is."""
    email = EmailSettings(
        confirmation="mail", confirm_url="https://a.example", conceal_accounts=True
    )
    server = start_server(Extensions(mail=mailbox), email=email)
    first = server.register()
    server.email("confirm", **mailbox.last(1))

    second = server.register(password="battery staple")

    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert server.try_login().status_code == 200


def test_mails_are_slowed_down_per_account(start_server: StartServer, mailbox: Mailbox) -> None:
    """Nobody's mailbox is flooded, whether there is an account or not."""
    limits = ServerLimits(login_burst=2, logins_per_minute=60)
    server = start_server(Extensions(mail=mailbox), email=BY_MAIL, limits=limits)

    for email in (EMAIL, "bob@example.com"):
        codes = [server.email("reset/send", email=email).status_code for _ in range(3)]
        assert codes == [204, 204, 429]


def test_what_is_not_set_up_is_refused(start_server: StartServer) -> None:
    """By default addresses need no confirmation and there is no reset; bodies may be anything."""
    server = start_server()
    bodies: dict[str, dict[str, Any]] = {
        "confirm/send": {"email": EMAIL},
        "confirm/call": {"email": EMAIL},
        "reset/send": {"email": EMAIL},
        "reset/call": {"email": EMAIL, "password": PASSWORD, "arguments": []},
        "confirm": {"token": "x", "tokenId": "y"},
        "reset": {"token": "x", "tokenId": "y", "password": PASSWORD},
    }
    for verb, body in bodies.items():
        assert server.email(verb, **body).status_code == 400
        assert server.email(verb, other=1).json()["error_code"] == "BadRequest"


class Judge:
    """A confirmation or reset function whose answer the test sets."""

    def __init__(self) -> None:
        self.answer: Any = "success"
        self.asked: list[EmailRequest] = []

    async def __call__(self, request: EmailRequest) -> Any:
        self.asked.append(request)
        return self.answer


@pytest.fixture
def judged(start_server: StartServer) -> Callable[[Judge], AuthServer]:
    """A server that asks one function about both."""

    def start(judge: Judge) -> AuthServer:
        async def ask(request: EmailRequest) -> Any:
            return await judge(request)

        email = EmailSettings(confirmation="function", reset="function")
        return start_server(Extensions(confirm=ask, reset=ask), email=email)

    return start


def test_function_confirms(judged: Callable[[Judge], AuthServer]) -> None:
    """Success confirms at once, "pending" waits for the token, "fail" takes the account back."""
    judge = Judge()
    server = judged(judge)
    judge.answer = "fail"
    refused = server.register()
    assert (refused.status_code, refused.json()["error_code"]) == (400, "BadRequest")
    judge.answer = {"status": "pending"}
    assert server.register().status_code == 201
    assert server.try_login().json()["error_code"] == "AuthError"

    assert server.email("confirm/call", email=EMAIL).status_code == 204
    last = judge.asked[-1]
    body = {"token": last.token.reveal(), "tokenId": last.token_id}
    assert server.email("confirm", **body).status_code == 204
    assert server.try_login().status_code == 200
    judge.answer = "success"
    assert server.register("bob@example.com").status_code == 201
    assert server.try_login("bob@example.com").status_code == 200
    assert server.email("confirm/call", email="nobody@example.com").status_code == 204


def test_function_resets(judged: Callable[[Judge], AuthServer]) -> None:
    """The function sees the arguments and decides, about unknown addresses too."""
    judge = Judge()
    server = judged(judge)
    server.register()
    body: dict[str, Any] = {"password": "battery staple", "arguments": [{"$numberInt": "7"}]}

    judge.answer = "fail"
    for email in (EMAIL, "bob@example.com"):
        refused = server.email("reset/call", email=email, **body)
        assert (refused.status_code, refused.json()["error_code"]) == (400, "BadRequest")
    assert [(asked.known, asked.arguments) for asked in judge.asked[-2:]] == [
        (True, (7,)),
        (False, (7,)),
    ]
    judge.answer = "success"
    for email in (EMAIL, "bob@example.com"):
        assert server.email("reset/call", email=email, **body).status_code == 204
    assert server.try_login().status_code == 401
    assert server.try_login(password="battery staple").status_code == 200
    judge.answer = "pending"
    assert server.email("reset/call", email=EMAIL, **body).status_code == 204
    last = judge.asked[-1]
    reset = {"token": last.token.reveal(), "tokenId": last.token_id, "password": "correct horse 2"}
    assert server.email("reset", **reset).status_code == 204
    assert server.try_login(password="correct horse 2").status_code == 200


@pytest.mark.parametrize(
    ("email", "setting"),
    [
        (BY_MAIL, "mail.sender"),
        (EmailSettings(confirmation="function"), "hooks.confirm"),
        (EmailSettings(reset="function"), "hooks.reset"),
    ],
)
def test_settings_that_nobody_serves_are_refused(
    start_server: StartServer, email: EmailSettings, setting: str
) -> None:
    """A server that could not keep what its settings promise does not start."""
    with pytest.raises(InvalidConfig) as refused:
        start_server(email=email)

    assert refused.value.setting == setting
