"""
What the driver needs from the outside, as protocols.

Each has a real implementation and one in `testing`.

The asynchronous ones (`IdentityProvider`, `SyncTransport`) talk to servers. The blocking ones
(`CredentialStore`, `Replica`) are called by the driver where it has decided that they may block.
Nothing here has behaviour; every implementation is held to the contract suites of
`syncauth.testing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from syncauth.models import (
    ApiKey,
    Credentials,
    DeadLetter,
    Login,
    Profile,
    RefreshAnswer,
    Secret,
)
from syncauth.sansio.effects import StoreWrite, Transition
from syncauth.sansio.messages import BatchResult, Changes, Checkpoint
from syncauth.sansio.records import Batch, ReplicaState, StoredUser


class Clock(Protocol):
    """Two readings of time, both in seconds."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean anything."""
        ...

    def wall(self) -> float:
        """Return wall-clock seconds since the epoch, which may jump."""
        ...


class Randomness(Protocol):
    """Where chance enters."""

    def token(self, size: int) -> bytes:
        """Return `size` bytes fit for identifiers and keys."""
        ...

    def fraction(self) -> float:
        """Return a number from 0 (inclusive) to 1 (exclusive), for jitter."""
        ...


class IdentityProvider(Protocol):
    """The token calls of one issuer. It alone judges what an answer means.

    A provider of an app's own is a class with these members; see `docs/how-to`.
    """

    @property
    def name(self) -> str:
        """Name the issuer, the same in every run: tokens are sealed for it and go to no other."""
        ...

    @property
    def repeat_safe(self) -> bool:
        """Whether a refresh whose answer was lost may be sent again with the same refresh id."""
        ...

    async def log_in(self, credentials: Credentials) -> Login:
        """Log in.

        Raises `CredentialsRefused`, `ServerUnreachable`, `ServerBusy`, `ProtocolError`.
        """
        ...

    async def refresh(self, refresh_token: Secret, refresh_id: str) -> RefreshAnswer:
        """Renew the pair within the deadline for token calls; never raises for what a server does.

        `refresh_id` is the random id of this attempt: the same one may be sent again (RFC 6749
        section 6 leaves rotation to the server; the bundled one repeats its answer for the same
        id).
        """
        ...

    async def revoke(self, refresh_token: Secret) -> bool:
        """Revoke the session.

        True when the server confirmed or does not know it, False to try again.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections; idempotent."""
        ...


class AccessRejected(Exception):
    """The server did not take this access token: renew it, and repeat the call once."""


class AccountService(Protocol):
    """What a server of App Services' kind offers besides tokens.

    Calls that carry an access token raise `AccessRejected` where it is not taken. All raise
    `ServerUnreachable`, `ServerBusy` and `ProtocolError`, and `CredentialsRefused` with the
    server's code where the server refuses what was asked for.
    """

    async def register(self, email: str, password: str) -> None:
        """Make an account; raises `AccountNameInUse`."""
        ...

    async def confirm(self, token: str, token_id: str) -> None:
        """Confirm an account by what its mail held."""
        ...

    async def resend_confirmation(self, email: str) -> None:
        """Have the mail of the confirmation sent again."""
        ...

    async def retry_confirmation(self, email: str) -> None:
        """Have the server's function for confirmations called again."""
        ...

    async def send_reset(self, email: str) -> None:
        """Have the mail sent by which a password can be reset."""
        ...

    async def reset_password(self, token: str, token_id: str, password: str) -> None:
        """Set a new password by what the mail held."""
        ...

    async def call_reset_function(
        self, email: str, password: str, arguments: Sequence[Any]
    ) -> None:
        """Have the server's function for resets called."""
        ...

    async def link(self, access: Secret, credentials: Credentials) -> None:
        """Add an identity to the user of this token."""
        ...

    async def profile(self, access: Secret) -> Profile:
        """Read what the server tells of the user of this token."""
        ...

    async def delete_user(self, access: Secret) -> None:
        """Delete the user of this token at the server."""
        ...

    async def call_function(
        self, access: Secret, name: str, arguments: Sequence[Any], service: str | None
    ) -> Any:
        """Call a function of the server and return its result; raises `FunctionFailed`."""
        ...

    async def create_api_key(self, refresh: Secret, name: str) -> ApiKey:
        """Make a key; its text is told here alone."""
        ...

    async def api_keys(self, refresh: Secret) -> Sequence[ApiKey]:
        """Return the keys of the user of this token."""
        ...

    async def api_key(self, refresh: Secret, key_id: str) -> ApiKey:
        """Return one key."""
        ...

    async def delete_api_key(self, refresh: Secret, key_id: str) -> None:
        """Delete a key."""
        ...

    async def enable_api_key(self, refresh: Secret, key_id: str, *, enabled: bool) -> None:
        """Let a key be used, or not."""
        ...


class SyncSocket(Protocol):
    """One open sync socket."""

    async def send(self, frame: bytes) -> None:
        """Send one text frame; raises `ConnectionLost`."""
        ...

    async def receive(self) -> bytes:
        """Wait for the next text frame; raises `ConnectionLost` at the end of the socket."""
        ...

    async def aclose(self, code: int, reason: str) -> None:
        """Close with a code of RFC 6455 section 7.4, waiting a bounded time; idempotent."""


