"""Each library enters through named doors, so that it can be replaced there and nowhere else."""

from __future__ import annotations

import re
import sys
import tomllib

from tests.support.source import ROOT, imports

DOORS = {
    "airportsdata": {"syncauth.demo.story"},
    "argon2": {"syncauth.server.accounts.passwords"},
    "click": {"syncauth.cli"},
    "cryptography": {"syncauth.adapters.keys", "syncauth.server.accounts.es256"},
    "filelock": {"syncauth.adapters.locks"},
    "httptools": set(),  # uvicorn takes it by itself
    "httpx": {
        "syncauth.blocking_user",
        "syncauth.user",
        "syncauth.adapters.bearer_auth",
        "syncauth.adapters.bearer_origins",
        "syncauth.adapters.http_calls",
        "syncauth.adapters.http_date",
        "syncauth.adapters.oauth_transport",
        "syncauth.server.accounts.issuer_documents",
    },
    "joserfc": {
        "syncauth.adapters.oauth_identity",
        "syncauth.server.accounts.foreign_keys",
        "syncauth.server.accounts.foreign_tokens",
        "syncauth.server.accounts.es256",
        "syncauth.server.accounts.issuer",
        "syncauth.server.accounts.key_file",
        "syncauth.server.accounts.key_ring",
        "syncauth.server.accounts.signing_keys",
    },
    "keyring": {"syncauth.adapters.keys"},
    "msgspec": {"syncauth"},  # the one codec of what is stored and sent
    "sqlite_utils": {"syncauth.blocking_files", "syncauth.handles", "syncauth.replica"},
    "opentelemetry": {"syncauth.server.operations.tracing"},
    "prometheus_client": {"syncauth.server.operations.metrics"},
    "starlette": {"syncauth.server"},
    "transitions": {"syncauth.sansio.statemachine"},
    "uvicorn": {"syncauth.cli.serve"},
    "uvloop": {"syncauth.cli.loops"},
    "watchfiles": {"syncauth.adapters.watching"},
    "websockets": {"syncauth.adapters.websocket"},
}
"""Library → the modules, or packages, that may import it."""


def test_libraries_enter_through_their_doors() -> None:
    """No module imports a library that has no door there."""
    strays = {
        f"{each.module} imports {each.name}"
        for each in imports()
        if each.library not in sys.stdlib_module_names
        and each.library != "syncauth"
        and not _is_at_a_door(each.module, DOORS.get(each.library, set()))
    }

    assert strays == set()


def test_libraries_are_declared() -> None:
    """Exactly the libraries that have a door are dependencies of the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["server"], *extras["otel"], *extras["demo"]]
    names = {re.split(r"[<>=\[;~! ]", line)[0] for line in declared}

    assert {_import_name(name) for name in names} == set(DOORS)


def test_adapters_are_strangers() -> None:
    """An adapter imports no adapter of another thing; those of one thing share their first word."""
    acquainted = {
        f"{each.module} imports {other}"
        for each in imports()
        if each.module.startswith("syncauth.adapters.")
        for other in (each.name, f"{each.name}.{each.member}")
        if other.startswith("syncauth.adapters.") and _thing(other) != _thing(each.module)
    }

    assert acquainted == set()


def test_the_server_takes_only_clock_and_randomness_from_the_interfaces() -> None:
    """The other interfaces are the client's."""
    taken = {
        each.member
        for each in imports()
        if each.module.startswith("syncauth.server") and each.name == "syncauth.interfaces"
    }

    assert taken <= {"Clock", "Randomness"}


def _is_at_a_door(module: str, doors: set[str]) -> bool:
    return any(module == door or module.startswith(f"{door}.") for door in doors)


def _thing(module: str) -> str:
    word = module.split(".")[2].partition("_")[0]
    return {"keys": "sessions"}.get(word, word)  # the keys are the credential store's


def _import_name(distribution: str) -> str:
    others = {"argon2-cffi": "argon2", "opentelemetry-api": "opentelemetry"}
    return others.get(distribution, distribution.replace("-", "_"))
