"""The logins of Google, Apple and Facebook: who comes in with which token, and who does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import pytest

from syncauth.adapters.http_calls import HttpCalls
from syncauth.adapters.http_provider import HttpProvider
from syncauth.config import AppConfig
from syncauth.errors import CredentialsRefused, SyncAuthError
from syncauth.models import Credentials, Refused, Renewed
from syncauth.server.clock import SystemClock
from syncauth.server.settings.config import ServerLimits
from syncauth.server.settings.issuers import Provider, TokenIssuer
from tests.integration.auth_api.conftest import EMAIL, AuthServer, StartServer
from tests.support.app_services import drive
from tests.support.foreign_issuer import KeyPlace, key_place, new_key, sign

AUDIENCE = "field-notes"
GOOGLE: Provider = "oauth2-google"
APPLE: Provider = "oauth2-apple"
FACEBOOK: Provider = "oauth2-facebook"
FIELDS: dict[Provider, str] = {GOOGLE: "id_token", APPLE: "id_token", FACEBOOK: "accessToken"}
SOCIAL = tuple(FIELDS)
KEY = new_key("RS256")
OPAQUE = "EAABsbCS1iHgBAKZCopaque"


@pytest.fixture
def places() -> Iterator[dict[Provider, KeyPlace]]:
    """An issuer for each provider, each at a place of its own; they share a key."""
    with ExitStack() as stack:
        made = {each: stack.enter_context(key_place()) for each in SOCIAL}
        for place in made.values():
            place.publish(KEY)
        yield made


def issuer(provider: Provider, place: KeyPlace, **more: Any) -> TokenIssuer:
    """Return the settings of an issuer whose keys are found by discovery."""
    return TokenIssuer(
        f"issuers.{provider}",
        place.issuer,
        (AUDIENCE,),
        "RS256",
        discovery=True,
        fields=(("email", "email"),),
        provider=provider,
        **more,
    )


@pytest.fixture
def issuers(places: dict[Provider, KeyPlace]) -> tuple[TokenIssuer, ...]:
    """The settings of all three."""
    return (
        issuer(GOOGLE, places[GOOGLE]),
        issuer(APPLE, places[APPLE]),
        issuer(FACEBOOK, places[FACEBOOK]),
    )


@pytest.fixture
def server(start_server: StartServer, issuers: tuple[TokenIssuer, ...]) -> AuthServer:
    """A server that takes the tokens of all three."""
    return start_server(issuers=issuers)


def token(place: KeyPlace, **changes: Any) -> str:
    """Let an issuer sign a token."""
    return sign(KEY, "RS256", place.claims(**{"email": EMAIL, **changes}), kid="k1", typ="JWT")


def log_in(server: AuthServer, provider: Provider, text: str, **more: Any) -> Any:
    """Log in as an app with tokens of that provider does."""
    body = {FIELDS[provider]: text, "options": {"rotate": True}}
    return server.log_in_with(provider, body, **more)


def told(answer: Any) -> tuple[int, str]:
    """Return status and code of a refusal."""
    return answer.status_code, answer.json()["error_code"]


@pytest.mark.parametrize("provider", SOCIAL)
def test_a_token_of_the_provider_logs_in(
    server: AuthServer, places: dict[Provider, KeyPlace], provider: Provider
) -> None:
    """Whoever a token names is the same user each time, known by issuer and subject; the profile names the provider."""
    by_password = server.log_in()
    first = log_in(server, provider, token(places[provider]))
    again = log_in(server, provider, token(places[provider], email="other@example.com"))
    other = log_in(server, provider, token(places[provider], sub="bob"))

    assert first.status_code == again.status_code == other.status_code == 200
    assert first.json()["user_id"] == again.json()["user_id"]
    users = {each["user_id"] for each in (first.json(), other.json(), by_password)}
    assert len(users) == 3, "an email address names nobody"
    profile = server.profile(again.json()["access_token"]).json()
    assert [each["provider_type"] for each in profile["identities"]] == [provider]
    assert profile["data"] == {"email": "other@example.com"}
    assert server.refresh(first.json()["refresh_token"]).status_code == 201


def test_each_login_takes_the_tokens_of_its_own_issuers(
    server: AuthServer, places: dict[Provider, KeyPlace]
) -> None:
    """A good token of one provider is nothing at another's login; one subject of two issuers is two users."""
    for provider in SOCIAL:
        for other in set(SOCIAL) - {provider}:
            answer = log_in(server, provider, token(places[other]))
            assert told(answer) == (401, "AuthError")
    custom = server.log_in_with("custom-token", {"token": token(places[GOOGLE])})
    users = {log_in(server, each, token(places[each])).json()["user_id"] for each in SOCIAL}

    assert told(custom) == (404, "AuthProviderNotFound")
    assert len(users) == 3