class ConnectionLost(Exception):
    """The socket has ended or could not be opened.

    `kind` is one of "closed", "handshake", "tls", "dns", "refused", "timeout", "network"; `code` the close code,
    `status` the HTTP status of a refused upgrade and `retry_after` the seconds it asked for, or None.
    """

    def __init__(
        self,
        kind: str,
        *,
        code: int | None = None,
        status: int | None = None,
        why: str,
        retry_after: float | None = None,
    ) -> None:
        """Keep what the engine judges by."""
        self.kind = kind
        self.code = code
        self.status = status
        self.why = why
        self.retry_after = retry_after
        super().__init__(f"{kind}: {why}")


class SyncTransport(Protocol):
    """Opens sync sockets; connects once per call, never again by itself."""

    async def connect(self, access_token: Secret) -> SyncSocket:
        """Open a socket, the token in the Authorization header; raises `ConnectionLost`."""
        ...


class StaleWrite(Exception):
    """A compare-and-set of the credential store failed: another process wrote first for this user."""

    def __init__(self, user_id: str) -> None:
        """Name the user."""
        self.user_id = user_id
        super().__init__("another process wrote first")


class Lock(Protocol):
    """A lock between processes, held until `release` or the end of the process."""

    def release(self) -> None:
        """Give it back; idempotent."""
        ...


class RefreshLocks(Protocol):
    """One lock for each user of a data directory: whoever holds it renews the user's tokens (I4)."""

    def try_hold(self, user_id: str) -> Lock | None:
        """Take the user's lock without waiting; None if another process or App holds it.

        Raises:
            StorageError: the lock file cannot be made or locked here.
        """
        ...


class CredentialStore(Protocol):
    """`sessions.db`: users, their sessions, encrypted tokens, and what is still to be revoked."""

    def load(self) -> Sequence[StoredUser]:
        """Read every user with its tokens; finishes a logout that was interrupted.

        Raises:
            KeyringUnavailable: the key cannot be had now; nothing was changed.
            FileTooNew, FileCorrupt: the file cannot be used; it was left as it is.
        """
        ...

    def raise_fence(self, user_id: str) -> tuple[int, StoredUser | None]:
        """Raise the user's fencing number durably and read the user, who may be gone.

        The caller holds the user's refresh lock. Raises as `commit` and `load` do.
        """
        ...

    def changed(self) -> bool:
        """Tell whether another process has written since this was last asked."""
        ...

    def waiting_removals(self) -> Sequence[tuple[str, int | None]]:
        """Read the users who were removed and whose files are still to be deleted.

        Each with how many unsent changes may be lost by it; None for any number.
        """
        ...

    def history(self, user_id: str | None = None) -> Sequence[Transition]:
        """Read the moves of sessions that are kept, oldest first, of one user or of all."""
        ...

    def commit(self, writes: Sequence[StoreWrite], history: Sequence[Transition] = ()) -> None:
        """Make all writes durable in one transaction (synchronous=FULL), or none.

        `history` are moves of sessions to be kept with them; it is bounded, the oldest go.

        Raises:
            FileFull, StorageError: nothing was written.
            StaleWrite: a compare-and-set failed because another process wrote first; nothing was
                written.
        """
        ...

    def waiting_revocations(self) -> Sequence[tuple[int, Secret]]:
        """Read the refresh tokens that wait to be revoked, each with its number."""
        ...

    def finish_erasing(self) -> bool:
        """Truncate the log after a logout.

        False when a reader is in the way and it must be tried again.
        """
        ...

    @property
    def protection(self) -> str:
        """Where the store key lives: "keyring", "key file" or "memory"."""
        ...

    def close(self) -> None:
        """Close the file; idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a step did: the state after it, the changes that were refused, the tables that were compared."""

    state: ReplicaState
    refused: tuple[DeadLetter, ...]
    restored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """What a cut did: the batch, if there is one, the state after it, and the changes that no frame can carry."""

    batch: Batch | None
    state: ReplicaState
    refused: tuple[DeadLetter, ...] = ()


class Replica(Protocol):
    """The keeping side of one user's file. Every method is one short transaction and blocks."""

    def state(self) -> ReplicaState:
        """Read the present state."""
        ...

    def begin_connection(self) -> int:
        """Durably raise and return the connection number, before each connect."""
        ...

    def adopt_device(self, device: str) -> ReplicaState:
        """Take the device id that the server gave; batches in flight go back to the outbox."""
        ...

    def follow_history(self, history: str) -> None:
        """Take note of the server's history, to which all belongs that it sends from now on."""

    def set_clock_offset(self, offset_ms: int) -> None:
        """Keep the difference server time minus wall clock for the clock of the triggers."""
        ...

    def cut(self, *, rows: int, size: int) -> Cut:
        """Move the oldest unsent changes in flight as the next batch, if there are any.

        At most `rows` changes and about `size` bytes, committed with synchronous=FULL.
        """
        ...

    def batches_in_flight(self, after: int) -> Sequence[Batch]:
        """Return the batches in flight above number `after`, in order, byte for byte."""
        ...

    def acknowledge(self, results: Sequence[BatchResult]) -> Acknowledged:
        """Trim the batches named, put refused rows back, fill the dead letters: one transaction.

        A result for a batch that is not in flight raises `InvalidMessage`, one with another digest
        `SyncStopped` with the code `digest_mismatch`.
        """
        ...

    def apply(self, changes: Changes) -> Acknowledged:
        """Apply one page of remote rows with its cursors, in one transaction.

        `refused` are local changes that had to give way and went to the dead letters.

        Raises:
            InvalidMessage: the page breaks the protocol; nothing was applied.
        """
        ...

    def reach(self, checkpoint: Checkpoint) -> Acknowledged:
        """Record a checkpoint that brought no rows."""
        ...

    def close(self) -> None:
        """Release the lock and close the file; idempotent."""
        ...
