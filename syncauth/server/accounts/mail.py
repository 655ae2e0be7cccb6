"""
Sending mail: to the console, through SMTP, or by the team's function, one after the other in a thread.

Nobody waits for a mail: whether and when it went out must not show in an answer. This module must never log the text
of a mail, which holds a token, nor the address that it goes to.
"""

from __future__ import annotations

import contextvars
import logging
import queue
import smtplib
import ssl
import sys
import threading
from collections.abc import Callable
from email.message import EmailMessage
from typing import Final

from syncauth.models import Secret
from syncauth.server.accounts.secret_sources import read_secret
from syncauth.server.settings.login import MailSettings
from syncauth.server.team.extensions import Mail

LOGGER: Final = logging.getLogger("syncauth.server.accounts.mail")
LONGEST_LINE: Final = 1_000
SECONDS: Final = 20.0

Sender = Callable[[Mail], None]

Told = Callable[[str], None]
"""Called with what became of a mail: `sent`, `failed` or `dropped`."""


def tell_nobody(outcome: str) -> None:
    """Count nothing."""


class Post:
    """A line of mail and the thread that sends it."""

    def __init__(self, sender: Sender | None, told: Told = tell_nobody) -> None:
        """Take who sends; without one every mail is told in the log as not sent. `told` counts."""
        self._sender = sender
        self._told = told
        self._line: queue.Queue[tuple[Mail, contextvars.Context] | None] = queue.Queue(LONGEST_LINE)
        self._thread: threading.Thread | None = None

    def send(self, mail: Mail) -> None:
        """Put a mail in the line; a full line drops it, and the log says so."""
        if self._sender is None:
            LOGGER.error("a mail was not sent: mail.sender is not set")
            self._told("dropped")
            return
        if self._thread is None:
            # A daemon: a mail server that does not answer must not keep the program from ending.
            self._thread = threading.Thread(
                target=self._serve, args=(self._sender,), name="syncauth-mail", daemon=True
            )
            self._thread.start()
        try:
            self._line.put_nowait((mail, contextvars.copy_context()))
        except queue.Full:
            LOGGER.exception("a mail was not sent: too many are waiting")
            self._told("dropped")

    def close(self, seconds: float = 2.0) -> None:
        """Send what stands in the line, but for no longer than that; idempotent."""
        if self._thread is not None:
            self._line.put(None)
            self._thread.join(seconds)
            self._thread = None

    def _serve(self, sender: Sender) -> None:
        while (waiting := self._line.get()) is not None:
            mail, context = waiting
            context.run(self._send, sender, mail)

    def _send(self, sender: Sender, mail: Mail) -> None:
        try:
            sender(mail)
        except Exception as error:  # noqa: BLE001 - the next mail must go out all the same
            LOGGER.error("a mail was not sent: %s", type(error).__name__)  # noqa: TRY400 - its text may hold the mail
            self._told("failed")
        else:
            self._told("sent")


class SmtpSender:
    """Sends each mail over a connection of its own (RFC 5321, RFC 3207)."""

    def __init__(self, settings: MailSettings, password: Secret | None) -> None:
        """Take `[mail]` and the password of `smtp_user`."""
        self._settings = settings
        self._password = password

    def __call__(self, mail: Mail) -> None:
        """Send it; raises what `smtplib` raises."""
        message = EmailMessage()
        message["From"] = self._settings.from_address
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message.set_content(mail.text)
        with self._connect() as server:
            if self._settings.smtp_tls == "starttls":
                server.starttls(context=ssl.create_default_context())
            if self._settings.smtp_user and self._password is not None:
                server.login(self._settings.smtp_user, self._password.reveal())
            server.send_message(message)

    def _connect(self) -> smtplib.SMTP:
        host, port = self._settings.smtp_host, self._settings.smtp_port
        if self._settings.smtp_tls == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=context)
        return smtplib.SMTP(host, port, timeout=SECONDS)


def print_mail(mail: Mail) -> None:
    """Write the mail to stderr, for development."""
    sys.stderr.write(f"mail to {mail.to}: {mail.subject}\n{mail.text}\n")
    sys.stderr.flush()


def open_sender(settings: MailSettings, function: Sender | None) -> Sender | None:
    """Return who sends: the team's function if there is one, else what `[mail]` says.

    Raises:
        InvalidConfig: the password is not where the settings say.
    """
    if function is not None:
        return function
    if settings.sender == "none":
        return None
    if settings.sender == "console":
        return print_mail
    env, file = settings.smtp_password_env, settings.smtp_password_file
    if not env and file is None:
        return SmtpSender(settings, None)
    return SmtpSender(settings, read_secret("mail.smtp_password", env=env, file=file))
