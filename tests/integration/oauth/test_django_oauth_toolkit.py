"""Against django-oauth-toolkit, which takes an old refresh token again within a time of grace."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from syncauth.adapters.oauth_provider import OAuthProvider
from syncauth.errors import CredentialsRefused, InvalidConfig
from syncauth.models import Deferred, Misconfigured, Refused, Renewed, Secret
from tests.integration.oauth.conftest import MakeProvider
from tests.support.browser import Browser
from tests.support.lossy_proxy import LossyProxy
from tests.support.oauth_servers import (
    ANN,
    DJANGO_SECRET,
    PASSWORD,
    django_oauth_toolkit,
    endpoints,
    metadata,
)

pytestmark = pytest.mark.oauth


@pytest.fixture(scope="module")
def graceful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An issuer whose grace no test outlives."""
    with django_oauth_toolkit(tmp_path_factory.mktemp("graceful"), grace=600) as url:
        yield url


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An issuer without grace."""
    with django_oauth_toolkit(tmp_path_factory.mktemp("strict"), grace=0) as url:
        yield url


def by_password(connect: MakeProvider, issuer: str, **settings: object) -> OAuthProvider:
    settings = {
        "scopes": ["read"],
        "user_id_from": "userinfo",
        "client_secret": DJANGO_SECRET,
    } | settings
    return connect(issuer, "with-password", **settings)


async def by_browser(connect: MakeProvider, issuer: str, **settings: object) -> OAuthProvider:
    return connect(issuer, scopes=["openid", "read"], **settings)


async def session(provider: OAuthProvider) -> Secret:
    browser = Browser(username=ANN, password=PASSWORD, allow="Authorize")
    login = await provider.log_in(provider.browser_login(browser.open, wait=30))
    return login.tokens.refresh


async def test_a_browser_logs_a_person_in(graceful: str, connect: MakeProvider) -> None:
    """The ID token, signed with the server's key, names the user."""
    provider = await by_browser(connect, graceful)
    browser = Browser(username=ANN, password=PASSWORD, allow="Authorize")
    login = await provider.log_in(provider.browser_login(browser.open, wait=30))

    assert login.user_id == f"{graceful}|1"
    assert login.tokens.life == 60


async def test_a_password_logs_a_person_in(graceful: str, connect: MakeProvider) -> None:
    """The userinfo endpoint names the user where the grant gives no ID token."""
    provider = by_password(connect, graceful, scopes=["openid", "read"])
    login = await provider.log_in(provider.password_login(ANN, PASSWORD))

    assert login.user_id == f"{graceful}|1"


async def test_a_wrong_password_is_refused(graceful: str, connect: MakeProvider) -> None:
    """The server's code reaches the app, the password no text."""
    provider = by_password(connect, graceful)
    with pytest.raises(CredentialsRefused) as raised:
        await provider.log_in(provider.password_login(ANN, "not this one"))
    assert raised.value.code == "invalid_grant"
    assert "not this one" not in str(raised.value)


async def test_within_the_grace_a_repeat_gives_the_same_answer(
    graceful: str, connect: MakeProvider
) -> None:
    """A refresh whose answer was lost is sent again, and the session goes on with what comes."""
    provider = await by_browser(connect, graceful, repeat_safe=True)
    token = await session(provider)
    target = metadata(graceful)["token_endpoint"]
    async with LossyProxy(urlsplit(graceful).port or 0) as proxy:
        where = endpoints(graceful, token_endpoint=proxy.through(target))
        lossy = connect(graceful, endpoints=where, repeat_safe=True)
        proxy.swallow = True
        lost = await lossy.refresh(token, "id")
        proxy.swallow = False
        again = await lossy.refresh(token, "id")

    assert provider.repeat_safe
    assert isinstance(lost, Deferred) and lost.sent
    assert isinstance(again, Renewed), again
    assert isinstance(await provider.refresh(again.tokens.refresh, "id"), Renewed)


async def test_without_grace_an_old_token_ends_the_family(
    strict: str, connect: MakeProvider
) -> None:
    """The reuse is refused by proof, and so is the newest token from then on."""
    provider = await by_browser(connect, strict)
    first = await session(provider)
    renewed = await provider.refresh(first, "id")
    assert isinstance(renewed, Renewed)

    assert isinstance(await provider.refresh(first, "id"), Refused)
    assert isinstance(await provider.refresh(renewed.tokens.refresh, "id"), Refused)


async def test_a_revoked_session_is_refused(graceful: str, connect: MakeProvider) -> None:
    """The revocation endpoint, which its metadata do not name, is given by hand."""
    base = graceful.removesuffix("/o")
    where = endpoints(graceful, revocation_endpoint=f"{base}/o/revoke_token/")
    provider = await by_browser(connect, graceful, endpoints=where)
    token = await session(provider)

    assert await provider.revoke(token)
    assert await provider.revoke(token)
    assert isinstance(await provider.refresh(token, "id"), Refused)


async def test_a_wrong_secret_is_no_end_of_the_session(
    graceful: str, connect: MakeProvider
) -> None:
    """The session is paused, and goes on once the secret is right."""
    provider = by_password(connect, graceful, scopes=["openid", "read"])
    token = (await provider.log_in(provider.password_login(ANN, PASSWORD))).tokens.refresh
    wrong = by_password(connect, graceful, client_secret="another one")

    assert isinstance(await wrong.refresh(token, "id"), Misconfigured)
    with pytest.raises(InvalidConfig):
        await wrong.log_in(wrong.password_login(ANN, PASSWORD))
    assert isinstance(await provider.refresh(token, "id"), Renewed)
