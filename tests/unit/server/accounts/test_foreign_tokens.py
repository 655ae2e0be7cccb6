"""What a token of another issuer must be: kinds, audiences, clients, required claims, times, fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from syncauth.models import Secret
from syncauth.server.accounts.claim_paths import ABSENT, find_claim
from syncauth.server.accounts.foreign_tokens import (
    LATEST,
    ForeignFault,
    ForeignTokens,
    ForeignUser,
)
from syncauth.server.settings.issuers import TokenIssuer
from tests.support.foreign_issuer import Key, new_key, sign, sign_with_text

ISS, NOW = "https://id.example", 1_700_000_000
KEY = new_key("ES256")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """The public half of the issuer's key."""
    path = tmp_path / "key.pem"
    path.write_bytes(KEY.as_pem(private=False))
    return path


def claims(**changes: Any) -> dict[str, Any]:
    """Return claims that are accepted, with changes; None leaves one out."""
    whole = {"iss": ISS, "sub": "ann", "aud": "notes", "exp": NOW + 600}
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


async def check(
    key_file: Path, told: dict[str, Any], *, key: Key = KEY, typ: str | None = None, **settings: Any
) -> ForeignUser | ForeignFault:
    """Check a token under these settings, for the custom-token login."""
    chosen = {"audience": ("notes",), **settings}
    audience = chosen.pop("audience")
    issuer = TokenIssuer("issuers.id", ISS, audience, "ES256", key_file=key_file, **chosen)
    header = {} if typ is None else {"typ": typ}
    token = Secret(sign(key, "ES256", told, **header))
    return await ForeignTokens((issuer,)).verify(token, "custom-token", wall=NOW, now=0)


@pytest.mark.parametrize(
    ("kind", "typ", "good"),
    [
        ("any", None, True),
        ("any", "JWT", True),
        ("any", "at+jwt", True),
        ("any", "logout+jwt", False),
        ("any", "dpop+jwt", False),
        ("access", "at+jwt", True),
        ("access", "application/AT+JWT", True),
        ("access", "JWT", False),
        ("access", None, False),
        ("id", "JWT", True),
        ("id", None, True),
        ("id", "at+jwt", False),
    ],
)
async def test_kind_of_token_is_told_by_its_type(
    key_file: Path, kind: str, typ: str | None, good: bool
) -> None:
    """Tokens for other purposes do not pass for this one (RFC 8725 section 3.11, RFC 9068 section 4)."""
    outcome = await check(key_file, claims(), typ=typ, token=kind)

    assert isinstance(outcome, ForeignUser) is good


@pytest.mark.parametrize(
    ("match", "audience", "told", "good"),
    [
        ("any", ("a", "b"), "b", True),
        ("any", ("a", "b"), ["x", "a"], True),
        ("any", ("a", "b"), ["x"], False),
        ("any", ("a",), [], False),
        ("all", ("a", "b"), "a", False),
        ("all", ("a", "b"), ["a", "b", "c"], True),
        ("all", ("a", "b"), ["a", "c"], False),
    ],
)
async def test_audience(
    key_file: Path, match: str, audience: tuple[str, ...], told: Any, good: bool
) -> None:
    """One of the audiences is enough, or all are needed, as the settings say."""
    outcome = await check(key_file, claims(aud=told), audience=audience, audience_match=match)

    assert isinstance(outcome, ForeignUser) is good


