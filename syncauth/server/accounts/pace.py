"""
Who is slowed down: every rate limit of the account API, in one place.

A limit slows down whoever asks: one account from one address, all failed logins of one address, one session from one
address. It never locks an account out and never ends or refuses a session from elsewhere. What succeeds is given
back, so that an office behind one address is not slowed down by its size. This module must never wait.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable
from typing import Final

from syncauth.interfaces import Clock
from syncauth.server.accounts.answers import Denied, too_many
from syncauth.server.accounts.rate_limit import RateLimit
from syncauth.server.settings.config import ServerLimits

LONGEST_KEY: Final = 254
"""Characters of a name that are remembered, so that long names cannot fill the memory."""

IPV6_NETWORK: Final = 64
"""Bits: whoever has one IPv6 address has its whole /64 (RFC 6177 section 2)."""


class Pace:
    """The buckets of one app. Its methods run on the event loop."""

    def __init__(self, limits: ServerLimits, clock: Clock) -> None:
        """Begin with every bucket full."""
        self._clock = clock
        self._accounts = RateLimit(burst=limits.login_burst, per_minute=limits.logins_per_minute)
        self._failures = RateLimit(
            burst=limits.failure_burst, per_minute=limits.failures_per_minute
        )
        self._registrations = RateLimit(
            burst=limits.register_burst, per_minute=limits.registrations_per_minute
        )
        self._mails = RateLimit(burst=limits.login_burst, per_minute=limits.logins_per_minute)
        self._refreshes = RateLimit(
            burst=limits.refresh_burst, per_minute=limits.refreshes_per_minute
        )

    def login(self, account: str, address: str) -> Denied | None:
        """Let one login be tried; `proved` takes it back.

        Counted before it is tried, so that many at once are no more than one after the other.
        """
        wait = self._take(self._failures, address)
        if not wait:
            wait = self._take(self._accounts, (account[:LONGEST_KEY], address))
            if wait:
                self._failures.give_back(address, self._clock.now())
        return too_many(wait) if wait else None

    def proved(self, account: str, address: str) -> None:
        """Take back what a login has cost that turned out to be rightful."""
        now = self._clock.now()
        self._failures.give_back(address, now)
        self._accounts.give_back((account[:LONGEST_KEY], address), now)

    def registration(self, address: str) -> Denied | None:
        """Let one account be made."""
        wait = self._take(self._registrations, address)
        return too_many(wait) if wait else None

    def mail(self, email: str, address: str) -> Denied | None:
        """Let one mail be asked for: slows down an address, and all who ask for one account."""
        wait = self._take(self._registrations, address)
        wait = wait or self._take(self._mails, email[:LONGEST_KEY])
        return too_many(wait) if wait else None

    def guess(self, address: str) -> Denied | None:
        """Let one token out of a mail be tried."""
        wait = self._take(self._failures, address)
        return too_many(wait) if wait else None

    def guessed(self, address: str) -> None:
        """Take back what a token has cost that was right."""
        self._failures.give_back(address, self._clock.now())

    def refresh(self, session_id: str, address: str) -> Denied | None:
        """Let one refresh be tried, of a session whose token was found to be signed by us."""
        wait = self._take(self._refreshes, (session_id, address))
        return too_many(wait) if wait else None

    def _take(self, bucket: RateLimit, key: Hashable) -> float:
        return bucket.take(key, self._clock.now())


def network_of(address: str) -> str:
    """Return the address as limits count it: of IPv6 the /64, for a client may use all of it."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address  # a Unix socket, or a proxy that names its clients in a way of its own
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found), IPV6_NETWORK), strict=False))
    return str(found)