@pytest.mark.parametrize("provider", SOCIAL)
def test_without_an_issuer_the_provider_is_not_found(
    start_server: StartServer, places: dict[Provider, KeyPlace], provider: Provider
) -> None:
    """Whatever is sent: also if there is an issuer for custom tokens, or one that serves the socket alone."""
    place, own = places[GOOGLE], places[provider]
    custom = TokenIssuer("issuers.id", place.issuer, (AUDIENCE,), "RS256", discovery=True)
    only_sync = replace(custom, provider=provider, login=False, sync=True)
    for configured in ((), (custom,), (only_sync,)):
        server = start_server(issuers=configured)
        for body in ({}, {FIELDS[provider]: token(own)}, {FIELDS[provider]: 3}):
            answer = server.log_in_with(provider, body)
            assert told(answer) == (404, "AuthProviderNotFound")


@pytest.mark.parametrize("provider", SOCIAL)
def test_other_tokens_are_refused(
    server: AuthServer, places: dict[Provider, KeyPlace], provider: Provider
) -> None:
    """Issuer, audience, end and key are checked as those of custom tokens are; never is it `InvalidSession`."""
    place = places[provider]
    forged = sign(new_key("RS256"), "RS256", place.claims(), kid="k1")
    bad = {
        "audience": token(place, aud="another-app"),
        "issuer": token(place, iss="https://evil.example"),
        "no subject": token(place, sub=None),
        "no end": token(place, exp=None),
        "expired": token(place, exp=int(server.clock.wall())),
        "key": forged,
        "algorithm": sign(new_key("ES256"), "ES256", place.claims(), kid="k1"),
        "none": f"eyJhbGciOiJub25lIn0.{token(place).split('.')[1]}.",
        "signature": token(place)[:-6] + "AAAAAA",
    }
    for name, text in bad.items():
        answer = log_in(server, provider, text)
        assert told(answer) == (401, "AuthError"), name
        assert answer.json()["error"] in {"signature is invalid", "token expired"}


def test_required_claims_hold(start_server: StartServer, places: dict[Provider, KeyPlace]) -> None:
    """What the settings ask of a token is asked here too, as of Google `hd`, the domain of a company."""
    place = places[GOOGLE]
    required = (("hd", ("example.com",)),)
    server = start_server(issuers=(issuer(GOOGLE, place, required=required),))

    assert told(log_in(server, GOOGLE, token(place))) == (401, "AuthError")
    assert log_in(server, GOOGLE, token(place, hd="example.com")).status_code == 200


def test_a_code_of_google_is_told_to_be_no_use(server: AuthServer) -> None:
    """The server exchanges nothing at Google, and says what it takes instead, without what was sent."""
    answer = server.log_in_with(GOOGLE, {"authCode": "4/the-code"})
    nothing = server.log_in_with(GOOGLE, {"redirectUrl": "https://app.example/"})

    assert told(answer) == told(nothing) == (400, "BadRequest")
    assert "only an id_token" in answer.json()["error"]
    assert "the-code" not in answer.text
    assert "id_token is missing" in nothing.json()["error"]
    for provider in (APPLE, FACEBOOK):
        assert told(server.log_in_with(provider, {})) == (400, "BadRequest")


def test_only_a_jwt_of_facebook_can_be_verified(server: AuthServer) -> None:
    """An opaque access token is refused with the reason, without its text."""
    answer = log_in(server, FACEBOOK, OPAQUE)

    assert told(answer) == (401, "AuthError")
    assert "Limited Login" in answer.json()["error"]
    assert OPAQUE not in answer.text


@pytest.mark.parametrize("provider", SOCIAL)
def test_an_identity_of_the_provider_is_linked(
    server: AuthServer, places: dict[Provider, KeyPlace], provider: Provider
) -> None:
    """A guest becomes whom the token names and stays the same user; an identity of another user is refused."""
    guest = server.log_in_with("anon-user", {"options": {"rotate": True}}).json()
    owner = log_in(server, provider, token(places[provider], sub="bob"))
    access = guest["access_token"]

    linked = log_in(server, provider, token(places[provider]), link=access)
    taken = log_in(server, provider, token(places[provider], sub="bob"), link=access)
    forged = log_in(server, provider, token(places[provider], aud="evil"), link=access)
    later = log_in(server, provider, token(places[provider]))

    assert owner.status_code == linked.status_code == 200
    assert linked.json()["user_id"] == later.json()["user_id"] == guest["user_id"]
    assert "refresh_token" not in linked.json()
    kinds = server.profile(linked.json()["access_token"]).json()["identities"]
    assert {each["provider_type"] for each in kinds} == {"anon-user", provider}
    assert told(taken) == (409, "AccountNameInUse")
    assert told(forged) == (401, "AuthError")


