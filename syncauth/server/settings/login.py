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
Algorithm = Literal["HS256", "RS256", "ES256"]


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
class TokenIssuer:
    """An issuer whose JWTs are accepted as custom tokens: its name, algorithm and key are fixed here.

    Exactly one of `key_env`, `key_file` and `jwks_url` is given. `fields` maps claims to the user's data.
    """

    name: str
    issuer: str
    audience: tuple[str, ...]
    algorithm: Algorithm
    key_env: str = ""
    key_file: Path | None = None
    jwks_url: str = ""
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Hooks:
    """Callables of the team as `"module:name"`."""

    custom_login: str | None = None
    custom_data: str | None = None
    confirm: str | None = None
    reset: str | None = None
    mail: str | None = None


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


def read_issuers(section: Section, folder: Path) -> tuple[TokenIssuer, ...]:
    """Read `[issuers.<name>]`, one for each issuer of custom tokens; key files are relative to `folder`."""
    issuers: list[TokenIssuer] = []
    for each in section.subsections():
        fields = each.section("fields")
        claims = tuple((claim, fields.text(claim)) for claim in fields.names())
        issuer = TokenIssuer(
            name=each.name,
            issuer=each.text("issuer"),
            audience=each.texts("audience"),
            algorithm=cast("Algorithm", each.choice("algorithm", ("ES256", "RS256", "HS256"))),
            key_env=each.optional_text("key_env") or "",
            key_file=each.path("key_file", folder),
            jwks_url=each.optional_text("jwks_url") or "",
            fields=claims,
        )
        each.finish()
        _check_issuer(each, issuer)
        if issuer.issuer and any(other.issuer == issuer.issuer for other in issuers):
            each.refuse("issuer", "it stands here twice", "Keep one of the two")
        issuers.append(issuer)
    return tuple(issuers)


def read_hooks(section: Section) -> Hooks:
    """Read `[hooks]`."""
    return Hooks(
        custom_login=section.optional_text("custom_login"),
        custom_data=section.optional_text("custom_data"),
        confirm=section.optional_text("confirm"),
        reset=section.optional_text("reset"),
        mail=section.optional_text("mail"),
    )


def read_functions(section: Section) -> Mapping[str, str]:
    """Read `[functions]`: each setting is a function's name."""
    return {name: section.text(name) for name in section.names()}


def _check_issuer(section: Section, issuer: TokenIssuer) -> None:
    if not issuer.audience:
        remedy = (
            "Give the audience that the issuer writes for this app: tokens for others do not count"
        )
        section.refuse("audience", "it is missing", remedy)
    keys = sum(map(bool, (issuer.key_env, issuer.key_file, issuer.jwks_url)))
    if keys != 1 and section.sound("key_env", "key_file", "jwks_url"):
        remedy = "Give exactly one of key_env, key_file and jwks_url"
        section.refuse(None, "its key is not clear", remedy)
    if issuer.jwks_url:
        if not _is_safe(issuer.jwks_url):
            why = "whoever stands in between could put keys in"
            section.refuse("jwks_url", why, "Use https")
        if issuer.algorithm == "HS256":
            why = "a shared secret is not published"
            section.refuse("jwks_url", why, "Use key_env or key_file for HS256")


def _is_safe(url: str) -> bool:
    """Tell whether it is an https address, or one of this machine."""
    try:
        place = urlsplit(url)
    except ValueError:
        return False
    loopback = place.hostname in {"127.0.0.1", "::1", "localhost"}
    return place.scheme == "https" or (place.scheme == "http" and loopback)


def _url(section: Section, name: str) -> str:
    url = section.optional_text(name) or ""
    try:
        whole = not url or bool(urlsplit(url).scheme)
    except ValueError:
        whole = False
    if not whole:
        section.refuse(name, f"it is {url!r}", "Give a whole URL")
    return url
