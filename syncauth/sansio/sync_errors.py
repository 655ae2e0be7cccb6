"""
The catalogue of everything that can go wrong with sync, and what a device does about it.

A code stands in messages of the kinds `error` and `goodbye`, in a refused change, or is concluded
from the way a socket ended: by its close code (RFC 6455 section 7.4), by the HTTP status of a
refused upgrade, or by the network's failure. Either way it is judged to one action:

    ignore         nothing; the connection goes on
    retry          close what is open, come back after a growing pause (or the one the server names)
    renew_token    get a newer access token, then go on or come back
    relogin        the session has ended: stop, and ask the app for a login
    revert_change  one change was refused: it goes to the dead letters, all others go on
    client_reset   this file cannot go on with its history: pause, keep everything
    stop           neither time nor a login mends it: pause, and show the code

What may have been said by something in between (a bare 401, 403 or 404, a redirect) ends no session
and does not stop sync for good. docs/reference/errors.md shows this table; a test compares. This
module must never do I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, cast, get_args

Action = Literal[
    "ignore", "retry", "renew_token", "relogin", "revert_change", "client_reset", "stop"
]
ACTIONS: Final = frozenset(get_args(Action))

Source = Literal["server", "change", "ending", "device"]
"""Who says the code: the server in a message, the server about one change, the way that a socket
ended, or this device about itself."""


class Close:
    """The close codes that the server uses; from 4000 on they are ours (RFC 6455 section 7.4.2)."""

    NORMAL: Final = 1000
    GOING_AWAY: Final = 1001
    TOO_BIG: Final = 1009
    INTERNAL: Final = 1011
    RESTARTING: Final = 1012
    TOKEN: Final = 4401
    REFUSED: Final = 4403
    RESET: Final = 4409
    UPGRADE: Final = 4426
    SLOW_DOWN: Final = 4429


@dataclass(frozen=True, slots=True)
class SyncErrorKind:
    """One line of the catalogue; `close` is the code that the server then closes with."""

    code: str
    source: Source
    action: Action
    shown: bool
    close: int | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done, and whether the app is shown the code."""

    code: str
    action: Action
    shown: bool


_K = SyncErrorKind
SHOWN: Final = True
QUIET: Final = False

KINDS: Final = (
    # The token and the session behind it.
    _K("token_expiring", "server", "renew_token", QUIET, None, "the access token ends soon"),
    _K("token_expired", "server", "renew_token", QUIET, Close.TOKEN,
       "the access token has ended; no data moves, and a batch that came too late was not counted"),
    _K("token_invalid", "server", "renew_token", QUIET, Close.TOKEN,
       "the access token is not one of this server and app"),
    _K("wrong_session", "server", "retry", QUIET, Close.REFUSED,
       "the newer token belongs to another user or session than the socket"),
    _K("session_revoked", "server", "relogin", QUIET, Close.TOKEN, "the session was ended"),
    _K("user_disabled", "server", "relogin", QUIET, Close.TOKEN, "the user may not log in now"),
    _K("user_removed", "server", "relogin", QUIET, Close.TOKEN, "the user no longer exists"),
    # One change.
    _K("permission_denied", "change", "revert_change", SHOWN, None,
       "the rules do not let this user write the row"),
    _K("change_rejected", "change", "revert_change", SHOWN, None,
       "the server's table does not accept the change"),
    _K("constraint", "change", "revert_change", SHOWN, None,
       "the change breaks a NOT NULL, CHECK or STRICT rule of the server's table"),
    _K("unique_conflict", "change", "revert_change", SHOWN, None,
       "another row holds a value that must be unique"),
    _K("foreign_key", "change", "revert_change", SHOWN, None,
       "a row that the change refers to is not there, or was refused"),
    _K("value_not_supported", "change", "revert_change", SHOWN, None,
       "the server cannot hold the value unaltered"),
    # The two sides do not fit.
    _K("unknown_table", "server", "stop", SHOWN, Close.REFUSED,
       "the server does not serve this table"),
    _K("schema_mismatch", "server", "stop", SHOWN, Close.REFUSED,
       "a table has another key, or columns that the server does not know"),
    _K("protocol_mismatch", "server", "stop", SHOWN, Close.UPGRADE,
       "the two sides speak no common version of the protocol"),
    _K("bad_message", "server", "stop", SHOWN, Close.REFUSED,
       "a message cannot be read or breaks a rule of the protocol"),
    _K("message_too_big", "server", "stop", SHOWN, Close.TOO_BIG,
       "a message is larger than the server's limits allow"),
    # The file and its history.
    _K("checkpoint_too_old", "server", "client_reset", SHOWN, Close.RESET,
       "the server no longer has what came after this checkpoint"),
    _K("server_restored", "server", "client_reset", SHOWN, Close.RESET,
       "the server's file was restored to a time before what this file has of it"),
    _K("file_behind", "server", "client_reset", SHOWN, Close.RESET,
       "the file is older than what the server has of it: restored, or its last commits were lost"),
    _K("digest_mismatch", "server", "client_reset", SHOWN, Close.RESET,
       "a batch number was used twice with different contents"),
    _K("copied_file", "server", "client_reset", SHOWN, Close.RESET,
       "another copy of this file is connected"),
    # The flow.
    _K("out_of_order", "server", "retry", QUIET, None,
       "a batch number is missing before this one; send again from the one after `last`"),
    _K("superseded_connection", "server", "retry", QUIET, Close.NORMAL,
       "the same device has opened a newer connection"),
    _K("too_many_requests", "server", "retry", QUIET, Close.SLOW_DOWN,
       "the device sends faster than the server's window allows"),
    _K("server_restarting", "server", "retry", QUIET, Close.RESTARTING,
       "the server is about to end and will be back"),
    _K("internal", "server", "retry", SHOWN, Close.INTERNAL,
       "the server failed; nothing that it had not answered was applied"),
    # How a socket ended, or could not be opened.
    _K("closed", "ending", "retry", QUIET, None, "the socket was closed without a reason"),
    _K("abnormal_closure", "ending", "retry", QUIET, None, "the connection broke"),
    _K("token_refused", "ending", "renew_token", QUIET, None, "the server did not take the token"),
    _K("refused", "ending", "stop", SHOWN, None, "the server refuses this device's messages"),
    _K("reset_needed", "ending", "client_reset", SHOWN, None,
       "the server refuses this file's history"),
    _K("upgrade_forbidden", "ending", "retry", SHOWN, None,
       "the upgrade was forbidden, by something in between or by the server"),
    _K("app_not_found", "ending", "retry", SHOWN, None,
       "there is no such app at this address, or not now"),
    _K("redirected", "ending", "retry", SHOWN, None,
       "something in between answered with a redirect; redirects are not followed with a token"),
    _K("server_failed", "ending", "retry", QUIET, None, "the server or a proxy answered with 5xx"),
    _K("unexpected_answer", "ending", "retry", SHOWN, None,
       "the answer to the upgrade is not of a sync server"),
    _K("tls_failed", "ending", "retry", SHOWN, None,
       "no trusted TLS connection could be made; check the certificate and this device's clock"),
    _K("dns_failed", "ending", "retry", QUIET, None, "the server's name was not found"),
    _K("connection_refused", "ending", "retry", QUIET, None, "nobody listens at the address"),
    _K("timed_out", "ending", "retry", QUIET, None, "the server did not answer in time"),
    _K("network_failed", "ending", "retry", QUIET, None, "there is no way to the server"),
    # This device.
    _K("storage_failed", "device", "retry", SHOWN, None,
       "a file of this device could not be read or written; everything in it was kept"),
)  # fmt: skip
"""The catalogue, in the order of the reference."""

