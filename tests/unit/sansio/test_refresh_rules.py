"""The rules of a refresh: whose turn it is, what stands in the store, and what the answer means."""

from __future__ import annotations

import pytest

from syncauth.events import RefreshDeferred, SyncErrorRaised, TokensRenewed
from syncauth.models import (
    Deferred,
    Misconfigured,
    Refused,
    ReloginReason,
    Renewed,
    SessionState,
)
from syncauth.sansio import inputs
from syncauth.sansio.effects import (
    EndRefresh,
    HoldRefresh,
    PutExpired,
    PutMark,
    PutTokens,
    RequestRefresh,
    Ticket,
)
from syncauth.sansio.messages import Error
from tests.support.engine_story import ANN, Story, pair
from tests.support.token_story import TokenStory

LOST = Deferred("no answer came", online=False)
REFUSED = Refused(ReloginReason.EXPIRED, "invalid session")


def locked_elsewhere() -> TokenStory:
    """Return a story in which a refresh is due and another process has the lock."""
    story = TokenStory()
    story.locked_elsewhere = True
    story.logged_in()
    return story.due()


def out() -> TokenStory:
    """Return a story in which the request of a refresh is out."""
    story = TokenStory()
    story.logged_in()
    return story.due()


def again(story: TokenStory) -> None:
    """Let the back-off pass and the next request go out."""
    requests = story.count(RequestRefresh)
    story.wait(400)
    assert story.count(RequestRefresh) == requests + 1


# --- the lock ------------------------------------------------------------------------------------


def test_while_the_lock_is_held_elsewhere_nothing_is_marked_or_sent() -> None:
    """I4: the refresh waits for the lock, however long, and is not asked for a second time."""
    story = locked_elsewhere()
    story.wait(100_000)
    story.happen(inputs.NetworkChanged())

    assert story.session is SessionState.REFRESHING
    assert story.count(HoldRefresh) == 1
    assert story.count(PutMark) == story.count(RequestRefresh) == 0


def test_waiting_for_the_lock_is_no_request_that_is_out() -> None:
    """The status tells that a request is out only once the lock is held."""
    story = locked_elsewhere()
    assert not story.engine.status(ANN).request_out
    story.lock_freed()
    assert story.engine.status(ANN).request_out
    story.renewed()
    assert not story.engine.status(ANN).request_out


def test_a_pair_that_another_process_stored_meanwhile_is_adopted_unasked() -> None:
    """I4: whoever gets the lock after a renewal elsewhere takes that pair and sends nothing."""
    story = locked_elsewhere()
    decision = story.happen(
        inputs.RefreshHeld(story.last(HoldRefresh).ticket, story.newer(pair("2")), 7)
    )

    assert story.session is SessionState.ACTIVE
    assert story.account().tokens == pair("2")
    assert story.count(RequestRefresh) == 0
    assert decision.writes == ()
    assert decision.effects == (EndRefresh(story.last(HoldRefresh).ticket),)
    assert story.last(TokensRenewed).elsewhere


@pytest.mark.parametrize("state", [SessionState.REFRESH_EXPIRED, SessionState.LOGGED_OUT])
def test_an_end_that_another_process_stored_meanwhile_is_adopted(state: SessionState) -> None:
    """The lock is given back and nothing is sent, as there is nothing to renew any more."""
    story = locked_elsewhere()
    ticket = story.last(HoldRefresh).ticket
    ended = story.row(state=state, tokens=None, episode="e1", reason=ReloginReason.REVOKED)
    decision = story.happen(inputs.RefreshHeld(ticket, ended, 7))

    assert story.session is state
    assert EndRefresh(ticket) in decision.effects
    assert story.count(RequestRefresh) == 0


def test_a_user_removed_while_the_lock_was_waited_for_is_gone() -> None:
    """What is no more in the store is no more here either, and the lock is given back."""
    story = locked_elsewhere()
    ticket = story.last(HoldRefresh).ticket
    decision = story.happen(inputs.RefreshHeld(ticket, None, 0))

    assert story.engine.accounts() == ()
    assert decision.effects == (EndRefresh(ticket),)


@pytest.mark.parametrize("ticket", [Ticket(ANN, 1, 999), Ticket("nobody", 1, 1)])
def test_a_lock_for_a_ticket_that_is_not_current_is_given_back(ticket: Ticket) -> None:
    """I7: nothing is marked or sent for it, and it is counted."""
    story = locked_elsewhere()
    decision = story.happen(inputs.RefreshHeld(ticket, story.row(), 7))

    assert decision.writes == ()
    assert decision.effects == (EndRefresh(ticket),)
    assert story.engine.dropped == 1


def test_a_lock_that_comes_after_a_new_login_is_given_back() -> None:
    """I7: the ticket is of an epoch that is over."""
    story = locked_elsewhere()
    old = story.last(HoldRefresh).ticket
    story.logged_in("2")
    decision = story.happen(inputs.RefreshHeld(old, story.row(), 7))

    assert (decision.writes, decision.effects) == ((), (EndRefresh(old),))


