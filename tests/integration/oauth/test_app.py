"""An App whose logins belong to oidc-provider: from the browser to the revocation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import syncauth
from syncauth import SessionState
from syncauth.adapters.oauth_provider import OAuthProvider
from syncauth.models import Refused, Secret
from tests.integration.oauth.conftest import MakeProvider
from tests.support.app_bench import until
from tests.support.browser import Browser
from tests.support.oauth_servers import oidc_provider

pytestmark = pytest.mark.oauth
NO_SYNC_SERVER = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An issuer whose access tokens live for three seconds."""
    with oidc_provider(tmp_path_factory.mktemp("oidc"), life=3) as url:
        yield url


class Revoking(OAuthProvider):
    """Tells when a revocation was confirmed."""

    done = False

    async def revoke(self, refresh_token: Secret) -> bool:
        self.done = await super().revoke(refresh_token)
        return self.done


def app_of(provider: OAuthProvider, folder: Path) -> syncauth.App:
    return syncauth.App(
        NO_SYNC_SERVER, app_id="test", data_dir=folder, provider=provider, key_storage="file"
    )


async def test_a_session_of_an_issuer_is_owned_by_the_app(
    issuer: str, connect: MakeProvider, tmp_path: Path
) -> None:
    """It is renewed in time, outlives a restart, and is revoked after the logout (I8)."""
    browser = Browser(login="ann", password="any")
    async with app_of(connect(issuer), tmp_path) as app:
        login = OAuthProvider.browser_login(browser.open, wait=30)
        user = await app.log_in(login)
        assert user.id == f"{issuer}|ann"
        first = await user.valid_access_token()
        await until(lambda: user.access_token not in (None, first))

    revoking = Revoking(issuer, "field-notes")
    async with app_of(revoking, tmp_path) as app:
        again = app.current_user
        assert again is not None
        assert again.id == f"{issuer}|ann"
        await until(lambda: again.state is SessionState.ACTIVE)
        await again.valid_access_token()
        token = again.refresh_token
        assert token is not None
        await app.log_out(again)
        assert again.state is SessionState.LOGGED_OUT
        await until(lambda: revoking.done)

    assert isinstance(await connect(issuer).refresh(token, "id"), Refused)