CATALOGUE: Final[Mapping[str, SyncErrorKind]] = MappingProxyType(
    {kind.code: kind for kind in KINDS}
)
"""The same by code."""

_BY_CLOSE: Final = MappingProxyType(
    {
        Close.NORMAL: "closed",
        Close.GOING_AWAY: "server_restarting",
        1002: "bad_message",
        1006: "abnormal_closure",
        1007: "bad_message",
        1008: "refused",
        Close.TOO_BIG: "message_too_big",
        Close.INTERNAL: "internal",
        Close.RESTARTING: "server_restarting",
        1013: "too_many_requests",
        1014: "server_failed",
        1015: "tls_failed",
        Close.TOKEN: "token_refused",
        Close.REFUSED: "refused",
        Close.RESET: "reset_needed",
        Close.UPGRADE: "protocol_mismatch",
        Close.SLOW_DOWN: "too_many_requests",
    }
)
_BY_STATUS: Final = MappingProxyType(
    {
        401: "token_refused",
        403: "upgrade_forbidden",
        404: "app_not_found",
        426: "protocol_mismatch",
        429: "too_many_requests",
    }
)
_BY_NETWORK: Final = MappingProxyType(
    {
        "closed": "abnormal_closure",
        "handshake": "unexpected_answer",
        "tls": "tls_failed",
        "dns": "dns_failed",
        "refused": "connection_refused",
        "timeout": "timed_out",
        "network": "network_failed",
    }
)


def judge(code: str, action: str) -> Verdict:
    """Judge a code that the server sent, together with the action it named.

    A code of the catalogue does what the catalogue says. One that this version does not know
    follows the action that the server named, if that is one of ours; else sync stops. Either way
    the unknown code is shown.
    """
    kind = CATALOGUE.get(code)
    if kind is not None:
        return Verdict(kind.code, kind.action, kind.shown)
    if action in ACTIONS:
        return Verdict(code, cast("Action", action), shown=True)
    return Verdict(code, "stop", shown=True)


def judge_close(code: int) -> Verdict:
    """Judge the close code of a socket that had been open; an unknown one means to come back."""
    return _verdict(_BY_CLOSE.get(code, "abnormal_closure"))


def judge_handshake(status: int) -> Verdict:
    """Judge the HTTP status with which the upgrade was refused."""
    known = _BY_STATUS.get(status)
    if known is not None:
        return _verdict(known)
    by_class = {3: "redirected", 5: "server_failed"}
    return _verdict(by_class.get(status // 100, "unexpected_answer"))


def judge_network(kind: str) -> Verdict:
    """Judge a failure of the network by the kind that `interfaces.ConnectionLost` names."""
    return _verdict(_BY_NETWORK.get(kind, "network_failed"))


def _verdict(code: str) -> Verdict:
    kind = CATALOGUE[code]
    return Verdict(kind.code, kind.action, kind.shown)
