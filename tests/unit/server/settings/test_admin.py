"""The section `[admin]`: off by default, networks that are networks."""

from __future__ import annotations

import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.settings.admin import AdminSettings, read_admin
from syncauth.server.settings.faults import Faults
from syncauth.server.settings.section import Section


def read(**values: object) -> AdminSettings:
    faults = Faults()
    admin = read_admin(Section("admin", values, faults))
    faults.check()
    return admin


def test_it_is_off_and_for_this_machine_by_default() -> None:
    """Without a word nobody is served; switched on, this machine is."""
    assert read() == AdminSettings(enabled=False, networks=("127.0.0.0/8", "::1/128"))
    assert read(enabled=True).networks == ("127.0.0.0/8", "::1/128")
    assert read(enabled=True, networks=["10.0.0.0/8", "192.0.2.7"]).networks == (
        "10.0.0.0/8",
        "192.0.2.7",
    )


@pytest.mark.parametrize("networks", [["10.0.0.1/8"], ["example.com"], [""], "10.0.0.0/8", [1]])
def test_what_is_no_network(networks: object) -> None:
    """A network with bits of a host, a name, or no list is refused, naming the setting."""
    with pytest.raises(InvalidConfig) as refusal:
        read(enabled=True, networks=networks)

    assert refusal.value.setting == "admin.networks"


def test_on_for_nobody_is_a_mistake() -> None:
    """Switched on without a network it would serve nobody: that is said; switched off it is no matter."""
    with pytest.raises(InvalidConfig) as refusal:
        read(enabled=True, networks=[])

    assert refusal.value.setting == "admin.networks"
    assert read(networks=[]).enabled is False
