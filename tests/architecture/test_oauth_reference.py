"""The reference of the OAuth provider is complete: every setting stands in it, with its default."""

from __future__ import annotations

import asyncio
import inspect
import re
import secrets

from syncauth.adapters.oauth_judgement import MISCONFIGURED
from syncauth.adapters.oauth_provider import OAuthProvider
from tests.support.source import ROOT

PAGE = (ROOT / "docs" / "reference" / "oauth.md").read_text("utf-8")
SETTINGS = PAGE.partition("| Setting ")[2].partition("\n\n")[0]
NAMED = {asyncio.sleep: "asyncio.sleep", secrets.token_bytes: "secrets.token_bytes"}


def test_every_setting_has_its_default() -> None:
    """The lines of the table are the parameters of the constructor, in their order."""
    told: dict[str, str] = {}
    for line in SETTINGS.splitlines()[2:]:
        cells = [re.findall(r"`([^`]+)`", cell) for cell in line.strip("| ").split(" | ")[:2]]
        told |= dict(zip(cells[0], cells[1] or ["required"], strict=True))
    given = inspect.signature(OAuthProvider).parameters

    assert list(told) == list(given)
    for name, parameter in given.items():
        default = parameter.default
        plain = NAMED[default] if callable(default) and default in NAMED else repr(default)
        text = "required" if default is inspect.Parameter.empty else plain
        assert told[name].replace('"', "'") == text


def test_credentials_have_their_parameters() -> None:
    """Each constructor of credentials stands there with its parameters and their defaults."""
    for name in ("browser_login", "device_login", "password_login"):
        function = getattr(OAuthProvider, name)
        parts = []
        starred = False
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY and not starred:
                parts.append("*")
                starred = True
            bare = parameter.default is parameter.empty
            parts.append(parameter.name if bare else f"{parameter.name}={parameter.default}")
        assert f"`OAuthProvider.{name}({', '.join(parts)})`" in PAGE


def test_codes_that_no_login_cures_are_listed() -> None:
    """Those of the token endpoint; one belongs to the authorization endpoint alone."""
    line = next(line for line in PAGE.splitlines() if line.endswith("| `Misconfigured` |"))
    told = set(re.findall(r"`(\w+)`", line)) - {"Misconfigured"}

    assert told == set(MISCONFIGURED) - {"unsupported_response_type"}
