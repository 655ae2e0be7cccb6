"""Against glewlwyd, whose refresh tokens serve once, and which refuses with 400 and an empty body."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from syncauth.adapters.oauth_credentials import DevicePrompt
from syncauth.adapters.oauth_provider import OAuthProvider
from syncauth.errors import CredentialsRefused
from syncauth.models import Deferred, Login, Refused, Renewed
from tests.integration.oauth.conftest import MakeProvider
from tests.support.lossy_proxy import LossyProxy
from tests.support.oauth_servers import ANN, CLIENT, GLEWLWYD_SECRET, PASSWORD, endpoints, glewlwyd

pytestmark = pytest.mark.oauth
EMPTY = [(400, "")]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with glewlwyd(tmp_path_factory.mktemp("glewlwyd")) as url:
        yield url


@pytest.fixture
def provider(issuer: str, connect: MakeProvider) -> OAuthProvider:
    """A provider that knows how this server refuses."""
    return connect(
        issuer,
        client_secret=GLEWLWYD_SECRET,
        scopes=["openid", "notes"],
        also_refused=EMPTY,
        login_refused=[(403, "")],
    )


async def log_in(provider: OAuthProvider) -> Login:
    return await provider.log_in(provider.password_login(ANN, PASSWORD))


async def test_a_password_logs_a_person_in(issuer: str, provider: OAuthProvider) -> None:
    """The ID token, signed with the server's elliptic key, names the user."""
    login = await log_in(provider)
    again = await log_in(provider)

    assert login.user_id.startswith(f"{issuer}|") and ANN not in login.user_id
    assert login.user_id == again.user_id
    assert login.tokens.life == 60


async def test_an_access_token_may_name_the_user(
    issuer: str, provider: OAuthProvider, connect: MakeProvider
) -> None:
    """It is a JWT there, and is verified as an ID token is."""
    other = connect(
        issuer, client_secret=GLEWLWYD_SECRET, scopes=["notes"], user_id_from="access_token"
    )

    assert (await log_in(other)).user_id == (await log_in(provider)).user_id


async def test_a_wrong_password_is_refused(provider: OAuthProvider) -> None:
    """The bare 403 of this server is listed as its refusal."""
    with pytest.raises(CredentialsRefused):
        await provider.log_in(provider.password_login(ANN, "not this one"))


async def test_another_device_logs_a_person_in(issuer: str, provider: OAuthProvider) -> None:
    """The person logs in elsewhere, grants the scopes, and enters the code."""
    api = issuer.removesuffix("/oidc")

    def show(prompt: DevicePrompt) -> None:
        with httpx.Client(trust_env=False) as browser:
            known = {"username": ANN, "password": PASSWORD}
            assert browser.post(f"{api}/auth", json=known).is_success
            wanted = {"scope": "openid notes"}
            assert browser.put(f"{api}/auth/grant/{CLIENT}", json=wanted).is_success
            entered = {"code": prompt.user_code, "g_continue": ""}
            browser.get(prompt.verification_uri, params=entered)

    login = await provider.log_in(provider.device_login(show))

    assert login.user_id == (await log_in(provider)).user_id


async def test_a_refresh_token_serves_once(provider: OAuthProvider) -> None:
    """The reuse is refused, and the newest token dies with it."""
    first = (await log_in(provider)).tokens
    renewed = await provider.refresh(first.refresh, "id")
    assert isinstance(renewed, Renewed)

    assert isinstance(await provider.refresh(first.refresh, "id"), Refused)
    assert isinstance(await provider.refresh(renewed.tokens.refresh, "id"), Refused)


async def test_an_empty_answer_is_no_proof_unless_it_is_listed(
    issuer: str, provider: OAuthProvider, connect: MakeProvider
) -> None:
    """The same refusal is a doubt to a provider that does not know this server."""
    token = (await log_in(provider)).tokens.refresh
    unknowing = connect(issuer, client_secret=GLEWLWYD_SECRET)
    assert isinstance(await unknowing.refresh(token, "id"), Renewed)
    answer = await unknowing.refresh(token, "id")

    assert isinstance(answer, Deferred) and answer.doubtful


async def test_a_revoked_session_is_refused(provider: OAuthProvider) -> None:
    """The server confirms the revocation and refreshes no more."""
    token = (await log_in(provider)).tokens.refresh

    assert await provider.revoke(token)
    assert isinstance(await provider.refresh(token, "id"), Refused)


async def test_a_lost_answer_judges_nothing_and_its_repetition_is_refused(
    issuer: str, provider: OAuthProvider, connect: MakeProvider
) -> None:
    """The token was sent and is used up."""
    token = (await log_in(provider)).tokens.refresh
    async with LossyProxy(urlsplit(issuer).port or 0) as proxy:
        where = endpoints(issuer, token_endpoint=proxy.through(f"{issuer}/token"))
        lossy = connect(issuer, client_secret=GLEWLWYD_SECRET, endpoints=where, also_refused=EMPTY)
        proxy.swallow = True
        lost = await lossy.refresh(token, "id")
        proxy.swallow = False
        again = await lossy.refresh(token, "id")

    assert proxy.swallowed
    assert isinstance(lost, Deferred) and lost.sent
    assert isinstance(again, Refused)
