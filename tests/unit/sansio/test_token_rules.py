"""Who waits for an access token: what they get, and that nobody waits longer than is said."""

from __future__ import annotations

import pytest

from syncauth.errors import NotLoggedInError, ReloginRequiredError, TokenUnavailableError
from syncauth.models import Deferred, Misconfigured, Refused, ReloginReason, Renewed, SessionState
from syncauth.sansio import inputs
from syncauth.sansio.effects import HoldRefresh, RequestRefresh, Settle
from tests.support.engine_story import ANN, LIFE, pair
from tests.support.token_story import TokenStory

OFFLINE = Deferred("nobody answered", online=False)
REFUSED = Refused(ReloginReason.USER_DISABLED, "disabled")


def active() -> TokenStory:
    """Return a story of a user who has just logged in."""
    story = TokenStory()
    story.logged_in()
    return story


def expired_access() -> TokenStory:
    """Return a story in which the access token has run out and the refresh is held up elsewhere."""
    story = active()
    story.locked_elsewhere = True
    story.wait(LIFE + 1)
    return story


# --- a token at once, or the one that comes -------------------------------------------------------


def test_a_usable_token_is_given_at_once() -> None:
    """Nothing is asked of the provider for it."""
    story = active()
    story.want(1)

    assert story.settled(1) == Settle(1, pair("1").access)
    assert story.count(HoldRefresh) == 0


def test_a_token_that_is_being_renewed_is_given_while_it_works() -> None:
    """The refresh that is out before the end keeps nobody waiting."""
    story = active().due()
    assert story.session is SessionState.REFRESHING
    story.want(1)

    assert story.settled(1).result == pair("1").access


def test_whoever_comes_while_a_refresh_is_out_gets_what_comes_of_it() -> None:
    """I4: the waiter joins the request instead of starting another."""
    story = active()
    story.want(1, renew=True)
    story.want(2, renew=True)
    story.want(3, rejected=pair("1").access)
    assert all(story.waits(request) for request in (1, 2, 3))
    story.renewed()

    assert {story.settled(request).result for request in (1, 2, 3)} == {pair("2").access}
    assert story.count(RequestRefresh) == 1


def test_a_thousand_waiters_make_one_request() -> None:
    """I4: each gets the new token, once."""
    story = active()
    story.wait(LIFE + 1)
    for request in range(1001, 2001):
        story.want(request)
    assert story.count(HoldRefresh) == story.count(RequestRefresh) == 1
    story.renewed()

    assert all(story.settled(request).result == pair("2").access for request in range(1001, 2001))
    assert story.account().token_waiters == ()


def test_a_renewal_that_is_asked_for_is_made_though_the_token_works() -> None:
    """`renew` is for claims that have changed at the server."""
    story = active()
    story.want(1, renew=True)
    assert story.waits(1)
    assert story.session is SessionState.REFRESHING
    story.renewed()

    assert story.settled(1).result == pair("2").access


def test_a_token_that_was_rejected_is_dead_by_its_value() -> None:
    """It is given to nobody any more, whatever its life says."""
    story = active()
    story.want(1, rejected=pair("1").access)
    story.want(2)
    assert story.waits(1) and story.waits(2)
    story.renewed()

    assert story.settled(1).result == story.settled(2).result == pair("2").access


def test_the_rejection_of_a_token_that_was_replaced_already_asks_for_nothing() -> None:
    """Whoever used the older one simply gets the newer."""
    story = active().due()
    story.renewed()
    requests = story.count(HoldRefresh)
    story.want(1, rejected=pair("1").access)

    assert story.settled(1).result == pair("2").access
    assert story.count(HoldRefresh) == requests


def test_a_pair_of_another_process_ends_the_wait() -> None:
    """It does not matter who has renewed."""
    story = expired_access()
    story.want(1)
    story.elsewhere(story.newer(pair("2")))

    assert story.settled(1).result == pair("2").access


def test_a_login_ends_the_wait() -> None:
    """Its token is as good as a renewed one."""
    story = expired_access()
    story.want(1)
    story.logged_in("2")

    assert story.settled(1).result == pair("2").access


# --- no token now ---------------------------------------------------------------------------------


def test_a_refresh_that_was_put_off_ends_every_wait() -> None:
    """The error tells when the next attempt comes, by the wall clock, and whether anybody answered."""
    story = active()
    story.wait(LIFE + 1)
    story.want(1)
    story.refresh_answered(OFFLINE)
    error = story.settled(1).error

    assert isinstance(error, TokenUnavailableError)
    assert error.online is False
    assert error.retry_at is not None
    deadline = story.engine.next_deadline()
    assert deadline is not None
    assert error.retry_at - story.wall == pytest.approx(deadline - story.now)