def test_a_store_that_fails_before_the_refresh_puts_it_off() -> None:
    """It is tried again in a second, under a ticket of its own; the app is told once (I6)."""
    story = locked_elsewhere()
    for _ in range(3):
        first = story.last(HoldRefresh).ticket
        story.happen(inputs.RefreshNotHeld(first))
        assert story.session is SessionState.REFRESHING
        story.wait(1.0)
        assert story.last(HoldRefresh).ticket != first

    assert [event.code for event in story.events if isinstance(event, SyncErrorRaised)] == [
        "storage_failed"
    ]


def test_a_failure_for_a_ticket_that_is_not_current_changes_nothing() -> None:
    """I7: the refresh that is waited for goes on."""
    story = locked_elsewhere()
    before = story.account()
    decision = story.happen(inputs.RefreshNotHeld(Ticket(ANN, 1, 999)))

    assert (decision.writes, decision.effects) == ((), ())
    assert story.account() == before


def test_a_mark_that_cannot_be_kept_now_gives_the_lock_back() -> None:
    """Nothing is sent without a durable mark; the refresh is put off by a second."""
    story = locked_elsewhere()
    ticket = story.last(HoldRefresh).ticket
    decision = story.without_store(inputs.RefreshHeld(ticket, story.row(), 7))

    assert decision.effects == (EndRefresh(ticket),)
    assert story.engine.next_deadline() == story.now + 1.0


# --- the fence -----------------------------------------------------------------------------------


def test_every_write_of_a_refresh_carries_the_fence_of_its_lock() -> None:
    """I4: whoever was overtaken while it slept writes nothing."""
    story = locked_elsewhere()
    story.lock_freed(fence=41)
    assert story.last(PutMark).fence == 41
    story.renewed()
    assert story.last(PutTokens).fence == 41

    story.due().lock_freed(fence=42)
    story.refresh_answered(REFUSED)
    assert story.last(PutExpired).fence == 42


def test_an_end_told_on_the_socket_carries_no_fence() -> None:
    """It is no part of a refresh, so that a lock elsewhere does not keep it from being stored."""
    story = Story().live()
    story.receive(Error("session_revoked", "", "relogin"))

    assert story.last(PutExpired).fence is None


def test_a_fence_is_not_carried_into_the_next_attempt() -> None:
    """A deferred refresh gives its lock back; the next one raises the number again."""
    story = out()
    first = story.last(PutMark).fence
    story.refresh_answered(LOST)
    assert story.account().refresh.fence is None
    again(story)

    assert story.last(PutMark).fence != first


@pytest.mark.parametrize(
    "answer", [Renewed(pair("2")), LOST, REFUSED, Misconfigured("invalid_client")]
)
def test_the_lock_is_given_back_with_every_answer(
    answer: Renewed | Deferred | Refused | Misconfigured,
) -> None:
    """I4: once, and after the writes of the same decision."""
    story = out()
    ticket = story.last(RequestRefresh).ticket
    story.refresh_answered(answer)

    assert story.given_back(ticket) == 1


# --- writes that came too late -------------------------------------------------------------------


def test_a_mark_that_came_too_late_is_asked_for_again() -> None:
    """I7: what was out is dropped, and as nothing newer is stored the refresh begins anew."""
    story = locked_elsewhere()
    old = story.last(HoldRefresh).ticket
    story.elsewhere(story.row(), stale=ANN)
    decision = story.happen(inputs.RefreshHeld(old, story.row(), 7))
    assert decision.effects == (EndRefresh(old),)
    story.wait(1.0)

    assert story.last(HoldRefresh).ticket != old


def test_attempts_start_a_second_apart_at_least() -> None:
    """A server that rejects every fresh token is not hammered (the floor between two starts)."""
    story = out()
    story.renewed()
    story.want(1, rejected=pair("2").access)
    assert story.count(RequestRefresh) == 1
    story.wait(1.0)

    assert story.count(RequestRefresh) == 2


def test_a_misconfigured_request_is_tried_again_every_five_minutes() -> None:
    """No login cures it; the session stays, and the app is told once."""
    story = out()
    for expected in range(2, 5):
        story.refresh_answered(Misconfigured("invalid_client"))
        story.wait(299)
        assert story.count(RequestRefresh) == expected - 1
        story.wait(1)
        assert story.count(RequestRefresh) == expected

    assert story.session is SessionState.REFRESHING
    assert story.count(SyncErrorRaised) == 1


def test_a_pair_of_another_user_is_not_taken() -> None:
    """I12: a stored answer of something in between makes nobody somebody else; the refresh comes again."""
    story = out()
    before = story.account().tokens
    story.refresh_answered(Renewed(pair("eves"), user_id="eve"))

    assert story.account().tokens == before
    assert story.count(TokensRenewed) == story.count(PutTokens) == 0
    assert story.last(RefreshDeferred).why == "the answer has tokens of another user"
    story.wait(60)
    story.refresh_answered(Renewed(pair("2"), user_id=ANN))

    assert story.account().tokens == pair("2")
