"""From where the admin API is there."""

from __future__ import annotations

import ipaddress

import pytest

from syncauth.server.routes.admin import is_within

NETWORKS = [ipaddress.ip_network(each) for each in ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7")]


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3", "2001:db8::1%eth0"]
)
def test_addresses_of_the_networks(address: str) -> None:
    """Addresses of either family count, also an IPv4 address in the form of IPv6."""
    assert is_within((address, 1), NETWORKS)


@pytest.mark.parametrize("address", ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::ffff:11.0.0.1"])
def test_addresses_of_others(address: str) -> None:
    """Whoever calls from elsewhere is not let in."""
    assert not is_within((address, 1), NETWORKS)


@pytest.mark.parametrize(
    "client", [None, ("", 0), ("unix:", 0), ("10.0.0.0/8", 0), ("0x0a000001", 0)]
)
def test_what_is_no_address(client: tuple[str, int] | None) -> None:
    """A caller who cannot be placed is not let in, even where everybody is."""
    assert not is_within(client, [ipaddress.ip_network("0.0.0.0/0")])
