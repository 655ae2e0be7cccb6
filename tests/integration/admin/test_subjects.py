"""`syncauth admin subjects`: a subject is kept out and let in again, beside a server that runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.admin.conftest import AdminServer, Start, shell
from tests.support.foreign_issuer import KeyPlace, key_place, new_key, sign
from tests.support.socket_device import Account, device

KEY = new_key("ES256")


@pytest.fixture
def place() -> Iterator[KeyPlace]:
    """The issuer."""
    with key_place() as made:
        made.publish(KEY)
        yield made


@pytest.fixture
def server(start: Start, place: KeyPlace) -> AdminServer:
    """A server that takes the issuer's tokens on its socket."""
    section = f'issuer = "{place.issuer}"\naudience = ["field-notes"]\ndiscovery = true\n'
    return start(f"[issuers.id]\n{section}sync = true")


def account(server: AdminServer, place: KeyPlace, number: int) -> Account:
    """Return whoever bears one of ann's tokens."""
    return Account(server.url, "", sign(KEY, "ES256", place.claims(jti=f"{number}"), kid="k1"), "")


async def test_subject_is_denied_listed_and_allowed(server: AdminServer, place: KeyPlace) -> None:
    """The open socket is cut, a new one is told why, and after the allowance all is as before (I3)."""
    async with device(account(server, place, 1)) as phone:
        await phone.greet()
        denied = shell(server, "subjects", "deny", place.issuer, "ann", "--json")
        ended = await phone.hear_end()
    async with device(account(server, place, 2)) as again:
        refused = await again.greet_refused(connection=2)
    listed = shell(server, "subjects", "list", "--json").document["subjects"]
    allowed = shell(server, "subjects", "allow", place.issuer, "ann")
    async with device(account(server, place, 3)) as back:
        await back.greet(connection=3)

    assert denied.document == {"issuer": place.issuer, "subject": "ann", "state": "denied"}
    assert ended == refused == (["user_disabled"], 4401)
    assert [(each["issuer"], each["subject"]) for each in listed] == [(place.issuer, "ann")]
    assert allowed.code == 0 and "allowed" in allowed.out
    assert shell(server, "subjects", "list", "--json").document == {"subjects": []}
    assert "No subject is denied." in shell(server, "subjects", "list").out


def test_only_whoever_is_kept_out_is_allowed(server: AdminServer) -> None:
    """Issuer and subject are compared exactly, and a mistake is told."""
    assert shell(server, "subjects", "deny", "https://id.example", "ann").code == 0
    for issuer, subject in (("https://id.example/", "ann"), ("https://id.example", "Ann")):
        assert shell(server, "subjects", "allow", issuer, subject).code == 2
    assert shell(server, "subjects", "allow", "https://id.example", "ann").code == 0