@pytest.mark.parametrize(
    ("settings", "told", "good"),
    [
        ({"clients": ("app",)}, {"azp": "app"}, True),
        ({"clients": ("app",)}, {"client_id": "app"}, True),
        ({"clients": ("app",)}, {"azp": "app", "client_id": "other"}, False),
        ({"clients": ("app",)}, {"azp": "other"}, False),
        ({"clients": ("app",)}, {}, False),
        ({}, {"azp": "anybody"}, True),
        ({"token": "id"}, {}, True),
        ({"token": "id"}, {"azp": "notes"}, True),
        ({"token": "id"}, {"azp": "other"}, False),
        ({"token": "id"}, {"aud": ["notes", "other"]}, False),
        ({"token": "id"}, {"aud": ["notes", "other"], "azp": "notes"}, True),
        ({"token": "id", "clients": ("app",)}, {"aud": ["notes", "x"], "azp": "app"}, True),
    ],
)
async def test_to_whom_it_was_given(
    key_file: Path, settings: dict[str, Any], told: dict[str, Any], good: bool
) -> None:
    """A token that was issued to another client does not count (OpenID Connect Core 1.0, 3.1.3.7)."""
    outcome = await check(key_file, claims(**told), **settings)

    assert isinstance(outcome, ForeignUser) is good


REALM = {"realm": {"roles": ["notes", "mail"], "level": 3, "ok": True}, "a.b": "dotted"}


@pytest.mark.parametrize(
    ("required", "good"),
    [
        (("realm.roles", ("notes",)), True),
        (("realm.roles", ("none", "mail")), True),
        (("realm.roles", ("none",)), False),
        (("realm.level", (3,)), True),
        (("realm.level", ("3",)), False),
        (("realm.level", (True,)), False),
        (("realm.ok", (1,)), False),
        (("realm.ok", (True,)), True),
        (("realm.other", ()), False),
        (("realm.level", ()), True),
        (("a.b", ("dotted",)), True),
        (("scope", ("write",)), True),
        (("scope", ("rite",)), False),
    ],
)
async def test_required_claims(key_file: Path, required: Any, good: bool) -> None:
    """A claim has one of the values, of the same type; lists and scopes hold it; nested ones are found."""
    told = claims(scope="read write", **REALM)
    outcome = await check(key_file, told, required=(required,))

    assert isinstance(outcome, ForeignUser) is good


async def test_fields_of_nested_claims(key_file: Path) -> None:
    """Fields of the user's data come out of nested claims; what is not there is left out."""
    fields = (("realm.level", "level"), ("a.b", "dotted"), ("realm.none", "x"), ("realm", "all"))
    outcome = await check(key_file, claims(**REALM), fields=fields)

    assert isinstance(outcome, ForeignUser)
    assert outcome.data == {"level": 3, "dotted": "dotted", "all": REALM["realm"]}


def test_paths_of_claims() -> None:
    """The whole name comes first; an escaped dot is part of a name; a path through a value ends."""
    told = {"a": {"b": 1, "c.d": 2}, "a.b": 3, "https://x.example/roles": 4}

    assert find_claim(told, "a.b") == 3
    assert find_claim(told, "a.c\\.d") == 2
    assert find_claim(told, "https://x.example/roles") == 4
    for name in ("a.b.c", "", ".", "a.", "a..b", "x"):
        assert find_claim(told, name) is ABSENT, name


@pytest.mark.parametrize(
    ("leeway", "told", "outcome"),
    [
        (0, {"exp": NOW}, ForeignFault.EXPIRED),
        (0, {"exp": NOW + 0.5}, NOW + 0.5),
        (5, {"exp": NOW - 4}, NOW + 1),
        (5, {"exp": NOW - 5}, ForeignFault.EXPIRED),
        (0, {"nbf": NOW + 1}, ForeignFault.INVALID),
        (5, {"nbf": NOW + 5}, NOW + 605),
        (5, {"nbf": NOW + 6}, ForeignFault.INVALID),
        (0, {"exp": 10**400}, ForeignFault.INVALID),
        (0, {"exp": "9999999999"}, ForeignFault.INVALID),
        (0, {"exp": True}, ForeignFault.INVALID),
    ],
)
async def test_times(key_file: Path, leeway: int, told: dict[str, Any], outcome: Any) -> None:
    """Leeway moves both ends by as much as the settings say, and what is no time is refused."""
    found = await check(key_file, claims(**told), leeway_seconds=leeway)

    assert (found.expires_at if isinstance(found, ForeignUser) else found) == outcome


