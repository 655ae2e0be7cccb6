"""Against oidc-provider, which rotates refresh tokens and ends a grant whose old token comes again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from syncauth.adapters.oauth_credentials import DevicePrompt
from syncauth.adapters.oauth_provider import OAuthProvider
from syncauth.errors import CredentialsRefused, InvalidConfig, UnexpectedAnswer
from syncauth.models import (
    Deferred,
    Login,
    Misconfigured,
    Refused,
    ReloginReason,
    Renewed,
    Secret,
)
from tests.integration.oauth.conftest import MakeProvider
from tests.support.browser import Browser
from tests.support.lossy_proxy import LossyProxy
from tests.support.oauth_servers import endpoints, oidc_provider

pytestmark = pytest.mark.oauth
SCOPES = ("openid", "offline_access", "profile")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with oidc_provider(tmp_path_factory.mktemp("oidc")) as url:
        yield url


async def log_in(provider: OAuthProvider, name: str = "ann") -> Login:
    browser = Browser(login=name, password="any")
    return await provider.log_in(provider.browser_login(browser.open, wait=30))


async def renew(provider: OAuthProvider, token: Secret) -> Renewed:
    answer = await provider.refresh(token, "id")
    assert isinstance(answer, Renewed), answer
    return answer


async def test_a_browser_logs_a_person_in(issuer: str, connect: MakeProvider) -> None:
    """The id is issuer and subject, the profile what the userinfo endpoint tells, the life as told."""
    browser = Browser(login="ann", password="any")
    provider = connect(issuer, scopes=SCOPES)
    login = await provider.log_in(provider.browser_login(browser.open, wait=30))

    assert login.user_id == f"{issuer}|ann"
    assert login.profile.data["name"] == "Name of ann"
    assert login.tokens.life == 60
    assert "close this window" in browser.pages[-1]


async def test_another_device_logs_a_person_in(issuer: str, connect: MakeProvider) -> None:
    """The code is shown, the person enters it elsewhere, the app learns of it by asking."""
    shown: list[DevicePrompt] = []

    def show(prompt: DevicePrompt) -> None:
        shown.append(prompt)
        browser = Browser(login="bob", password="any", confirm="yes", user_code=prompt.user_code)
        browser.open(prompt.verification_uri)

    provider = connect(issuer, scopes=SCOPES)
    login = await provider.log_in(provider.device_login(show))

    assert login.user_id == f"{issuer}|bob"
    assert shown[0].verification_uri.startswith(issuer)


async def test_a_person_who_declines_is_not_logged_in(issuer: str, connect: MakeProvider) -> None:
    """The server's own code reaches the app."""
    declining = Browser(abort="yes")
    declining.may_be_refused = True

    def show(prompt: DevicePrompt) -> None:
        declining.answers["user_code"] = prompt.user_code
        declining.open(prompt.verification_uri)

    provider = connect(issuer)
    with pytest.raises(CredentialsRefused) as raised:
        await provider.log_in(provider.device_login(show))
    assert raised.value.code == "access_denied"


async def test_refresh_tokens_rotate(issuer: str, connect: MakeProvider) -> None:
    """Each refresh gives a new pair, which the next one presents."""
    provider = connect(issuer)
    first = (await log_in(provider)).tokens
    second = (await renew(provider, first.refresh)).tokens
    third = (await renew(provider, second.refresh)).tokens

    assert len({first.refresh, second.refresh, third.refresh}) == 3
    assert len({first.access, second.access, third.access}) == 3


async def test_an_old_token_that_comes_again_ends_the_family(
    issuer: str, connect: MakeProvider
) -> None:
    """The reuse is refused by proof, and so is the newest token from then on."""
    provider = connect(issuer)
    first = (await log_in(provider)).tokens
    second = (await renew(provider, first.refresh)).tokens

    assert isinstance(await provider.refresh(first.refresh, "id"), Refused)
    assert isinstance(await provider.refresh(second.refresh, "id"), Refused)


async def test_a_revoked_session_is_refused(issuer: str, connect: MakeProvider) -> None:
    """The server confirms the revocation, also a second one, and refreshes no more."""
    provider = connect(issuer)
    token = (await log_in(provider)).tokens.refresh

    assert await provider.revoke(token)
    assert await provider.revoke(token)
    assert isinstance(await provider.refresh(token, "id"), Refused)


async def test_a_lost_answer_judges_nothing_and_its_repetition_is_refused(
    issuer: str, connect: MakeProvider
) -> None:
    """The token was sent and may be used up; the repeat of it is a reuse to this server."""
    provider = connect(issuer)
    token = (await log_in(provider)).tokens.refresh
    async with LossyProxy(urlsplit(issuer).port or 0) as proxy:
        where = endpoints(issuer, token_endpoint=proxy.through(f"{issuer}/token"))
        lossy = connect(issuer, endpoints=where)
        proxy.swallow = True
        lost = await lossy.refresh(token, "id")
        proxy.swallow = False
        again = await lossy.refresh(token, "id")

    assert proxy.swallowed
    assert isinstance(lost, Deferred) and lost.sent and not lost.doubtful
    assert isinstance(again, Refused)
    assert not provider.repeat_safe


async def test_a_wrong_client_is_no_end_of_the_session(issuer: str, connect: MakeProvider) -> None:
    """The session of a client that the server does not know is paused; the right one goes on."""
    provider = connect(issuer)
    token = (await log_in(provider)).tokens.refresh
    stranger = connect(issuer, "nobody")

    assert isinstance(await stranger.refresh(token, "id"), Misconfigured)
    assert isinstance(await provider.refresh(token, "id"), Renewed)
    with pytest.raises(InvalidConfig):
        await stranger.log_in(stranger.device_login(lambda _prompt: None))


async def test_a_login_without_refresh_token_says_what_to_ask_for(
    issuer: str, connect: MakeProvider
) -> None:
    """A session that could not be renewed is not begun."""
    provider = connect(issuer, "no-refresh", scopes=["openid"])
    with pytest.raises(UnexpectedAnswer, match="offline_access"):
        await log_in(provider)


async def test_a_token_that_expires_on_the_way_is_refused_as_expired(
    tmp_path_factory: pytest.TempPathFactory, connect: MakeProvider
) -> None:
    """The server judges what arrives; the device's clock judges nothing."""
    with oidc_provider(tmp_path_factory.mktemp("short"), refresh_life=2) as issuer:
        provider = connect(issuer)
        token = (await log_in(provider)).tokens.refresh
        token = (await renew(provider, token)).tokens.refresh
        async with LossyProxy(urlsplit(issuer).port or 0) as proxy, asyncio.TaskGroup() as group:
            where = endpoints(issuer, token_endpoint=proxy.through(f"{issuer}/token"))
            slow = connect(issuer, endpoints=where)
            proxy.pass_on.clear()
            under_way = group.create_task(slow.refresh(token, "id"))
            await proxy.arrived.wait()
            probe = (await log_in(provider)).tokens.refresh
            while isinstance(answer := await provider.refresh(probe, "id"), Renewed):
                await asyncio.sleep(2.5)  # beyond the life of every token so far
                probe = answer.tokens.refresh
            proxy.pass_on.set()
        answer = under_way.result()

    assert isinstance(answer, Refused)
    assert answer.reason is ReloginReason.EXPIRED
