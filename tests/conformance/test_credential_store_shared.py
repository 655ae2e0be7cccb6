"""Every `CredentialStore` is shared by processes: compared before it is set, fenced, noticed, found again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncauth.interfaces import StaleWrite
from syncauth.models import ReloginReason, Secret, SessionState
from syncauth.sansio.effects import (
    DropRemoval,
    PutCurrent,
    PutExpired,
    PutLogout,
    PutMark,
    PutRemoval,
    PutRevocation,
    PutTokens,
    StoreWrite,
    Transition,
)
from tests.support.credential_bench import (
    KINDS,
    LASTING_KINDS,
    CredentialBench,
    credential_bench,
    login,
    pair,
)

OWN, OTHER = pair("1").refresh, pair("other").refresh
EXPIRED = ReloginReason.EXPIRED


@pytest.fixture(params=KINDS)
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[CredentialBench]:
    """A store in which Ann has logged in with pair 1, in epoch 1; her fence is 0."""
    with credential_bench(tmp_path, request.param) as bench:
        bench.store.commit([login(refresh_life=9000.0)])
        yield bench


@pytest.fixture(params=LASTING_KINDS)
def lasting(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[CredentialBench]:
    """The same, with keys that another process has as well."""
    with credential_bench(tmp_path, request.param) as bench:
        bench.store.commit([login(refresh_life=9000.0)])
        yield bench


# --- compare and set ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stale",
    [
        PutTokens("ann", 1, OTHER, pair("2"), 0.0),
        PutTokens("ann", 9, OWN, pair("2"), 0.0),
        PutTokens("ann", 1, OWN, pair("2"), 0.0, fence=1),
        PutTokens("nobody", 1, OWN, pair("2"), 0.0),
        PutMark("ann", 1, OTHER, "id"),
        PutMark("ann", 9, OWN, "id"),
        PutMark("ann", 1, OWN, "id", fence=1),
        PutMark("nobody", 1, OWN, "id"),
        PutExpired("ann", 1, OTHER, "e", EXPIRED, 0.0),
        PutExpired("ann", 9, OWN, "e", EXPIRED, 0.0),
        PutExpired("ann", 1, OWN, "e", EXPIRED, 0.0, fence=1),
        PutExpired("nobody", 1, OWN, "e", EXPIRED, 0.0),
        PutLogout("nobody", 2, forget=False),
    ],
)
def test_what_was_overtaken_writes_nothing(
    bench: CredentialBench, stale: PutMark | PutTokens | PutExpired | PutLogout
) -> None:
    """A compare-and-set that fails undoes the whole commit, and tells whose it was (I7)."""
    before = bench.users()
    with pytest.raises(StaleWrite) as raised:
        bench.store.commit([PutRevocation(Secret("late")), stale])
    assert raised.value.user_id == stale.user_id
    assert bench.users() == before
    assert bench.revocations() == []


@pytest.mark.parametrize("ending", ["expired", "logged out"])
def test_a_session_that_is_over_takes_no_tokens(bench: CredentialBench, ending: str) -> None:
    """A renewal that comes after the end brings no session back (I8)."""
    ended = PutExpired("ann", 1, OWN, "e", EXPIRED, 0.0)
    bench.store.commit([ended if ending == "expired" else PutLogout("ann", 1, forget=True)])
    with pytest.raises(StaleWrite):
        bench.store.commit([PutTokens("ann", 1, OWN, pair("2"), 0.0)])
    assert bench.user().tokens is None


def test_whoever_takes_the_lock_overtakes_the_one_before(bench: CredentialBench) -> None:
    """The fencing number is raised and told; writes of an older one come too late (I4)."""
    first, ann = bench.store.raise_fence("ann")
    assert ann is not None and ann.tokens == pair("1", 9000.0)
    bench.store.commit([PutMark("ann", 1, OWN, "first", first)])
    second, ann = bench.store.raise_fence("ann")
    assert second > first
    assert ann is not None and ann.refresh_id == "first"
    for late in (
        PutTokens("ann", 1, OWN, pair("2"), 0.0, first),
        PutMark("ann", 1, OWN, "late", first),
        PutExpired("ann", 1, OWN, "e", EXPIRED, 0.0, first),
    ):
        with pytest.raises(StaleWrite):
            bench.store.commit([late])
    bench.store.commit([PutTokens("ann", 1, OWN, pair("2"), 0.0, second)])
    assert bench.user().tokens == pair("2")


def test_each_user_has_a_fence_of_its_own(bench: CredentialBench) -> None:
    """A refresh of one overtakes nobody else's (I12)."""
    bench.store.commit([login("b", "bob")])
    fence, _ = bench.store.raise_fence("ann")
    bench.store.raise_fence("bob")
    bench.store.commit([PutMark("ann", 1, OWN, "id", fence)])
    assert bench.user().refresh_id == "id"


def test_the_fence_of_a_user_who_is_gone_tells_so(bench: CredentialBench) -> None:
    """There is nobody to be renewed."""
    bench.store.commit([PutRemoval("ann", forget=True)])
    assert bench.store.raise_fence("ann") == (0, None)


