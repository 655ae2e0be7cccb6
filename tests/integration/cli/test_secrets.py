"""No command prints a token, a password or a key, whatever it is asked and however it ends (I10)."""

from __future__ import annotations

import pytest

from tests.integration.cli.conftest import Place
from tests.support.commands import Ended, tokens_in
from tests.support.processes import EMAIL, PASSWORD, Device, Server


def both(place: Place, server: str | None = None) -> list[Ended]:
    """Run all commands that read, in both forms."""
    clock = () if server is None else ("--server", server)
    return [
        place.run(command, *form, *(clock if command == "doctor" else ()))
        for command in ("users", "status", "history", "doctor")
        for form in ((), ("--json",))
    ]


@pytest.mark.timeout(300)  # two dozen processes, one after the other
def test_no_output_holds_a_secret(place: Place, server: Server, device: Device) -> None:
    """Tokens of every state, sealed or waiting to be revoked, are in no output of any command (I10)."""
    secrets = {PASSWORD, (place.data / "sessions.key").read_bytes().hex()}
    ended: list[Ended] = []
    for form in ((), ("--json",)):
        ended.append(place.ask("login", "--email", EMAIL, "--password-file", place.password, *form))
        secrets.update(tokens_in(place.data, place.url))
        ended.append(place.ask("login", "--anonymous", *form))
        secrets.update(tokens_in(place.data, place.url))
    ended += both(place, place.url)
    device.stop()
    server.stop()
    for form in ((), ("--json",)):
        ended.append(place.ask("logout", "--wait", "0", *form))
        secrets.update(tokens_in(place.data, place.url))
    ended.append(place.ask("login", "--email", EMAIL, "--password-file", place.password))
    ended += both(place, place.url)

    assert len(secrets) >= 6
    for each in ended:
        shown = each.out + each.err
        assert [secret for secret in secrets if secret in shown] == []
        # Neither a part of one: a token has a payload between two dots.
        assert [part for secret in secrets for part in secret.split(".") if part in shown] == []
