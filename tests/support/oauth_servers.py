"""The real OAuth 2.0 servers of `make services`, each a process of its own on loopback, ended by its id."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import ECKey

from syncauth.adapters.oauth_discovery import OAuthEndpoints

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".services" / "oauth"
GLEWLWYD = Path("/usr/bin/glewlwyd")
GLEWLWYD_TABLES = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
SECONDS = 30.0
ANN, PASSWORD = "ann", "correct horse battery staple"
CLIENT = "field-notes"
GLEWLWYD_SECRET = "plain-secret"
DJANGO_SECRET = "a secret: of the test"


def metadata(issuer: str) -> dict[str, Any]:
    """Return what the server tells of itself."""
    with httpx.Client(trust_env=False) as client:
        told: dict[str, Any] = client.get(f"{issuer}/.well-known/openid-configuration").json()
        return told


def endpoints(issuer: str, **changes: str) -> OAuthEndpoints:
    """Return the server's endpoints as an app gives them by hand, with changes."""
    told = metadata(issuer)
    names = {each.name for each in fields(OAuthEndpoints)}
    given = {name: value for name, value in told.items() if name in names}
    return OAuthEndpoints(**(given | changes))


@contextlib.contextmanager
def oidc_provider(
    folder: Path, *, life: int = 60, refresh_life: int = 3600, port: int = 0, audience: str = ""
) -> Iterator[str]:
    """Run oidc-provider; lives in seconds; yields the issuer.

    Access tokens are JWTs for the audience if the client names it as its resource.
    """
    package = INSTALLED / "node_modules"
    require(package / "oidc-provider" / "lib" / "index.js")
    port = port or free_port()
    program = ROOT / "tests" / "support" / "oidc_provider" / "server.js"
    command = ["node", str(program), str(package), str(port), str(life), str(refresh_life)]
    command += [audience] if audience else []
    issuer = f"http://127.0.0.1:{port}"
    with running(command, folder, f"{issuer}/jwks"):
        yield issuer


@contextlib.contextmanager
def django_oauth_toolkit(folder: Path, *, grace: int) -> Iterator[str]:
    """Run django-oauth-toolkit, which takes an old refresh token for `grace` seconds more."""
    python = INSTALLED / "django" / "bin" / "python"
    require(python)
    program = ROOT / "tests" / "support" / "django_oauth" / "serve.py"
    port = free_port()
    issuer = f"http://127.0.0.1:{port}/o"
    command = [str(python), str(program), str(folder), str(port), str(grace)]
    with running(command, folder, f"{issuer}/.well-known/openid-configuration"):
        yield issuer


@contextlib.contextmanager
def glewlwyd(folder: Path) -> Iterator[str]:
    """Run glewlwyd with its OpenID Connect plugin, set up through its own API."""
    require(GLEWLWYD)
    require(GLEWLWYD_TABLES)
    port = free_port()
    with contextlib.closing(sqlite3.connect(folder / "glewlwyd.db")) as database:
        database.executescript(GLEWLWYD_TABLES.read_text("utf-8"))
    settings = folder / "glewlwyd.conf"
    settings.write_text(_GLEWLWYD_SETTINGS.format(port=port, folder=folder))
    url = f"http://127.0.0.1:{port}"
    with running([str(GLEWLWYD), f"--config-file={settings}"], folder, f"{url}/api/auth"):
        set_glewlwyd_up(url)
        yield f"{url}/api/oidc"


def set_glewlwyd_up(url: str) -> None:
    """Make the plugin, a scope, a confidential client and a person, as an administrator does."""
    key = ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256"}, private=True)
    plugin = _GLEWLWYD_PLUGIN | {
        "iss": f"{url}/api/oidc",
        "jwks-private": json.dumps({"keys": [key.as_dict(private=True)]}),
    }
    client = {
        "client_id": CLIENT,
        "name": "Field notes",
        "enabled": True,
        "confidential": True,
        "password": GLEWLWYD_SECRET,
        "client_secret": GLEWLWYD_SECRET,
        "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
        "redirect_uri": ["http://127.0.0.1/callback"],
        "authorization_type": ["password", "device_authorization", "refresh_token"],
    }
    person = {"username": ANN, "name": "Ann", "password": PASSWORD, "enabled": True}
    scope = {"name": "notes", "display_name": "Notes", "description": "Notes", "scheme": {}}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("auth", {"username": "admin", "password": "password"}),
        ("mod/plugin", {"module": "oidc", "name": "oidc", "parameters": plugin}),
        ("scope", scope | {"password_required": False}),
        ("client?source=database", client),
        ("user?source=database", person | {"scope": ["g_profile", "notes", "openid"]}),
    ]
    with httpx.Client(trust_env=False) as admin:
        for path, body in steps:
            answer = admin.post(f"{url}/api/{path}", json=body)
            assert answer.status_code == httpx.codes.OK, (path, answer.text)


# --- processes -----------------------------------------------------------------------------------


def require(path: Path) -> None:
    """Fail where a server is not installed."""
    assert path.exists(), f"{path.name} is not installed: run `make services`"


def free_port() -> int:
    """Return a port of loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: list[str], folder: Path, ready: str) -> Iterator[None]:
    """Run a server until the block ends; it is ready when it answers at all at `ready`."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
        try:
            _wait_until_it_answers(process, ready, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    end = time.monotonic() + SECONDS
    with httpx.Client(trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                client.get(ready)
                return
            told = log.read_text("utf-8", "replace")[-2000:]
            assert process.poll() is None, f"the server has ended: {told}"
            assert time.monotonic() < end, f"the server does not answer: {told}"
            time.sleep(0.05)


_GLEWLWYD_SETTINGS = """
port={port}
bind_address="127.0.0.1"
external_url="http://127.0.0.1:{port}"
api_prefix="api"
log_mode="file"
log_level="WARNING"
log_file="{folder}/glewlwyd.log"
session_expiration=3600
session_key="GLEWLWYD2_SESSION_ID"
login_url="login.html"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
database = {{ type = "sqlite3"; path = "{folder}/glewlwyd.db"; }};
"""

_GLEWLWYD_PLUGIN: dict[str, Any] = {
    "jwt-type": "ecdsa",
    "jwt-key-size": "256",
    "jwks-show": True,
    "access-token-duration": 60,
    "refresh-token-duration": 3600,
    "code-duration": 60,
    "refresh-token-rolling": True,
    "refresh-token-one-use": "always",
    "allow-non-oidc": True,
    "auth-type-code-enabled": True,
    "auth-type-password-enabled": True,
    "auth-type-device-enabled": True,
    "auth-type-refresh-enabled": True,
    "auth-type-token-enabled": False,
    "auth-type-client-enabled": False,
    "auth-type-none-enabled": False,
    "auth-type-implicit-enabled": False,
    "device-authorization-expiration": 60,
    "device-authorization-interval": 1,
    "subject-type": "public",
    "introspection-revocation-allowed": True,
    "introspection-revocation-allow-target-client": True,
    "allowed-scope": ["openid", "notes"],
    "name-claim": "on-demand",
    "email-claim": "no",
    "scope-claim": "no",
}
