"""
The section `[admin]` of `syncauth.toml`: whether the admin API is served, and to whom.

It is off unless the file says otherwise: the shell does all that it does, and a door that nobody uses is one that
nobody watches. This module must never look up a name or an address.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from syncauth.server.settings.section import Section


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """The admin API; `networks` are those from which it is called, for others it is not there."""

    enabled: bool = False
    networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")


def read_admin(section: Section) -> AdminSettings:
    """Read `[admin]`."""
    standard = AdminSettings()
    given = "networks" in section.names()
    admin = AdminSettings(
        enabled=section.flag("enabled", default=standard.enabled),
        networks=section.texts("networks") if given else standard.networks,
    )
    for network in admin.networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            remedy = 'Write networks as "192.0.2.0/24" or "2001:db8::/32", one address without "/"'
            section.refuse("networks", str(error), remedy)
    if admin.enabled and not admin.networks and section.sound("networks"):
        remedy = "Name the networks of the administrators, or set admin.enabled = false"
        section.refuse("networks", "it is empty: nobody could call the admin API", remedy)
    return admin
