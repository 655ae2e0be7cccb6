"""What other processes store: adopted as it is, user by user, and never judged again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from syncauth.errors import NotLoggedInError
from syncauth.events import LoggedIn, LoggedOut, ReloginRequired, TokensRenewed, UserRemoved
from syncauth.models import (
    ConnectionState,
    PauseReason,
    Refused,
    ReloginReason,
    Renewed,
    SessionState,
)
from syncauth.sansio import inputs
from syncauth.sansio.effects import (
    CallReloginHook,
    HoldRefresh,
    PutTokens,
    ReadReplica,
    RequestRefresh,
)
from tests.support.engine_story import ANN, Story, pair, replica_state
from tests.support.stored_users import never_seen
from tests.support.token_story import TokenStory

ACTIVE, OUT = SessionState.ACTIVE, SessionState.LOGGED_OUT
EXPIRED = SessionState.REFRESH_EXPIRED
REFUSED = Refused(ReloginReason.EXPIRED, "invalid session")


def active() -> TokenStory:
    """Return a story of a user who has just logged in."""
    story = TokenStory()
    story.logged_in()
    return story


def logged_out() -> TokenStory:
    """Return a story of a user who has logged out here."""
    story = active()
    story.happen(inputs.LogOutRequested(50, ANN, forget=False))
    return story


def refused() -> TokenStory:
    """Return a story of a user who has to log in again."""
    story = active().due()
    story.refresh_answered(REFUSED)
    return story


# --- logins and renewals --------------------------------------------------------------------------


def test_what_is_as_we_know_it_changes_nothing() -> None:
    """A file that was written to for another user's sake is no news of this one."""
    story = active()
    before = story.account()
    decision = story.elsewhere(story.row())

    assert (decision.writes, decision.effects, decision.events) == ((), (), ())
    assert story.account() == before


def test_a_user_who_logged_in_elsewhere_for_the_first_time_appears() -> None:
    """I12: it is here with its tokens, and nobody else is touched."""
    story = active()
    bob = never_seen("bob", state=ACTIVE, tokens=pair("b"), received_at=story.wall)
    story.elsewhere(story.row(), bob)

    assert story.engine.session("bob") is ACTIVE
    assert story.account("bob").tokens == pair("b")
    assert story.account().tokens == pair("1")


def test_a_user_who_appears_in_the_middle_of_a_refresh_is_renewed_here_if_nobody_else_does() -> (
    None
):
    """The process that has begun may be gone: the lock tells, and is waited for (I6)."""
    story = TokenStory()
    story.locked_elsewhere = True
    marked = never_seen("bob", state=ACTIVE, tokens=pair("b"), refresh_id="theirs")
    story.elsewhere(replace(marked, received_at=story.wall))
    assert story.engine.session("bob") is SessionState.REFRESHING
    story.lock_freed()

    assert story.last(RequestRefresh).refresh_id == "theirs"


@pytest.mark.parametrize("epoch", [2, 3])
def test_a_login_elsewhere_is_adopted_after_a_logout_here(epoch: int) -> None:
    """Also if both took the same epoch: whoever stored last has the word."""
    story = logged_out()
    story.elsewhere(story.newer(pair("2"), epoch=epoch, current=True))

    assert story.session is ACTIVE
    assert story.account().epoch == epoch
    assert story.account().tokens == pair("2")
    assert story.current() == [ANN]
    assert story.count(LoggedIn) == 2


def test_a_login_elsewhere_ends_the_episode() -> None:
    """The app's handler is not called for what is over, and the tokens are those of the login."""
    story = refused()
    story.elsewhere(story.newer(pair("2"), epoch=2))

    assert story.session is ACTIVE
    assert story.account().episode is None
    assert story.engine.status(ANN).paused == frozenset()


def test_a_newer_pair_of_the_same_epoch_ends_the_episode_too() -> None:
    """The refusal was of an older token; the session goes on."""
    story = refused()
    story.elsewhere(story.newer(pair("2")))

    assert story.session is ACTIVE
    assert story.last(TokensRenewed).elsewhere


def test_a_renewal_elsewhere_makes_the_request_that_is_out_a_late_one() -> None:
    """I7: what is stored is the truth; the answer of the older token is dropped."""
    story = active().due()
    ticket = story.last(RequestRefresh).ticket
    story.elsewhere(story.newer(pair("2")))
    story.happen(inputs.RefreshAnswered(ticket, Renewed(pair("late"))))

    assert story.account().tokens == pair("2")
    assert story.count(PutTokens) == 0
    assert story.engine.dropped == 1
    assert story.given_back(ticket) == 1


