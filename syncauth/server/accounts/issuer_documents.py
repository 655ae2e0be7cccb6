"""
Fetching a JSON document of an issuer, and the server's one door to httpx.

A fetch is bounded as a whole, in time and size, follows no redirect, and uses no proxy, cookie or `.netrc` of the
environment. This module must never log, and never say more about a failure than that there is no document.
"""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx
import msgspec

SECONDS_TO_ANSWER: Final = 10.0
LARGEST: Final = 200_000
"""Bytes of a document."""


async def fetch_object(url: str) -> dict[str, Any] | None:
    """Return the JSON object at a URL, or None if there is none to be had within the limits."""
    try:
        async with asyncio.timeout(SECONDS_TO_ANSWER):
            body = await _fetch(url)
        return None if body is None else msgspec.json.decode(body, type=dict[str, Any])
    except (
        TimeoutError,
        OSError,
        ValueError,
        RecursionError,
        httpx.HTTPError,
        httpx.StreamError,
        httpx.InvalidURL,
        msgspec.MsgspecError,
    ):
        return None


async def _fetch(url: str) -> bytes | None:
    # Reading the machine's certificates takes a while, which is not the loop's.
    tls = await asyncio.to_thread(ssl.create_default_context)
    async with (
        httpx.AsyncClient(
            verify=tls,
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=SECONDS_TO_ANSWER,
        ) as client,
        client.stream("GET", url) as answer,
    ):
        if answer.status_code != HTTPStatus.OK:
            return None
        body = b""
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > LARGEST:
                return None
        return body