@pytest.mark.parametrize("sub", ["x" * 256, "", "a\u0000b", "a\nb", 7, ["ann"]])
async def test_odd_subjects_are_refused(key_file: Path, sub: Any) -> None:
    """A subject is a printable text of at most 255 characters (OpenID Connect Core 1.0, section 2)."""
    assert await check(key_file, claims(sub=sub)) is ForeignFault.INVALID


async def test_one_issuer_serves_two_uses_apart(key_file: Path) -> None:
    """ID tokens log in and access tokens sync, each by its own settings and for nothing else."""
    id_tokens = TokenIssuer("issuers.a", ISS, ("app",), "ES256", key_file=key_file, token="id")
    access = TokenIssuer(
        "issuers.b",
        ISS,
        ("notes",),
        "ES256",
        key_file=key_file,
        login=False,
        sync=True,
        token="access",
    )
    tokens = ForeignTokens((id_tokens, access))
    id_token = Secret(sign(KEY, "ES256", claims(aud="app")))
    access_token = Secret(sign(KEY, "ES256", claims(), typ="at+jwt"))

    async def good(token: Secret, use: Any) -> bool:
        return isinstance(await tokens.verify(token, use, wall=NOW, now=0), ForeignUser)

    assert await good(id_token, "custom-token") and not await good(id_token, "sync")
    assert await good(access_token, "sync") and not await good(access_token, "custom-token")


async def test_tokens_of_nobody_known_concern_nobody(key_file: Path) -> None:
    """Only a token that names an issuer for the socket is looked at there."""
    issuer = TokenIssuer("issuers.id", ISS, ("notes",), "ES256", key_file=key_file, sync=True)
    tokens = ForeignTokens((issuer,))

    assert tokens.concern(Secret(sign(KEY, "ES256", claims())), "sync")
    assert not tokens.concern(Secret(sign(KEY, "ES256", claims(iss="https://evil"))), "sync")
    for text in ("", "a.b.c", "..", "x" * 20_000, "ä.ä.ä", sign(KEY, "ES256", {"iss": 7})):
        assert not tokens.concern(Secret(text), "sync")


@pytest.mark.parametrize(
    "text",
    [
        sign_with_text(KEY.as_pem(private=False), claims()),
        sign_with_text(b"", claims()),
        "eyJhbGciOiJub25lIn0." + sign(KEY, "ES256", claims()).split(".")[1] + ".",
        sign(new_key("RS256"), "RS256", claims()),
        sign(new_key("ES256"), "ES256", claims(), jwk=new_key("ES256").as_dict(private=False)),
        sign(new_key("ES256"), "ES256", claims(), jku="https://evil.example/keys"),
    ],
    ids=["public key as secret", "empty secret", "none", "another algorithm", "jwk", "jku"],
)
async def test_header_decides_nothing(key_file: Path, text: str) -> None:
    """Neither algorithm nor key comes from the token (RFC 8725 sections 2.1, 2.2, 3.1, 3.10)."""
    issuer = TokenIssuer("issuers.id", ISS, ("notes",), "ES256", key_file=key_file)
    tokens = ForeignTokens((issuer,))

    outcome = await tokens.verify(Secret(text), "custom-token", wall=NOW, now=0)

    assert outcome is ForeignFault.INVALID


@pytest.mark.parametrize(("exp", "good"), [(LATEST, True), (LATEST + 1, False), (1e308, False)])
async def test_an_end_beyond_all_calendars_is_none(key_file: Path, exp: float, good: bool) -> None:
    """I3: an end with which nothing can be reckoned must not reach the hub, which counts what is left in ms."""
    outcome = await check(key_file, claims(exp=exp))

    assert isinstance(outcome, ForeignUser) is good
    if not good:
        assert outcome is ForeignFault.INVALID