def test_the_age_of_an_adopted_pair_is_told_by_its_receipt() -> None:
    """It is renewed when the one that has stored it would renew it."""
    story = active().due()
    story.elsewhere(story.newer(pair("2"), received_at=story.wall - 900))

    assert story.engine.next_deadline() == pytest.approx(story.now + 600)


def test_a_look_at_the_store_that_is_older_than_a_switch_does_not_undo_it() -> None:
    """I12: what was read with the lock of a refresh tells of that pair, not of who is current."""
    story = active()
    story.logged_in("b", "bob")
    story.locked_elsewhere = True
    story.want(1, renew=True, user="bob")
    seen = story.row("bob")
    story.happen(inputs.SwitchRequested(2, ANN))
    story.happen(inputs.RefreshHeld(story.last(HoldRefresh).ticket, seen, 7))

    assert story.current() == [ANN]
    assert story.count(RequestRefresh) == 1


def test_whoever_is_current_elsewhere_is_current_here() -> None:
    """I12: a switch in another process is seen in this one."""
    story = active()
    story.logged_in("b", "bob")
    story.elsewhere(story.row(current=True), story.row("bob", current=False))

    assert story.current() == [ANN]


# --- ends -----------------------------------------------------------------------------------------


def test_a_logout_elsewhere_is_a_logout_here() -> None:
    """I8: no token stays in memory, and a late answer brings none back."""
    story = active().due()
    ticket = story.last(RequestRefresh).ticket
    decision = story.elsewhere(story.row(state=OUT, epoch=2, tokens=None, current=False))
    story.happen(inputs.RefreshAnswered(ticket, Renewed(pair("late"))))

    assert decision.writes == ()
    assert story.session is OUT
    assert (story.account().tokens, story.account().epoch) == (None, 2)
    assert story.last(LoggedOut).elsewhere
    assert story.engine.dropped == 1


def test_an_end_elsewhere_calls_the_handler_here_once() -> None:
    """I5: the episode is the stored one, told once in each process, after sync has stopped."""
    story = Story().live()
    story.happen(inputs.HookRegistered())
    row = never_seen(ANN, state=EXPIRED, episode="e1", reason=ReloginReason.REVOKED, current=True)
    for _ in range(3):
        story.happen(inputs.SessionsReread((row,)))
    assert story.session is EXPIRED
    assert story.count(ReloginRequired) == 0
    story.happen(inputs.ReplicaRead(story.last(ReadReplica).ticket, replica_state()))
    story.lose()

    assert story.connection is ConnectionState.PAUSED
    assert story.count(ReloginRequired) == story.count(CallReloginHook) == 1
    assert story.last(ReloginRequired).episode == "e1"


@pytest.mark.parametrize("start", [logged_out, refused])
def test_a_login_and_its_end_elsewhere_between_two_looks_are_an_episode_of_their_own(
    start: Callable[[], TokenStory],
) -> None:
    """I5: the newest episode is told, whatever was missed before it."""
    story = start()
    told = story.count(ReloginRequired)
    ended = never_seen(
        ANN, state=EXPIRED, epoch=5, episode="e5", reason=ReloginReason.REVOKED, current=True
    )
    for _ in range(2):
        story.elsewhere(ended)

    assert story.session is EXPIRED
    assert story.account().epoch == 5
    assert story.count(ReloginRequired) == told + 1
    assert story.last(ReloginRequired).episode == "e5"
    assert story.engine.status(ANN).paused == {PauseReason.RELOGIN_REQUIRED}


def test_a_user_removed_elsewhere_is_gone_here() -> None:
    """Nobody waits for it any more, and its open refresh comes to nothing."""
    story = active()
    story.want(1, renew=True)
    ticket = story.last(RequestRefresh).ticket
    decision = story.elsewhere()
    story.happen(inputs.RefreshAnswered(ticket, Renewed(pair("late"))))

    assert decision.writes == ()
    assert story.engine.accounts() == ()
    assert story.last(UserRemoved).elsewhere
    assert isinstance(story.settled(1).error, NotLoggedInError)
    assert story.engine.dropped == 1
    assert story.given_back(ticket) == 1


def test_a_user_removed_and_back_before_its_sync_has_stopped_stays() -> None:
    """What is in the store is here, whatever was there in between."""
    story = Story().live()
    story.happen(inputs.SessionsReread(()))
    assert story.engine.accounts() == ()
    back = never_seen(ANN, state=ACTIVE, tokens=pair("2"), received_at=story.wall, current=True)
    story.happen(inputs.SessionsReread((back,)))
    story.lose(code=1000)

    assert [each.user_id for each in story.engine.accounts()] == [ANN]
    assert story.session is ACTIVE
