"""The sections about other issuers: what they mean, and what is refused by name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.settings.config import parse_config, read_config
from syncauth.server.settings.issuers import PROVIDERS, TokenIssuer, Use
from tests.support.source import ROOT

USES: tuple[Use, ...] = (*PROVIDERS, "sync")
ISSUER = '[issuers.id]\nissuer = "https://id.example"\naudience = ["app"]\n'
LOCAL = ISSUER.replace("https://id.example", "{issuer}") + "discovery = true\n"


def read(tmp_path: Path, text: str) -> tuple[TokenIssuer, ...]:
    """Read the issuers of a configuration with these sections."""
    (tmp_path / "schema.sql").write_text("")
    server = '[server]\napp_id = "a"\nschema = "schema.sql"\n'
    return parse_config(tomllib.loads(server + text), folder=tmp_path).issuers


def test_every_setting_arrives(tmp_path: Path) -> None:
    """What stands in the file is what the server goes by."""
    text = """
        [issuers.id]
        issuer = "https://id.example"
        audience = ["app", "other"]
        audience_match = "all"
        algorithm = "RS256"
        discovery = true
        login = false
        sync = true
        token = "access"
        clients = ["phone"]
        leeway_seconds = 60
        provider = "oauth2-apple"
        fields = { "a.b" = "b" }
        required = { role = ["x", "y"], level = 3, verified = true, email = [] }
    """
    assert read(tmp_path, text) == (
        TokenIssuer(
            "issuers.id",
            "https://id.example",
            ("app", "other"),
            "RS256",
            fields=(("a.b", "b"),),
            discovery=True,
            login=False,
            sync=True,
            token="access",
            audience_match="all",
            clients=("phone",),
            required=(
                ("role", ("x", "y")),
                ("level", (3,)),
                ("verified", (True,)),
                ("email", ()),
            ),
            leeway_seconds=60,
            provider="oauth2-apple",
        ),
    )


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        (ISSUER + 'discovery = true\nkey_env = "K"', "issuers.id"),
        (ISSUER + 'discovery = true\njwks_url = "https://a.example"', "issuers.id"),
        (ISSUER + 'discovery = true\nalgorithm = "HS256"', "issuers.id.issuer"),
        (LOCAL.format(issuer="http://id.example"), "issuers.id.issuer"),
        (LOCAL.format(issuer="id.example"), "issuers.id.issuer"),
        (LOCAL.format(issuer="https://u:p@id.example"), "issuers.id.issuer"),
        (LOCAL.format(issuer="https://id.example?x=1"), "issuers.id.issuer"),
        (LOCAL.format(issuer="https://id.example#x"), "issuers.id.issuer"),
        (LOCAL.format(issuer="https://["), "issuers.id.issuer"),
        (ISSUER + 'key_env = "K"\nlogin = false', "issuers.id"),
        (ISSUER + 'key_env = "K"\nleeway_seconds = 61', "issuers.id.leeway_seconds"),
        (ISSUER + 'key_env = "K"\nleeway_seconds = -1', "issuers.id.leeway_seconds"),
        (ISSUER + 'key_env = "K"\ntoken = "refresh"', "issuers.id.token"),
        (ISSUER + 'key_env = "K"\nprovider = "google"', "issuers.id.provider"),
        (ISSUER + 'key_env = "K"\nprovider = "local-userpass"', "issuers.id.provider"),
        (ISSUER + 'key_env = "K"\nprovider = ["oauth2-google"]', "issuers.id.provider"),
        (ISSUER + 'key_env = "K"\nclients = "app"', "issuers.id.clients"),
        (ISSUER + 'key_env = "K"\nrequired = "role"', "issuers.id.required"),
        (ISSUER + 'key_env = "K"\nrequired = { role = 1.5 }', "issuers.id.required.role"),
        (ISSUER + 'key_env = "K"\nrequired = { role = [[]] }', "issuers.id.required.role"),
    ],
)
def test_bad_setting_is_named(tmp_path: Path, text: str, setting: str) -> None:
    """What cannot be used is told by its name before anything starts."""
    with pytest.raises(InvalidConfig) as refused:
        read(tmp_path, text)

    assert refused.value.setting == setting


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8080", "http://localhost/o", "http://[::1]"])
def test_discovery_on_loopback_may_be_http(tmp_path: Path, issuer: str) -> None:
    """For development an issuer on this machine needs no TLS."""
    assert read(tmp_path, LOCAL.format(issuer=issuer))[0].discovery


@pytest.mark.parametrize(
    ("first", "second", "good"),
    [
        ("", "", False),
        ("sync = true", "login = false\nsync = true", False),
        ("", "login = false\nsync = true", True),
    ],
)
def test_issuer_stands_once_for_each_use(
    tmp_path: Path, first: str, second: str, good: bool
) -> None:
    """ID tokens may log in and access tokens of the same issuer sync; otherwise it is not clear which counts."""
    section = ISSUER + 'key_env = "K"\n'
    text = f"{section}{first}\n{section.replace('s.id]', 's.again]')}{second}\n"

    if good:
        assert len(read(tmp_path, text)) == 2
        return
    with pytest.raises(InvalidConfig) as refused:
        read(tmp_path, text)
    assert refused.value.setting == "issuers.again.issuer"


@pytest.mark.parametrize("provider", ["custom-token", "oauth2-google", "oauth2-facebook"])
def test_one_issuer_has_one_provider(tmp_path: Path, provider: str) -> None:
    """Whoever logs in with a token and syncs with another of the same issuer is one user."""
    section = ISSUER + 'key_env = "K"\nprovider = '
    first = f'{section}"oauth2-google"\n'
    second = f'{section.replace("s.id]", "s.again]")}"{provider}"\nlogin = false\nsync = true\n'

    if provider == "oauth2-google":
        assert [each.provider for each in read(tmp_path, first + second)] == [provider] * 2
        return
    with pytest.raises(InvalidConfig) as refused:
        read(tmp_path, first + second)
    assert refused.value.setting == "issuers.again.provider"


def test_an_issuer_serves_the_login_of_its_provider_alone(tmp_path: Path) -> None:
    """What is not said is a custom token; the socket does not go by the provider."""
    key = 'key_env = "K"\nsync = true\n'
    (plain,) = read(tmp_path, ISSUER + key)
    (google,) = read(tmp_path, f'{ISSUER}{key}provider = "oauth2-google"')

    assert [each for each in USES if plain.serves(each)] == ["custom-token", "sync"]
    assert [each for each in USES if google.serves(each)] == ["oauth2-google", "sync"]


def test_the_examples_of_the_reference_are_good(tmp_path: Path) -> None:
    """Google and Apple are found by discovery, with the algorithm that they sign with."""
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text("utf-8")
    block = page.partition("```toml\n[issuers.company]")[2].partition("```")[0]
    company, google, apple = read(tmp_path, f"[issuers.company]{block}")

    assert company.provider == "custom-token"
    assert (google.provider, google.issuer) == ("oauth2-google", "https://accounts.google.com")
    assert (apple.provider, apple.issuer) == ("oauth2-apple", "https://appleid.apple.com")
    assert {google.algorithm, apple.algorithm} == {"RS256"}
    assert google.discovery and apple.discovery


def test_every_fault_has_its_line(tmp_path: Path) -> None:
    """Of all issuers each fault is told at once, also within inline tables, with the line where it stands."""
    (tmp_path / "schema.sql").write_text("")
    file = tmp_path / "syncauth.toml"
    file.write_text(
        '[server]\napp_id = "a"\nschema = "schema.sql"\n'
        '[issuers.one]\nissuer = "1"\naudience = ["a"]\nkey_env = "K"\nleeway_seconds = 61\n'
        "required = { role = 1.5, level = 3 }\nfields = { email = 1 }\n"
        '[issuers.two]\nissuer = "http://id.example"\ndiscovery = true\nclints = ["b"]\n'
        "[issuers.two.required]\nlevel = 3\nrole = [[]]\n"
    )
    with pytest.raises(InvalidConfig) as refused:
        read_config(file)

    assert {(fault.line, fault.setting) for fault in refused.value.faults} == {
        (8, "issuers.one.leeway_seconds"),
        (9, "issuers.one.required.role"),
        (10, "issuers.one.fields.email"),
        (11, "issuers.two.audience"),
        (12, "issuers.two.issuer"),
        (14, "issuers.two.clints"),
        (17, "issuers.two.required.role"),
    }