# --- two processes on one file --------------------------------------------------------------------


def test_a_store_notices_what_another_has_written(bench: CredentialBench) -> None:
    """Once for each time it is asked, and not what it has written itself."""
    other = bench.another()
    bench.store.changed()
    bench.store.commit([PutCurrent(None)])
    assert not bench.store.changed()
    other.commit([PutCurrent("ann")])
    assert bench.store.changed()
    assert not bench.store.changed()
    assert other.changed()


def test_a_process_reads_what_another_has_stored(lasting: CredentialBench) -> None:
    """Tokens too: both have the keys."""
    other = lasting.another()
    other.commit([PutTokens("ann", 1, OWN, pair("2"), 2000.0)])
    (ann,) = lasting.store.load()
    assert ann.tokens == pair("2")
    with pytest.raises(StaleWrite):
        lasting.store.commit([PutTokens("ann", 1, OWN, pair("3"), 2000.0)])


def test_fences_are_raised_across_processes(lasting: CredentialBench) -> None:
    """Whoever slept with the lock is overtaken by the other process (I4)."""
    other = lasting.another()
    slept, _ = lasting.store.raise_fence("ann")
    awake, _ = other.raise_fence("ann")
    assert awake > slept
    other.commit([PutMark("ann", 1, OWN, "theirs", awake)])
    with pytest.raises(StaleWrite):
        lasting.store.commit([PutMark("ann", 1, OWN, "ours", slept)])
    assert lasting.user().refresh_id == "theirs"


# --- the next run ---------------------------------------------------------------------------------


def test_the_next_run_finds_everything(lasting: CredentialBench) -> None:
    """Users, tokens, marks, removals, revocations, history and fences are durable (I14)."""
    move = Transition("ann", 1.0, SessionState.ACTIVE, SessionState.REFRESHING, "refresh_due")
    lasting.store.commit([login("b", "bob")], [move])
    lasting.store.commit([PutRemoval("bob", forget=False)])
    fence, _ = lasting.store.raise_fence("ann")
    lasting.store.commit([PutMark("ann", 1, OWN, "id", fence)])
    before, protection = lasting.users(), lasting.store.protection
    lasting.restart()

    assert lasting.users() == before
    assert lasting.user().tokens == pair("1", 9000.0)
    assert lasting.store.protection == protection
    assert lasting.store.waiting_removals() == [("bob", None)]
    assert lasting.revocations() == [pair("b").refresh]
    assert list(lasting.store.history()) == [move]
    assert lasting.store.raise_fence("ann")[0] == fence + 1
    lasting.store.commit([DropRemoval("bob")])
    lasting.restart()
    assert lasting.store.waiting_removals() == []


# --- tokens that cannot be read -------------------------------------------------------------------


@pytest.fixture
def unreadable(tmp_path: Path) -> Iterator[CredentialBench]:
    """A store whose keys went with the process that had them in its memory."""
    with credential_bench(tmp_path, "memory") as bench:
        bench.store.commit([login(refresh_life=9000.0), PutRevocation(Secret("waits"))])
        bench.restart()
        yield bench


def test_tokens_that_no_key_opens_ask_for_a_login(unreadable: CredentialBench) -> None:
    """The user is there, with the same episode each time it is read (I5)."""
    ann = unreadable.user()
    assert (ann.state, ann.tokens) == (SessionState.REFRESH_EXPIRED, None)
    assert ann.reason is ReloginReason.TOKENS_UNREADABLE
    assert ann.episode is not None
    assert unreadable.user().episode == ann.episode


def test_revocations_that_no_key_opens_are_left_out(unreadable: CredentialBench) -> None:
    """Nobody can send them; what is kept from now on can be read."""
    assert unreadable.revocations() == []
    unreadable.store.commit([PutRevocation(Secret("new"))])
    assert unreadable.revocations() == [Secret("new")]


@pytest.mark.parametrize(
    "write",
    [
        PutMark("ann", 1, OWN, "id"),
        PutTokens("ann", 1, OWN, pair("2"), 0.0),
        PutExpired("ann", 1, OWN, "e", EXPIRED, 0.0),
    ],
)
def test_tokens_that_no_key_opens_are_not_replaced(
    unreadable: CredentialBench, write: StoreWrite
) -> None:
    """Who cannot compare does not set."""
    with pytest.raises(StaleWrite):
        unreadable.store.commit([write])


@pytest.mark.parametrize(
    ("way", "state"),
    [
        (login("2", epoch=2), SessionState.ACTIVE),
        (PutLogout("ann", 2, forget=False), SessionState.LOGGED_OUT),
    ],
)
def test_a_user_whose_tokens_no_key_opens_can_log_in_or_out(
    unreadable: CredentialBench, way: StoreWrite, state: SessionState
) -> None:
    """What cannot be read is replaced or erased, and nothing of it is revoked."""
    unreadable.store.commit([way])
    assert unreadable.user().state is state
    assert unreadable.user().reason is None
    assert unreadable.revocations() == []
