"""
The values that all layers speak of: frozen, without behaviour beyond their own reading.

Times called `…_at` are wall-clock seconds since the epoch (float); lives and delays are seconds. A
`Secret` holds a token's text and cannot be printed (I10). This module must never do I/O or read a
clock.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Final


class Secret:
    """A text that must not be printed.

    `repr`, `str` and `format` show only that it is there (I10).
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Wrap the text."""
        self._text = text

    def reveal(self) -> str:
        """Return the text itself. Every call is a place to look at in a review."""
        return self._text

    def __repr__(self) -> str:
        """Never show the text."""
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Compare the texts."""
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        """Hash the text."""
        return hash(self._text)

    def __reduce__(self) -> str:
        """Refuse to be pickled, which would write the text somewhere."""
        message = "a Secret cannot be pickled"
        raise TypeError(message)


class SessionState(enum.Enum):
    """The four states of a user's session; their table is `syncauth.sansio.session`."""

    LOGGED_OUT = "logged_out"
    ACTIVE = "active"
    REFRESHING = "refreshing"
    REFRESH_EXPIRED = "refresh_expired"


class ConnectionState(enum.Enum):
    """The states of the sync connection; their table is `syncauth.sansio.connection`."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    CATCHING_UP = "catching_up"
    LIVE = "live"
    BACKING_OFF = "backing_off"
    PAUSED = "paused"


class PauseReason(enum.Enum):
    """Why the connection is paused; it is left when the last reason has ended."""

    RELOGIN_REQUIRED = "relogin_required"
    MISCONFIGURED = "misconfigured"
    CLIENT_RESET = "client_reset"
    INCOMPATIBLE = "incompatible"


class ReloginReason(enum.Enum):
    """Why a new login is needed."""

    EXPIRED = "expired"
    REVOKED = "revoked"
    USER_DISABLED = "user_disabled"
    USER_REMOVED = "user_removed"
    REUSE_DETECTED = "reuse_detected"
    ROTATION_ANSWER_LOST = "rotation_answer_lost"
    """The answer to a refresh was lost, and the issuer does not take the old token a second time."""
    TOKENS_UNREADABLE = "tokens_unreadable"
    """The key of this device does not open the tokens that are stored here."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """One access token with the refresh token that renews it.

    `life` is the access token's life in seconds as told by the issuer, counted from receipt on the
    monotonic clock; the local wall clock never judges it. `refresh_life` is that of the refresh
    token, or None where the issuer does not tell it: good for a warning, never for a judgement.
    """

    access: Secret
    refresh: Secret
    life: float
    refresh_life: float | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """One login of a user at an identity provider."""

    id: str
    provider_type: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What the server tells of a user: identities and free data such as name and email."""

    user_type: str = "normal"
    identities: tuple[Identity, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A change that the server refused, kept for the app.

    `values` holds the refused columns as they were sent; `key` the primary key in declaration
    order.
    """

    id: int
    table: str
    key: tuple[Any, ...]
    kind: str
    values: dict[str, Any]
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table to synchronise, as the app declared it.

    `counters` are integer columns whose changes travel as deltas and add up; `key_by_app` declares
    an integer primary key to be assigned by the app; `local_triggers` declares that the app's own
    triggers on the table write only to tables that are not synchronised.
    """

    name: str
    counters: tuple[str, ...] = ()
    key_by_app: bool = False
    local_triggers: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """One frozen picture of a replica: where its session and its connection stand and what waits.

    `pending` counts changes in the outbox and in flight; `checkpoints` maps each partition to the
    version reached; `watching` is "events" or "polling".
    """

    session: SessionState
    connection: ConnectionState
    paused: frozenset[PauseReason]
    request_out: bool
    online: bool
    pending: int
    in_flight: int
    dead_letters: int
    checkpoints: dict[str, int]
    last_error: str | None
    watching: str = "events"


ANONYMOUS_DEVICE: Final = "0" * 24
"""The device id by which App Services clients say that they have none."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a person gives to log in; made by the named constructors, never printed whole.

    `reuse` asks for the anonymous user that is on this device already, if there is one.
    """

    provider: str
    payload: dict[str, Any] = field(repr=False)
    reuse: bool = False

    @classmethod
    def anonymous(cls, *, reuse: bool = True) -> Credentials:
        """A user without a name, who cannot log in again on another device."""
        return cls("anon-user", {}, reuse)

    @classmethod
    def email_password(cls, email: str, password: str) -> Credentials:
        """A user known by an email address."""
        return cls("local-userpass", {"username": email, "password": password})

    @classmethod
    def api_key(cls, key: str) -> Credentials:
        """A user known by a key that was made for it, such as a kiosk."""
        return cls("api-key", {"key": key})

    @classmethod
    def jwt(cls, token: str) -> Credentials:
        """A user known by a JWT of another issuer, which the server trusts."""
        return cls("custom-token", {"token": token})

    @classmethod
    def function(cls, payload: dict[str, Any]) -> Credentials:
        """A user whom a function of the server knows by this payload."""
        return cls("custom-function", dict(payload))

    @classmethod
    def google(cls, *, id_token: str | None = None, auth_code: str | None = None) -> Credentials:
        """A Google account, by the ID token or the authorization code that Google gave.

        The server of this package takes the ID token alone.
        """
        given = {"id_token": id_token, "authCode": auth_code}
        return cls("oauth2-google", {name: text for name, text in given.items() if text})

    @classmethod
    def facebook(cls, access_token: str) -> Credentials:
        """A Facebook account, by the access token that Facebook gave.

        The server of this package takes the one of Limited Login alone, which is a JWT.
        """
        return cls("oauth2-facebook", {"accessToken": access_token})

    @classmethod
    def apple(cls, id_token: str) -> Credentials:
        """An Apple account, by the ID token that Apple gave."""
        return cls("oauth2-apple", {"id_token": id_token})


@dataclass(frozen=True, slots=True)
class Login:
    """A login that the server accepted: whose it is, and the first pair of tokens."""

    user_id: str
    device_id: str
    tokens: TokenPair
    profile: Profile


@dataclass(frozen=True, slots=True)
class Renewed:
    """The provider gave a new pair; `user_id` is whose it is, where the answer itself tells.

    A pair of another user is not taken: something in between may have answered with a stored answer.
    """

    tokens: TokenPair
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider proved that this refresh token has ended."""

    reason: ReloginReason
    why: str


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """The request itself is wrong; no login cures it."""

    why: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """No judgement: offline, overloaded, or something in between spoke.

    `retry_after` in seconds; `online` False when nobody answered at all; `doubtful` when an answer
    came that only a proxy or captive portal gives (a bare 401 or 403, 3xx, HTML, an empty 200);
    `sent` False when the refresh token surely did not reach the issuer, so that the next attempt is
    no repeat.
    """

    why: str
    retry_after: float | None = None
    online: bool = True
    doubtful: bool = False
    sent: bool = True


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a user, by which a program can log in as that user.

    `key` is told once, when the key is made; afterwards it is None.
    """

    id: str
    name: str
    disabled: bool = False
    key: Secret | None = None


RefreshAnswer = Renewed | Refused | Misconfigured | Deferred