@pytest.mark.parametrize(
    ("answer", "wait"),
    [(Deferred("busy", retry_after=600.0), 600.0), (Misconfigured("invalid_client"), 300.0)],
)
def test_a_server_that_answers_is_online(answer: Deferred | Misconfigured, wait: float) -> None:
    """Every wait ends with it; when it asked to be asked again is in `retry_at`."""
    story = active()
    story.wait(LIFE + 1)
    story.want(1)
    story.refresh_answered(answer)
    error = story.settled(1).error

    assert isinstance(error, TokenUnavailableError)
    assert error.online is True
    assert error.retry_at is not None
    assert error.retry_at >= story.wall + wait


def test_nobody_waits_through_a_back_off() -> None:
    """Whoever comes while the next attempt waits for its time is answered at once, and asks for none."""
    story = active()
    story.wait(LIFE + 1)
    story.refresh_answered(Deferred("busy", retry_after=600.0))
    requests = story.count(HoldRefresh)
    for request, renew in enumerate((False, True), 1):
        story.want(request, renew=renew)
        assert isinstance(story.settled(request).error, TokenUnavailableError)

    assert story.count(HoldRefresh) == requests


def test_a_wait_in_the_next_attempt_is_for_that_attempt() -> None:
    """The failures before it do not answer whoever comes while it is out."""
    story = active()
    story.wait(LIFE + 1)
    story.refresh_answered(OFFLINE)
    story.wait(400)
    story.want(1)
    assert story.waits(1)
    story.renewed()

    assert story.settled(1).result == pair("2").access


def test_while_the_first_attempt_waits_for_its_second_a_waiter_waits_with_it() -> None:
    """The floor of a second between two attempts is no failure."""
    story = active().due()
    story.renewed()
    story.want(1, renew=True)
    assert story.waits(1)
    story.wait(1.0)
    story.renewed("3")

    assert story.settled(1).result == pair("3").access


def test_a_store_that_takes_no_writes_ends_every_wait() -> None:
    """Without a mark nothing is sent, so no token can come now."""
    story = expired_access()
    story.want(1)
    story.without_store(inputs.RefreshNotHeld(story.last(HoldRefresh).ticket))

    assert isinstance(story.settled(1).error, TokenUnavailableError)


def test_nobody_waits_longer_than_it_said() -> None:
    """Each wait ends at its own time; the refresh goes on for the others."""
    story = expired_access()
    story.want(1, seconds=10)
    story.want(2, seconds=60)
    story.wait(9.9)
    assert story.waits(1)
    story.wait(0.1)
    assert isinstance(story.settled(1).error, TokenUnavailableError)
    assert story.waits(2)
    story.lock_freed()
    story.renewed()

    assert story.settled(2).result == pair("2").access


# --- no session any more --------------------------------------------------------------------------


def test_a_refusal_ends_every_wait_with_its_reason() -> None:
    """Whoever waited is told that a login is needed, and so is whoever comes later."""
    story = active()
    story.wait(LIFE + 1)
    story.want(1)
    story.refresh_answered(REFUSED)
    story.want(2)

    for request in (1, 2):
        error = story.settled(request).error
        assert isinstance(error, ReloginRequiredError)
        assert (error.user_id, error.reason) == (ANN, "user_disabled")


def test_a_logout_ends_every_wait() -> None:
    """I8: no token comes out of a session that is logged out, now or later."""
    story = active()
    story.wait(LIFE + 1)
    story.want(1)
    story.happen(inputs.LogOutRequested(50, ANN, forget=False))
    story.want(2)

    for request in (1, 2):
        assert isinstance(story.settled(request).error, NotLoggedInError)


@pytest.mark.parametrize("gone", ["here", "elsewhere"])
def test_a_removal_ends_every_wait(gone: str) -> None:
    """I8: whoever waited is told, and so is whoever comes when the user is known no more."""
    story = expired_access()
    story.want(1)
    if gone == "here":
        story.happen(inputs.LogOutRequested(50, ANN, forget=False, remove=True))
    else:
        story.elsewhere()
    assert story.engine.accounts() == ()
    story.want(2)

    for request in (1, 2):
        assert isinstance(story.settled(request).error, NotLoggedInError)


def test_a_wait_that_was_given_up_is_settled_by_nothing() -> None:
    """The refresh that it began goes on, and its time-out is no deadline any more."""
    story = expired_access()
    story.want(1)
    story.happen(inputs.RequestCancelled(1))
    assert story.engine.next_deadline() is None
    story.lock_freed()
    story.renewed()

    assert story.waits(1)
    assert story.account().tokens == pair("2")


def test_each_user_waits_for_its_own_token() -> None:
    """I12: the renewal of another user's pair ends no wait of this one."""
    story = active()
    story.logged_in("b", user="bob")
    story.want(1, renew=True)
    story.want(2, renew=True, user="bob")
    ann, bob = (each.ticket for each in story.effects if isinstance(each, RequestRefresh))
    story.happen(inputs.RefreshAnswered(bob, Renewed(pair("b2"))))
    assert story.waits(1)
    assert story.settled(2).result == pair("b2").access
    story.happen(inputs.RefreshAnswered(ann, Renewed(pair("2"))))

    assert story.settled(1).result == pair("2").access