@pytest.mark.parametrize("provider", SOCIAL)
def test_a_denied_subject_is_kept_out(
    server: AuthServer, places: dict[Provider, KeyPlace], provider: Provider
) -> None:
    """Its session ends and it neither logs in nor is linked, until it is allowed again (I3)."""
    place, store = places[provider], server.other_process()
    login = log_in(server, provider, token(place)).json()
    guest = server.log_in_with("anon-user", {"options": {"rotate": True}}).json()

    store.deny_subject(place.issuer, "ann", server.clock.wall())
    refreshed = server.refresh(login["refresh_token"])
    again = log_in(server, provider, token(place))
    linked = log_in(server, provider, token(place), link=guest["access_token"])
    bob = log_in(server, provider, token(place, sub="bob"))
    assert store.allow_subject(place.issuer, "ann")
    allowed = log_in(server, provider, token(place))

    assert told(refreshed) == (401, "InvalidSession")
    assert told(again) == told(linked) == (401, "UserDisabled")
    assert bob.status_code == 200
    assert allowed.json()["user_id"] == login["user_id"]


@pytest.mark.parametrize("provider", SOCIAL)
def test_a_disabled_or_removed_user_is_told(
    server: AuthServer, places: dict[Provider, KeyPlace], provider: Provider
) -> None:
    """A disabled user does not come in; whoever was removed logs in as a new user."""
    store = server.other_process()
    login = log_in(server, provider, token(places[provider])).json()

    store.disable_user(login["user_id"], server.clock.wall())
    assert told(log_in(server, provider, token(places[provider]))) == (401, "UserDisabled")
    store.remove_user(login["user_id"], server.clock.wall())
    anew = log_in(server, provider, token(places[provider]))

    assert anew.status_code == 200
    assert anew.json()["user_id"] != login["user_id"]


@pytest.mark.parametrize("provider", SOCIAL)
def test_failures_slow_down_and_successes_do_not(
    start_server: StartServer,
    issuers: tuple[TokenIssuer, ...],
    places: dict[Provider, KeyPlace],
    provider: Provider,
) -> None:
    """Bad tokens use up what one address may try; good ones never do; other providers go on."""
    server = start_server(issuers=issuers, limits=ServerLimits(login_burst=2))
    good, bad = token(places[provider]), token(places[provider], aud="evil")
    for _ in range(5):
        assert log_in(server, provider, good).status_code == 200
    refused = [log_in(server, provider, bad) for _ in range(3)]
    other = next(each for each in SOCIAL if each != provider)

    assert [each.status_code for each in refused] == [401, 401, 429]
    assert int(refused[2].headers["Retry-After"]) > 0
    assert log_in(server, other, token(places[other])).status_code == 200


def test_without_the_provider_s_keys_one_is_asked_to_come_again(
    server: AuthServer, places: dict[Provider, KeyPlace]
) -> None:
    """Keys that have never been had are no fault of who logs in."""
    places[APPLE].status = 500

    answer = log_in(server, APPLE, token(places[APPLE]))

    assert told(answer) == (503, "ServiceUnavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_realm_web_logs_in(
    start_server: StartServer, issuers: tuple[TokenIssuer, ...], places: dict[Provider, KeyPlace]
) -> None:
    """An app that is built on realm-web logs in with Google, Apple and Facebook, and links, unchanged."""
    server = start_server(None, SystemClock(), issuers=issuers)
    tokens = [token(places[each]) for each in SOCIAL]

    assert drive("social.js", server.url, *tokens, token(places[APPLE], sub="eve")) == {
        "providers": [[each, EMAIL] for each in SOCIAL],
        "users": 3,
        "same": True,
        "linked": ["anon-user", APPLE],
        "sameAfterLink": True,
        "takenLink": "409 AccountNameInUse",
        "byCode": "400 BadRequest",
        "opaque": "401 AuthError",
        "state": "logged-out",
    }


async def test_the_own_client_logs_in(server: AuthServer, places: dict[Provider, KeyPlace]) -> None:
    """Credentials of all three open a session that renews, and what the server does not take is a typed error."""
    config = AppConfig(server.url, "field-notes", PurePath("unused"))
    provider = HttpProvider(HttpCalls(config, clock=server.clock))
    try:
        for place, credentials in (
            (places[GOOGLE], Credentials.google(id_token=token(places[GOOGLE]))),
            (places[APPLE], Credentials.apple(token(places[APPLE]))),
            (places[FACEBOOK], Credentials.facebook(token(places[FACEBOOK]))),
        ):
            login = await provider.log_in(credentials)
            assert [each.provider_type for each in login.profile.identities] == [
                credentials.provider
            ]
            assert login.profile.data == {"email": EMAIL}
            renewed = await provider.refresh(login.tokens.refresh, "id-1")
            assert isinstance(renewed, Renewed)
            server.other_process().deny_subject(place.issuer, "ann", server.clock.wall())
            assert isinstance(await provider.refresh(renewed.tokens.refresh, "id-2"), Refused)
        with pytest.raises(CredentialsRefused):
            await provider.log_in(Credentials.facebook(OPAQUE))
        with pytest.raises(SyncAuthError, match="only an id_token"):
            await provider.log_in(Credentials.google(auth_code="4/code"))
    finally:
        await provider.aclose()
