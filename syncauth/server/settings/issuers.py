"""
The settings `[issuers.<name>]`: other issuers whose tokens are accepted, and for what.

What a token must be is fixed here: issuer, audience, algorithm, key, kind and required claims; nothing of it is taken
from a token. This module must never read a key or ask an issuer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast, get_args
from urllib.parse import urlsplit

from syncauth.server.settings.section import Section

Algorithm = Literal["HS256", "RS256", "ES256"]
TokenKind = Literal["any", "access", "id"]
AudienceMatch = Literal["any", "all"]
Provider = Literal["custom-token", "oauth2-google", "oauth2-apple", "oauth2-facebook"]
"""The logins of App Services at which tokens of other issuers are taken."""

Use = Provider | Literal["sync"]
"""Where a token is taken: at the login of a provider, or on the sync socket."""

PROVIDERS: Final[tuple[Provider, ...]] = get_args(Provider)

LONGEST_LEEWAY: Final = 60
"""Seconds; more would be a life of its own (RFC 7519 section 4.1.4: "no more than a few minutes")."""

Scalar = str | int | bool


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """An issuer whose JWTs are accepted: its name, algorithm and key are fixed here.

    Exactly one of `key_env`, `key_file`, `jwks_url` and `discovery` is given. `fields` maps claims
    to the user's data; `required` maps claims to the values of which one must be there, none for
    any; the name of a claim may be a path, "a.b". `clients` are those whom a token may be issued
    to, none for anybody. `leeway_seconds` is how far the issuer's clock may be off. `provider` is
    the login at which its tokens are taken, and the type of the identities that they prove.
    """

    name: str
    issuer: str
    audience: tuple[str, ...]
    algorithm: Algorithm
    key_env: str = ""
    key_file: Path | None = None
    jwks_url: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    discovery: bool = False
    login: bool = True
    sync: bool = False
    token: TokenKind = "any"  # noqa: S105 - the name of a kind
    audience_match: AudienceMatch = "any"
    clients: tuple[str, ...] = ()
    required: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()
    leeway_seconds: int = 0
    provider: Provider = "custom-token"

    def serves(self, use: Use) -> bool:
        """Tell whether its tokens are taken at that provider's login, or on the sync socket."""
        return self.sync if use == "sync" else self.login and self.provider == use


def read_issuers(section: Section, folder: Path) -> tuple[TokenIssuer, ...]:
    """Read `[issuers.<name>]`, one for each issuer and kind of its tokens."""
    issuers: list[TokenIssuer] = []
    for each in section.subsections():
        issuer = _read(each, folder)
        each.finish()
        _check_issuer(each, issuer)
        for other in issuers:
            if issuer.issuer and other.issuer == issuer.issuer:
                _check_both(each, issuer, other)
        issuers.append(issuer)
    return tuple(issuers)


def is_safe_place(url: str) -> bool:
    """Tell whether keys may be fetched there: https, or http to loopback."""
    try:
        place = urlsplit(url)
        host = place.hostname
    except ValueError:
        return False
    if not host or place.username is not None or place.fragment:
        return False
    return place.scheme == "https" or (place.scheme == "http" and is_loopback(url))


def is_loopback(url: str) -> bool:
    """Tell whether a URL names this machine."""
    return urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}


def _read(section: Section, folder: Path) -> TokenIssuer:
    fields = section.section("fields")
    return TokenIssuer(
        name=section.name,
        issuer=section.text("issuer"),
        audience=section.texts("audience"),
        algorithm=cast("Algorithm", section.choice("algorithm", ("ES256", "RS256", "HS256"))),
        key_env=section.optional_text("key_env") or "",
        key_file=section.path("key_file", folder),
        jwks_url=section.optional_text("jwks_url") or "",
        fields=tuple((claim, fields.text(claim)) for claim in fields.names()),
        discovery=section.flag("discovery", default=False),
        login=section.flag("login", default=True),
        sync=section.flag("sync", default=False),
        token=cast("TokenKind", section.choice("token", ("any", "access", "id"))),
        audience_match=cast("AudienceMatch", section.choice("audience_match", ("any", "all"))),
        clients=section.texts("clients"),
        required=_required(section.section("required")),
        leeway_seconds=section.integer("leeway_seconds", 0, low=0, high=LONGEST_LEEWAY),
        provider=cast("Provider", section.choice("provider", PROVIDERS)),
    )


def _required(section: Section) -> tuple[tuple[str, tuple[Scalar, ...]], ...]:
    return tuple((claim, section.scalars(claim)) for claim in section.names())


def _check_both(section: Section, one: TokenIssuer, other: TokenIssuer) -> None:
    """Check two sections of one issuer; `section` is that of the first."""
    if (one.login and other.login) or (one.sync and other.sync):
        remedy = "Keep one of the two, or let one serve login and the other sync"
        section.refuse("issuer", "it stands here twice", remedy)
    if one.provider != other.provider and section.sound("provider"):
        why = f"{other.name} has another, so that one person would be two users"
        section.refuse("provider", why, "Give both sections of the issuer the same")


def _check_issuer(section: Section, issuer: TokenIssuer) -> None:
    if not issuer.audience:
        remedy = (
            "Give the audience that the issuer writes for this app: tokens for others do not count"
        )
        section.refuse("audience", "it is missing", remedy)
    if not issuer.login and not issuer.sync:
        remedy = "Set login or sync to true, or remove the section"
        section.refuse(None, "its tokens are good for nothing", remedy)
    keys = (issuer.key_env, issuer.key_file, issuer.jwks_url, issuer.discovery)
    if sum(map(bool, keys)) != 1 and section.sound("key_env", "key_file", "jwks_url", "discovery"):
        remedy = "Give exactly one of key_env, key_file, jwks_url and discovery"
        section.refuse(None, "its key is not clear", remedy)
    for setting, given, url in (
        ("jwks_url", bool(issuer.jwks_url), issuer.jwks_url),
        ("issuer", issuer.discovery, issuer.issuer),
    ):
        if not given:
            continue
        if not is_safe_place(url):
            why = "whoever stands in between could put keys in"
            section.refuse(setting, why, "Use an address with https")
        if issuer.algorithm == "HS256":
            why = "a shared secret is not published"
            section.refuse(setting, why, "Use key_env or key_file for HS256")
    if issuer.discovery and "?" in issuer.issuer:
        why = "an issuer has no query"  # OpenID Connect Discovery 1.0, section 3
        section.refuse("issuer", why, "Write it as the issuer does")
