"""Every `CredentialStore` behaves alike; each test runs against each place where its keys can live."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncauth.adapters.sessions import HISTORY_ROWS
from syncauth.interfaces import StaleWrite
from syncauth.models import Identity, Profile, ReloginReason, Secret, SessionState
from syncauth.sansio.effects import (
    DropRemoval,
    DropRevocation,
    PutCurrent,
    PutExpired,
    PutLogout,
    PutMark,
    PutProfile,
    PutRemoval,
    PutRevocation,
    PutTokens,
    Transition,
)
from tests.support.credential_bench import (
    KINDS,
    PROFILE,
    CredentialBench,
    credential_bench,
    login,
    pair,
)

ENDED = PutExpired("ann", 1, pair("1").refresh, "episode", ReloginReason.REVOKED, 5.0)


@pytest.fixture(params=KINDS)
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[CredentialBench]:
    """A store in which nobody is yet."""
    with credential_bench(tmp_path, request.param) as bench:
        yield bench


def with_ann(bench: CredentialBench, refresh_life: float | None = None) -> CredentialBench:
    """Let Ann log in with pair 1, in epoch 1."""
    bench.store.commit([login(refresh_life=refresh_life)])
    return bench


def test_the_protection_is_told(bench: CredentialBench) -> None:
    """Where the key lives is no secret."""
    told = {"file": "key file", "keyring": "keyring", "memory": "memory"}
    assert bench.store.protection == told[bench.kind]


def test_a_new_store_is_empty(bench: CredentialBench) -> None:
    """Nobody is there, and nothing waits."""
    assert list(bench.store.load()) == []
    assert list(bench.store.waiting_revocations()) == []
    assert list(bench.store.waiting_removals()) == []
    assert list(bench.store.history()) == []


# --- logins and users -----------------------------------------------------------------------------


def test_a_login_is_kept_as_it_was_given(bench: CredentialBench) -> None:
    """User, tokens and profile."""
    ann = with_ann(bench).user()
    assert (ann.tokens, ann.profile, ann.device_id) == (pair("1"), PROFILE, "d" * 24)
    assert (ann.state, ann.epoch, ann.received_at) == (SessionState.ACTIVE, 1, 1000.0)
    assert (ann.refresh_id, ann.episode, ann.reason) == (None, None, None)


def test_whoever_logs_in_last_is_current(bench: CredentialBench) -> None:
    """Of several users one (I12)."""
    with_ann(bench).store.commit([login("2", "bob")])
    assert [(each.user_id, each.current) for each in bench.users()] == [
        ("ann", False),
        ("bob", True),
    ]


def test_another_user_can_be_made_current(bench: CredentialBench) -> None:
    """Or nobody; the sessions stay as they are."""
    with_ann(bench).store.commit([login("2", "bob")])
    bench.store.commit([PutCurrent("ann")])
    assert [each.user_id for each in bench.users() if each.current] == ["ann"]
    bench.store.commit([PutCurrent(None)])
    assert not any(each.current for each in bench.users())
    assert bench.user("bob").tokens == pair("2")


def test_a_login_revokes_the_session_that_it_replaces(bench: CredentialBench) -> None:
    """The older refresh token of the same user waits to be revoked, unless it is the same."""
    with_ann(bench).store.commit([login("2", epoch=2)])
    assert bench.revocations() == [pair("1").refresh]
    bench.store.commit([login("2", epoch=3)])
    assert bench.revocations() == [pair("1").refresh]


def test_a_profile_is_replaced(bench: CredentialBench) -> None:
    """As the server tells it anew, with all that it holds."""
    profile = Profile(
        "server",
        (Identity("a", "anon-user"), Identity("b", "api-key")),
        {"näme": ["Ann", None, 1.5]},
    )
    with_ann(bench).store.commit([PutProfile("ann", profile)])
    assert bench.user().profile == profile
    assert bench.user().tokens == pair("1")


# --- refreshes ------------------------------------------------------------------------------------


def test_a_refresh_leaves_its_mark_until_the_new_pair_is_there(bench: CredentialBench) -> None:
    """The mark goes with the pair that it was for."""
    with_ann(bench).store.commit([PutMark("ann", 1, pair("1").refresh, "refresh id")])
    assert bench.user().refresh_id == "refresh id"
    bench.store.commit([PutTokens("ann", 1, pair("1").refresh, pair("2"), 2000.0)])
    ann = bench.user()
    assert (ann.tokens, ann.refresh_id, ann.received_at) == (pair("2"), None, 2000.0)


def test_the_end_of_a_refresh_token_that_stays_is_kept(bench: CredentialBench) -> None:
    """A renewed access token does not make the refresh token younger."""
    with_ann(bench, refresh_life=9000.0)
    assert bench.user().refresh_ends_at == 10_000.0
    same = pair("1", refresh_life=9000.0)
    bench.store.commit([PutTokens("ann", 1, same.refresh, same, 5000.0)])
    assert bench.user().refresh_ends_at == 10_000.0
    assert bench.user().tokens == same


@pytest.mark.parametrize(("life", "ends"), [(9000.0, 14_000.0), (None, None)])
def test_a_rotated_refresh_token_has_an_end_of_its_own(
    bench: CredentialBench, life: float | None, ends: float | None
) -> None:
    """Counted from its receipt, or unknown."""
    with_ann(bench, refresh_life=9000.0)
    bench.store.commit([PutTokens("ann", 1, pair("1").refresh, pair("2", life), 5000.0)])
    assert bench.user().refresh_ends_at == ends


def test_an_end_begins_an_episode(bench: CredentialBench) -> None:
    """Both tokens are erased; reason, since and episode stay until the next login (I5)."""
    with_ann(bench, refresh_life=9000.0).store.commit([ENDED])
    ann = bench.user()
    assert (ann.state, ann.tokens, ann.current) == (SessionState.REFRESH_EXPIRED, None, True)
    assert (ann.episode, ann.reason, ann.since) == ("episode", ReloginReason.REVOKED, 5.0)
    assert ann.refresh_ends_at is None
    assert bench.revocations() == []
    bench.store.commit([login("2", epoch=2)])
    ann = bench.user()
    assert (ann.state, ann.episode, ann.reason) == (SessionState.ACTIVE, None, None)
    assert ann.tokens == pair("2")


# --- logouts and removals -------------------------------------------------------------------------


def test_a_logout_keeps_the_refresh_token_to_be_revoked(bench: CredentialBench) -> None:
    """It moves in the same commit, and goes when the server has confirmed (I8)."""
    with_ann(bench).store.commit([PutLogout("ann", 2, forget=False)])
    ((number, token),) = bench.store.waiting_revocations()
    assert token == pair("1").refresh
    ann = bench.user()
    assert (ann.state, ann.tokens, ann.current) == (SessionState.LOGGED_OUT, None, False)
    assert (ann.epoch, ann.refresh_ends_at) == (2, None)
    bench.store.commit([DropRevocation(number)])
    assert bench.revocations() == []


def test_a_logout_may_forget_the_token(bench: CredentialBench) -> None:
    """With `forget` nothing is kept to be revoked."""
    with_ann(bench).store.commit([PutLogout("ann", 2, forget=True)])
    assert bench.revocations() == []
    assert bench.user().tokens is None


def test_a_logout_after_the_end_ends_the_episode(bench: CredentialBench) -> None:
    """Nothing is left to be revoked, and nobody is asked to log in again."""
    with_ann(bench).store.commit([ENDED])
    bench.store.commit([PutLogout("ann", 2, forget=False)])
    ann = bench.user()
    assert (ann.state, ann.episode, ann.reason) == (SessionState.LOGGED_OUT, None, None)
    assert bench.revocations() == []


@pytest.mark.parametrize("forget", [False, True])
def test_a_removed_user_is_gone_and_its_file_is_noted(bench: CredentialBench, forget: bool) -> None:
    """Until the file is deleted; the token is revoked unless it is to be forgotten (I8)."""
    with_ann(bench).store.commit([login("2", "bob")])
    bench.store.commit([PutRemoval("ann", forget)])
    assert [each.user_id for each in bench.users()] == ["bob"]
    assert bench.store.waiting_removals() == [("ann", None)]
    assert bench.revocations() == ([] if forget else [pair("1").refresh])
    bench.store.commit([DropRemoval("ann")])
    assert bench.store.waiting_removals() == []


def test_a_removal_may_be_repeated(bench: CredentialBench) -> None:
    """Two processes may remove the same user; the note stays one."""
    with_ann(bench).store.commit([PutRemoval("ann", forget=True)])
    bench.store.commit([PutRemoval("ann", forget=False)])
    assert bench.store.waiting_removals() == [("ann", None)]
    assert bench.revocations() == []


def test_a_user_who_comes_back_is_not_deleted(bench: CredentialBench) -> None:
    """The note of the removal goes with the login, and nothing of the older session is left."""
    with_ann(bench).store.commit([PutMark("ann", 1, pair("1").refresh, "id")])
    bench.store.commit([PutRemoval("ann", forget=True)])
    bench.store.commit([login("2", epoch=1)])
    assert bench.store.waiting_removals() == []
    ann = bench.user()
    assert (ann.tokens, ann.refresh_id, ann.epoch) == (pair("2"), None, 1)


def test_erasing_is_finished_at_once_where_nobody_reads(bench: CredentialBench) -> None:
    """And may be asked for when there is nothing to erase."""
    assert bench.store.finish_erasing()
    with_ann(bench).store.commit([PutLogout("ann", 2, forget=False)])
    assert bench.store.finish_erasing()


def test_revocations_wait_in_order_and_go_one_by_one(bench: CredentialBench) -> None:
    """A number is not used again, so that a late confirmation drops no other token."""
    bench.store.commit([PutRevocation(Secret("a")), PutRevocation(Secret("b"))])
    (first, _), (second, _) = bench.store.waiting_revocations()
    bench.store.commit([DropRevocation(second)])
    assert bench.revocations() == [Secret("a")]
    bench.store.commit([PutRevocation(Secret("c"))])
    assert [number for number, _ in bench.store.waiting_revocations()] == [first, second + 1]
    bench.store.commit([DropRevocation(999)])
    assert bench.revocations() == [Secret("a"), Secret("c")]


# --- the history ----------------------------------------------------------------------------------


def move(number: int, user: str = "ann", reason: str | None = None) -> Transition:
    """Return a move of a session."""
    after = SessionState.REFRESHING
    return Transition(user, float(number), SessionState.ACTIVE, after, "refresh_due", reason)


def test_the_history_is_kept_in_order_of_one_user_or_of_all(bench: CredentialBench) -> None:
    """With writes or without, and with its reasons."""
    bench.store.commit([login()], [move(1), move(2, "bob", "revoked")])
    bench.store.commit([], [move(3)])
    assert list(bench.store.history()) == [move(1), move(2, "bob", "revoked"), move(3)]
    assert list(bench.store.history("ann")) == [move(1), move(3)]
    assert list(bench.store.history("nobody")) == []


def test_the_history_is_bounded(bench: CredentialBench) -> None:
    """The oldest moves go."""
    bench.store.commit([], [move(number) for number in range(HISTORY_ROWS)])
    bench.store.commit([], [move(HISTORY_ROWS), move(HISTORY_ROWS + 1)])
    kept = bench.store.history()
    assert len(kept) == HISTORY_ROWS
    assert (kept[0], kept[-1]) == (move(2), move(HISTORY_ROWS + 1))


def test_the_history_goes_with_the_commit_that_it_belongs_to(bench: CredentialBench) -> None:
    """What was not written has not happened."""
    with_ann(bench)
    with pytest.raises(StaleWrite):
        bench.store.commit([PutLogout("nobody", 2, forget=True)], [move(1)])
    assert list(bench.store.history()) == []


def test_a_store_can_be_closed_twice(bench: CredentialBench) -> None:
    """Closing is idempotent."""
    bench.store.close()
    bench.store.close()
