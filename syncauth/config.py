"""
The settings of an App, checked when they are given.

This module must never do I/O: whether the data directory can be used is found out when the App
opens.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final
from urllib.parse import SplitResult, urlsplit

from syncauth.errors import InsecureServer, InvalidConfig

LONGEST_SECONDS: Final = 86_400.0
LONGEST_DAYS: Final = 3650
_DURATIONS: Final = ("token_deadline", "connect_timeout", "close_timeout", "function_deadline")


@dataclass(frozen=True, slots=True)
class AppConfig:
    """What an App needs to know; all durations in seconds.

    `base_url` has no trailing slash. `token_deadline` bounds every token and account call as a
    whole, `function_deadline` every call of a function of the server; `connect_timeout` the opening
    of a sync socket; `close_timeout` how long closing waits for anything. `key_storage` chooses
    where the key of the credential store lives: "keyring" falls back to a key file only where the
    machine has no usable keyring at all; "file" and "memory" are taken as they are.
    """

    base_url: str
    app_id: str
    data_dir: PurePath
    token_deadline: float = 10.0
    connect_timeout: float = 10.0
    close_timeout: float = 5.0
    function_deadline: float = 60.0
    key_storage: str = "keyring"
    session_expiring_days: float = 3.0
    trusted_hosts: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        """Check every setting; raises `InvalidConfig` or `InsecureServer`."""
        check_server(self.base_url)
        given = self.app_id if isinstance(self.app_id, str) else ""
        if not given or any(sign in "/?#% " or not sign.isprintable() for sign in given):
            what = "the app id cannot be used"
            raise InvalidConfig(what, setting="app_id", remedy="Use the id of syncauth.toml")
        if self.key_storage not in ("keyring", "file", "memory"):
            remedy = "Use 'keyring', 'file' or 'memory'"
            raise InvalidConfig("unknown key storage", setting="key_storage", remedy=remedy)
        for name in _DURATIONS:
            seconds = getattr(self, name)
            if type(seconds) not in (int, float) or not 0 < seconds <= LONGEST_SECONDS:
                remedy = f"Give seconds above 0 and up to {LONGEST_SECONDS:.0f}"
                raise InvalidConfig("this is no duration", setting=name, remedy=remedy)
        days = self.session_expiring_days
        if type(days) not in (int, float) or not 0 < days <= LONGEST_DAYS:
            remedy = f"Give days above 0 and up to {LONGEST_DAYS}"
            what, setting = "this is no number of days", "session_expiring_days"
            raise InvalidConfig(what, setting=setting, remedy=remedy)
        hosts = self.trusted_hosts
        if isinstance(hosts, str) or not all(isinstance(host, str) for host in hosts):
            remedy = "Give a set of host names"
            raise InvalidConfig("these are no hosts", setting="trusted_hosts", remedy=remedy)

    @property
    def sync_url(self) -> str:
        """The address of the sync socket."""
        scheme, _, rest = self.base_url.partition("://")
        socket_scheme = "wss" if scheme == "https" else "ws"
        return f"{socket_scheme}://{rest}/api/client/v2.0/app/{self.app_id}/sync"


def check_server(url: str) -> None:
    """Accept https, and http to loopback alone, since tokens would travel in clear text.

    Raises:
        InvalidConfig: it is no http or https URL with a host.
        InsecureServer: it is http, and not to a loopback address.
    """
    parts = _split(url)
    if (
        parts is None
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
    ):
        remedy = "Give a URL such as https://sync.example.com"
        raise InvalidConfig("the server's URL cannot be used", setting="url", remedy=remedy)
    if parts.username or parts.password:
        remedy = "Leave user and password out of the URL"
        raise InvalidConfig("the server's URL holds credentials", setting="url", remedy=remedy)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        what = f"http to {parts.hostname} would send tokens in clear text"
        raise InsecureServer(what, remedy="Use https; plain http is for loopback alone")


def _split(url: str) -> SplitResult | None:
    """Take a URL apart; None if it has signs that no URL has, or a port that is none."""
    if any(sign.isspace() or not sign.isprintable() for sign in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def is_loopback(host: str) -> bool:
    """Tell whether a host name means this machine (RFC 6761 section 6.3, RFC 4291 2.5.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
