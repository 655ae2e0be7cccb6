"""Mail goes out through a real SMTP conversation, and a mail that does not is no reason to stop."""

from __future__ import annotations

import logging
import os
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.accounts.mail import Post, SmtpSender, open_sender
from syncauth.server.settings.login import MailSettings
from syncauth.server.team.extensions import Mail

MAIL = Mail("ann@example.com", "Confirm", "the token is hunter2\n")


class SmtpPlace:
    """What a mail server was told."""

    def __init__(self) -> None:
        self.port = 0
        self.lines: list[str] = []
        self.done = threading.Event()


@contextmanager
def smtp_place() -> Iterator[SmtpPlace]:
    """Listen on loopback and take one mail after the other (RFC 5321)."""
    place = SmtpPlace()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 ready")
            in_data = False
            for raw in self.rfile:
                line = raw.decode().rstrip("\r\n")
                place.lines.append(line)
                if in_data:
                    in_data = line != "."
                    if not in_data:
                        place.done.set()
                        self._say("250 taken")
                    continue
                in_data = line.upper() == "DATA"
                self._say("354 go on" if in_data else "250 ok")
                if line.upper() == "QUIT":
                    return

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    place.port = server.server_address[1]
    try:
        yield place
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_mail_goes_out_by_smtp() -> None:
    """Sender, receiver, subject and text arrive."""
    with smtp_place() as place:
        settings = MailSettings("smtp", "app@example.com", "127.0.0.1", place.port, "none")
        post = Post(open_sender(settings, None))
        post.send(MAIL)
        assert place.done.wait(10)
        post.close()
        post.close()

    told = "\n".join(place.lines)
    assert "mail FROM:<app@example.com>" in told
    assert "rcpt TO:<ann@example.com>" in told
    assert "Subject: Confirm" in told
    assert "the token is hunter2" in told


def test_a_mail_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """The next one goes out, and the log shows neither text nor address."""
    sent: list[Mail] = []

    def send(mail: Mail) -> None:
        if mail.subject == "bad":
            raise OSError(mail.text, mail.to)
        sent.append(mail)

    with caplog.at_level(logging.DEBUG):
        post = Post(open_sender(MailSettings(), send))
        post.send(Mail(MAIL.to, "bad", MAIL.text))
        post.send(MAIL)
        post.close(10)

    assert sent == [MAIL]
    assert "OSError" in caplog.text
    assert "hunter2" not in caplog.text + repr(MAIL)
    assert "ann@" not in caplog.text


def test_a_line_that_is_full_drops_what_comes(caplog: pytest.LogCaptureFixture) -> None:
    """A mail server that hangs cannot take all memory."""
    started, released = threading.Event(), threading.Event()

    def send(_mail: Mail) -> None:
        started.set()
        released.wait(10)

    post = Post(send)
    for _ in range(1_010):
        post.send(MAIL)
    assert started.wait(10)
    released.set()
    post.close(10)

    assert "too many" in caplog.text


def test_without_a_sender_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """A mail that nobody sends is no secret to whoever runs the server."""
    assert open_sender(MailSettings(), None) is None
    Post(None).send(MAIL)

    assert "mail.sender" in caplog.text


def test_console_shows_the_mail(capsys: pytest.CaptureFixture[str]) -> None:
    """In development the token is read from the console, which is not stdout."""
    sender = open_sender(MailSettings("console"), None)
    assert sender is not None
    sender(MAIL)

    shown = capsys.readouterr()
    assert "hunter2" in shown.err
    assert shown.out == ""


def test_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not in the settings; without it the server does not start."""
    settings = MailSettings("smtp", "a@example.com", smtp_user="a", smtp_password_env="SMTP_WORD")
    monkeypatch.delenv("SMTP_WORD", raising=False)
    with pytest.raises(InvalidConfig):
        open_sender(settings, None)
    monkeypatch.setitem(os.environ, "SMTP_WORD", "hunter2")

    sender = open_sender(settings, None)
    assert isinstance(sender, SmtpSender)
    assert "hunter2" not in repr(vars(sender))


def test_password_comes_from_a_file(tmp_path: Path) -> None:
    """I10: as containers give it; the sender does not show it."""
    (tmp_path / "word").write_text("hunter2\n")
    settings = MailSettings(
        "smtp", "a@example.com", smtp_user="a", smtp_password_file=tmp_path / "word"
    )

    sender = open_sender(settings, None)
    assert isinstance(sender, SmtpSender)
    assert "hunter2" not in repr(vars(sender))
