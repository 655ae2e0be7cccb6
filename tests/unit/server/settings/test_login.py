"""The sections about logins and the team's code: what they mean, and what is refused by name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.settings.config import ServerConfig, parse_config
from syncauth.server.settings.issuers import TokenIssuer
from syncauth.server.settings.login import EmailSettings, Hooks, MailSettings, NamedFunction
from syncauth.server.team.extensions import Extensions, load_extensions

ISSUER = '[issuers.id]\nissuer = "https://id.example"\naudience = ["app"]\n'


def read(tmp_path: Path, text: str, *, test_mode: bool = False) -> ServerConfig:
    """Read a configuration with these sections."""
    (tmp_path / "schema.sql").write_text("")
    server = (
        f'[server]\napp_id = "a"\nschema = "schema.sql"\ntest_mode = {str(test_mode).lower()}\n'
    )
    return parse_config(tomllib.loads(server + text), folder=tmp_path)


def test_sections_are_read(tmp_path: Path) -> None:
    """Every setting arrives where it belongs."""
    config = read(
        tmp_path,
        """
        [email]
        confirmation = "mail"
        confirm_url = "https://a.example/c"
        reset = "function"
        token_seconds = 60
        conceal_accounts = true
        [mail]
        sender = "smtp"
        from_address = "app@example.com"
        smtp_host = "mail.example"
        smtp_port = 465
        smtp_tls = "tls"
        smtp_user = "u"
        smtp_password_env = "P"
        [issuers.id]
        issuer = "https://id.example"
        audience = ["app", "other"]
        algorithm = "RS256"
        key_file = "key.pem"
        [issuers.id.fields]
        email = "address"
        [hooks]
        custom_login = "m:login"
        mail = "m:mail"
        [functions]
        sum = "m:add"
        slow = { call = "m:slow", process = true, seconds = 5 }
        [custom_data]
        query = "SELECT 1"
        """,
    )

    assert config.email == EmailSettings(
        "mail", "function", "https://a.example/c", "", 60, conceal_accounts=True
    )
    assert config.mail == MailSettings(
        "smtp", "app@example.com", "mail.example", 465, "tls", "u", "P"
    )
    assert config.issuers == (
        TokenIssuer(
            "issuers.id",
            "https://id.example",
            ("app", "other"),
            "RS256",
            key_file=tmp_path / "key.pem",
            fields=(("email", "address"),),
        ),
    )
    assert config.hooks == Hooks(custom_login="m:login", mail="m:mail")
    assert config.functions == {
        "sum": NamedFunction("m:add"),
        "slow": NamedFunction("m:slow", process=True, seconds=5),
    }
    assert config.custom_data.query == "SELECT 1"


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ('[email]\nconfirmation = "mail"', "email.confirm_url"),
        ('[email]\nreset = "mail"', "email.reset_url"),
        ('[email]\nreset = "mail"\nreset_url = "page"', "email.reset_url"),
        ("[email]\nconceal_accounts = true", "email.conceal_accounts"),
        ("[email]\ntoken_seconds = 1", "email.token_seconds"),
        ("[email]\nother = 1", "email.other"),
        ('[mail]\nsender = "console"', "mail.sender"),
        ('[mail]\nsender = "smtp"', "mail.from_address"),
        ('[mail]\nsmtp_host = "far.example"\nsmtp_tls = "none"', "mail.smtp_tls"),
        ('[mail]\nsmtp_user = "u"', "mail.smtp_user"),
        ('[mail]\nsmtp_password_env = "P"', "mail.smtp_user"),
        (
            '[mail]\nsmtp_user = "u"\nsmtp_password_env = "P"\nsmtp_password_file = "p"',
            "mail.smtp_password_file",
        ),
        ('[mail]\nsmtp_user = "u"\nsmtp_password_file = "a\\u0000b"', "mail.smtp_password_file"),
        ('[issuers.id]\naudience = ["a"]', "issuers.id.issuer"),
        ('[issuers.id]\nissuer = "i"\nkey_env = "K"', "issuers.id.audience"),
        (ISSUER, "issuers.id"),
        (ISSUER + 'key_env = "K"\nkey_file = "k"', "issuers.id"),
        (ISSUER + 'jwks_url = "http://far.example/keys"', "issuers.id.jwks_url"),
        (ISSUER + 'jwks_url = "file:///keys"', "issuers.id.jwks_url"),
        (
            ISSUER + 'algorithm = "HS256"\njwks_url = "https://far.example"',
            "issuers.id.jwks_url",
        ),
        (ISSUER + 'key_env = "K"\nalgorithm = "none"', "issuers.id.algorithm"),
        (ISSUER + 'key_env = "K"\n[issuers.id.fields]\na = 1', "issuers.id.fields.a"),
        (
            ISSUER + 'key_env = "K"\n' + ISSUER.replace("s.id]", "s.again]") + 'key_env = "K"',
            "issuers.again.issuer",
        ),
        ("[hooks]\nlogin = 'm:f'", "hooks.login"),
        ("[functions]\nsum = 1", "functions.sum"),
        ("[functions.sum]\nprocess = true", "functions.sum.call"),
        ("[functions.sum]\ncall = 'm:f'\nprocess = 1", "functions.sum.process"),
        ("[functions.sum]\ncall = 'm:f'\nseconds = 0", "functions.sum.seconds"),
        ("[functions.sum]\ncall = 'm:f'\nslots = 1", "functions.sum.slots"),
        ("[custom_data]\nsql = 'SELECT 1'", "custom_data.sql"),
    ],
)
def test_bad_setting_is_named(tmp_path: Path, text: str, setting: str) -> None:
    """What cannot be used is told by its name before anything starts."""
    with pytest.raises(InvalidConfig) as refused:
        read(tmp_path, text)

    assert refused.value.setting == setting


def test_the_file_of_a_password_lies_beside_the_settings(tmp_path: Path) -> None:
    """Its path is relative to the folder of the configuration file, and may be absolute."""
    mail = '[mail]\nsmtp_user = "u"\nsmtp_password_file = '

    assert read(tmp_path, mail + '"word"').mail.smtp_password_file == tmp_path / "word"
    assert read(tmp_path, mail + '"/run/secrets/w"').mail.smtp_password_file == Path(
        "/run/secrets/w"
    )


def test_console_is_for_test_mode(tmp_path: Path) -> None:
    """Tokens are printed nowhere else."""
    assert read(tmp_path, '[mail]\nsender = "console"', test_mode=True).mail.sender == "console"


def test_names_lead_to_callables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module beside the configuration is imported, a name may have dots, and code wins."""
    (tmp_path / "of_the_team.py").write_text(
        "def add(c, a): return a\nclass Mine:\n    def mail(self): ...\nnumber = 1\n"
    )
    (tmp_path / "of_the_team_broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)

    def own(_context: object) -> None:
        """Do nothing."""

    named = dict.fromkeys(("add", "own"), NamedFunction("of_the_team:add"))
    loaded = load_extensions(
        named, Hooks(mail="of_the_team:Mine.mail"), Extensions(functions={"own": own})
    )
    add = loaded.functions["add"]
    assert callable(add)
    assert add(None, 3) == 3
    assert loaded.functions["own"] is own
    assert loaded.mail is not None
    assert loaded.confirm is None
    for place in (
        "of_the_team",
        "of_the_team:nothing",
        "of_the_team:number",
        "of_no_team:add",
        "of_the_team_broken:add",
        ":add",
    ):
        with pytest.raises(InvalidConfig) as refused:
            load_extensions({"f": NamedFunction(place)}, Hooks(), None)
        assert refused.value.setting == "functions.f"
