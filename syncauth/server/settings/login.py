"""
The settings of `syncauth.toml` about logins and what a team adds: its sections, read and checked.

Secrets do not stand in the file: they are named by an environment variable or a file. This module must never import
what the settings name, nor read a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from syncauth.server.settings.section import Section

MINUTE: Final = 60
DAY: Final = 24 * 3600

Confirmation = Literal["automatic", "mail", "function"]
Reset = Literal["off", "mail", "function"]
MailSender = Literal["none", "console", "smtp"]
SmtpTls = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class EmailSettings:
    """How email addresses are confirmed and passwords reset.

    `conceal_accounts` answers the registration of a known address like that of a new one.
    """

    confirmation: Confirmation = "automatic"
    reset: Reset = "off"
    confirm_url: str = ""
    reset_url: str = ""
    token_seconds: int = 1800
    conceal_accounts: bool = False


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Who sends mail, and through which SMTP server."""

    sender: MailSender = "none"
    from_address: str = ""
    smtp_host: str = "localhost"
    smtp_port: int = 587
    smtp_tls: SmtpTls = "starttls"
    smtp_user: str = ""
    smtp_password_env: str = ""
    smtp_password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Hooks:
    """Callables of the team as `"module:name"`."""

    custom_login: str | None = None
    custom_data: str | None = None
    confirm: str | None = None
    reset: str | None = None
    mail: str | None = None
    authenticate: str | None = None


@dataclass(frozen=True, slots=True)
class NamedFunction:
    """A function as `"module:name"`, whether a process of its own runs it, and after how many seconds it is over."""

    call: str
    process: bool = False
    seconds: int | None = None


def read_email(section: Section) -> EmailSettings:
    """Read `[email]`."""
    email = EmailSettings(
        confirmation=cast(
            "Confirmation", section.choice("confirmation", ("automatic", "mail", "function"))
        ),
        reset=cast("Reset", section.choice("reset", ("off", "mail", "function"))),
        confirm_url=_url(section, "confirm_url"),
        reset_url=_url(section, "reset_url"),
        token_seconds=section.integer("token_seconds", 1800, low=MINUTE, high=7 * DAY),
        conceal_accounts=section.flag("conceal_accounts", default=False),
    )
    for name, wanted, url in (
        ("confirm_url", email.confirmation == "mail", email.confirm_url),
        ("reset_url", email.reset == "mail", email.reset_url),
    ):
        if wanted and not url:
            remedy = "Give the address of the page that passes token and tokenId on to the app"
            section.refuse(name, "it is missing", remedy)
    if email.conceal_accounts and email.confirmation != "mail" and section.sound("confirmation"):
        why = "whoever can log in at once after the registration learns whether the account is new"
        remedy = 'Set email.confirmation = "mail"'
        section.refuse("conceal_accounts", why, remedy)
    return email


def read_mail(section: Section, folder: Path, *, test_mode: bool) -> MailSettings:
    """Read `[mail]`; the file of the password is relative to `folder`."""
    standard = MailSettings()
    env, file = section.secret("smtp_password", folder)
    mail = MailSettings(
        sender=cast("MailSender", section.choice("sender", ("none", "console", "smtp"))),
        from_address=section.optional_text("from_address") or "",
        smtp_host=section.text("smtp_host", standard.smtp_host),
        smtp_port=section.integer("smtp_port", standard.smtp_port, low=1, high=65535),
        smtp_tls=cast("SmtpTls", section.choice("smtp_tls", ("starttls", "tls", "none"))),
        smtp_user=section.optional_text("smtp_user") or "",
        smtp_password_env=env,
        smtp_password_file=file,
    )
    if mail.sender == "console" and not test_mode:
        remedy = "Use it with server.test_mode = true only: it prints tokens"
        section.refuse("sender", 'it is "console"', remedy)
    if mail.sender == "smtp" and not mail.from_address:
        section.refuse("from_address", "it is missing", "Give the address that mail comes from")
    near = mail.smtp_host in {"localhost", "127.0.0.1", "::1"} or not section.sound("smtp_host")
    if mail.smtp_tls == "none" and not near:
        why = "tokens and the password would travel in clear text"
        section.refuse("smtp_tls", why, 'Use "starttls" or "tls"')
    if bool(mail.smtp_user) != bool(env or file) and section.sound(
        "smtp_user", "smtp_password_env", "smtp_password_file"
    ):
        remedy = "Give smtp_user, and one of smtp_password_env and smtp_password_file"
        section.refuse("smtp_user", "a name needs a password and a password a name", remedy)
    return mail


def read_hooks(section: Section) -> Hooks:
    """Read `[hooks]`."""
    return Hooks(
        custom_login=section.optional_text("custom_login"),
        custom_data=section.optional_text("custom_data"),
        confirm=section.optional_text("confirm"),
        reset=section.optional_text("reset"),
        mail=section.optional_text("mail"),
        authenticate=section.optional_text("authenticate"),
    )


def read_functions(section: Section) -> Mapping[str, NamedFunction]:
    """Read `[functions]`: each setting is a function's name, its value a text or a table."""
    return {name: _function(section, name) for name in section.names()}


def _function(section: Section, name: str) -> NamedFunction:
    if not section.is_table(name):
        return NamedFunction(section.text(name))
    table = section.section(name)
    function = NamedFunction(
        call=table.text("call"),
        process=table.flag("process", default=False),
        seconds=table.integer("seconds", 0, low=1, high=3_600) if table.has("seconds") else None,
    )
    table.finish()
    return function


def _url(section: Section, name: str) -> str:
    url = section.optional_text(name) or ""
    try:
        whole = not url or bool(urlsplit(url).scheme)
    except ValueError:
        whole = False
    if not whole:
        section.refuse(name, f"it is {url!r}", "Give a whole URL")
    return url
