"""`syncauth login`: every way in, every way to be refused, and no secret as an argument or in an output."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

import syncauth
from tests.integration.cli.conftest import Place
from tests.support.app_bench import SERVER_SCHEMA
from tests.support.commands import APP, run
from tests.support.foreign_issuer import new_key, sign
from tests.support.processes import EMAIL, PASSWORD, ROOT, Server, configure


def test_login_tells_who_and_where_the_keys_are(place: Place) -> None:
    """A login prints the user, its state and what protects its tokens; the user is current then."""
    ended = place.ask("login", "--email", EMAIL, "--password-file", place.password)

    assert ended.code == 0, ended
    lines = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    assert (lines["name"], lines["state"], lines["keys"]) == (EMAIL, "active", "key file")
    (user,) = place.run("users", "--json").document["users"]
    assert (user["user"], user["current"]) == (lines["user"], True)


def test_same_account_is_the_same_user(place: Place) -> None:
    """A second login of the account, with its password from the standard input, is the same user."""
    first = place.log_in()
    ended = run(
        *("login", "--data", place.data, "--json", "--email", EMAIL, "--password-file", "-"),
        stdin=PASSWORD,
        SYNCAUTH_SERVER=place.url,
        SYNCAUTH_APP_ID=APP,
    )
    piped = run(
        *("login", "--data", place.data, "--json", "--email", EMAIL),
        stdin=PASSWORD + "\n",
        SYNCAUTH_SERVER=place.url,
        SYNCAUTH_APP_ID=APP,
    )

    assert ended.document["user"] == piped.document["user"] == first


def test_password_is_asked_for_at_a_terminal(place: Place) -> None:
    """At a terminal the password is asked for and not shown (I10)."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "syncauth.cli", "login", "--data", str(place.data)]
    command += ["--server", place.url, "--app-id", APP, "--email", EMAIL, "--key-storage", "file"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, cwd=ROOT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        while b"Password" not in shown:
            shown += os.read(ours, 1000)
        os.write(ours, PASSWORD.encode() + b"\n")
        out, _ = process.communicate(timeout=30)
    try:
        shown += os.read(ours, 1000)
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)

    assert process.returncode == 0, (out, shown)
    assert EMAIL in out
    assert PASSWORD not in out + shown.decode()


def test_anonymous_login(place: Place) -> None:
    """Without a name a user is made, and the same one is used again."""
    first = place.ask("login", "--anonymous", "--json").document
    again = place.ask("login", "--anonymous", "--json").document

    assert first["name"] is None
    assert first["user"] == again["user"]


def test_api_key_logs_in(place: Place, tmp_path: Path) -> None:
    """The key of a file logs its user in, and is not printed (I10)."""
    user_id = place.log_in()

    async def make_key() -> str:
        app = syncauth.App(place.url, app_id=APP, data_dir=place.data, key_storage="file")
        async with app:
            assert app.current_user is not None
            made = await app.current_user.api_keys.create("kiosk")
            assert made.key is not None
            return made.key.reveal()

    key = asyncio.run(make_key())
    (tmp_path / "key").write_text(key)
    ended = place.ask("login", "--api-key-file", tmp_path / "key", "--json")

    assert ended.code == 0, ended
    assert ended.document["user"] == user_id
    assert key not in ended.out + ended.err


def test_token_of_another_issuer_logs_in(tmp_path: Path) -> None:
    """The JWT of a file logs its user in, and is not printed (I10)."""
    key = new_key("ES256")
    folder = tmp_path / "jwt-server"
    folder.mkdir()
    (folder / "issuer.pem").write_bytes(key.as_pem(private=False))  # type: ignore[union-attr]
    issuer = (
        '[issuers.id]\nissuer = "https://id.example"\naudience = ["test"]\n'
        'algorithm = "ES256"\nkey_file = "issuer.pem"\n'
    )
    configure(folder, SERVER_SCHEMA, "[tables.notes]", issuer)
    claims = {"iss": "https://id.example", "sub": "ann", "aud": APP, "exp": int(time.time()) + 600}
    token = sign(key, "ES256", claims)
    (tmp_path / "jwt").write_text(token)
    with Server(folder) as server:
        place = Place(server.url, tmp_path / "device", tmp_path / "password")
        ended = place.ask("login", "--jwt-file", tmp_path / "jwt", "--json")

    assert ended.code == 0, ended
    assert ended.document["state"] == "active"
    assert token not in ended.out + ended.err


@pytest.mark.parametrize("option", ["--password-file", "--api-key-file", "--jwt-file"])
def test_refused_credentials_end_with_1(place: Place, tmp_path: Path, option: str) -> None:
    """What the server refuses ends with 1, in both forms, and is not printed (I10)."""
    secret = "nobody-knows-this-one"
    (tmp_path / "secret").write_text(secret)
    way = [
        *(("--email", EMAIL) if option == "--password-file" else ()),
        option,
        tmp_path / "secret",
    ]

    told = place.ask("login", *way)
    ended = place.ask("login", *way, "--json")

    assert told.code == ended.code == 1, (told, ended)
    assert told.err.startswith("syncauth login: the server refused the credentials")
    assert ended.document["error"]["type"] == "CredentialsRefused"
    assert ended.document["exit_code"] == 1
    assert secret not in told.out + told.err + ended.out + ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--email", EMAIL, "--anonymous"),
        ("--anonymous", "--password-file", "-"),
        ("--email", EMAIL, "--password-file", "/nowhere/at/all"),
        ("--email", EMAIL, "--password-file", "-"),
        ("--api-key-file", "-"),
        ("--anonymous", "--key-storage", "memory"),
    ],
)
def test_wrong_usage_ends_with_2(place: Place, arguments: tuple[str, ...]) -> None:
    """No way or two ways, and a file that is not there or empty, are usage errors; nothing is made."""
    ended = place.ask("login", *arguments)

    assert ended.code == 2, ended
    assert not place.data.exists()


@pytest.mark.parametrize("url", ["http://192.0.2.1", "ftp://localhost", "nothing"])
def test_server_that_may_not_be_used_ends_with_2(place: Place, url: str) -> None:
    """Plain http to another machine, and what is no URL, is refused before anything is sent."""
    ended = place.run("login", "--server", url, "--app-id", APP, "--anonymous")

    assert ended.code == 2, ended
    assert not place.data.exists()


def test_server_that_is_not_there_ends_with_3(place: Place, server: Server) -> None:
    """Where nobody listens, and where somebody else does, it ends with 3."""
    server.stop()

    ended = place.ask("login", "--anonymous", "--json")

    assert ended.code == 3, ended
    assert ended.document["error"]["type"] == "ServerUnreachable"


def test_data_that_cannot_be_used_ends_with_4(place: Place) -> None:
    """A data directory that is a file ends with 4 and is left alone."""
    place.data.write_text("mine")

    ended = place.ask("login", "--anonymous")

    assert ended.code == 4, ended
    assert place.data.read_text() == "mine"
