"""The real servers, and providers that talk to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from syncauth.adapters.oauth_provider import OAuthProvider

MakeProvider = Callable[..., OAuthProvider]


@pytest.fixture
async def connect() -> AsyncIterator[MakeProvider]:
    """Make providers, and close them in the end."""
    made: list[OAuthProvider] = []

    def make(issuer: str, client_id: str = "field-notes", **settings: Any) -> OAuthProvider:
        provider = OAuthProvider(issuer, client_id, **settings)
        made.append(provider)
        return provider

    yield make
    for provider in made:
        await provider.aclose()
