"""Logouts, removals, and the revocations that follow: what is left of a user, and what comes too late."""

from __future__ import annotations

from syncauth.errors import NotLoggedInError
from syncauth.events import LoggedIn, LoggedOut, UserRemoved
from syncauth.models import Identity, Profile, Renewed, SessionState
from syncauth.sansio import inputs
from syncauth.sansio.effects import (
    CloseSocket,
    DropRevocation,
    EndRefresh,
    FinishErasing,
    PutLogout,
    PutRemoval,
    PutRevocation,
    RequestRefresh,
    RevokeWaiting,
    Settle,
)
from syncauth.sansio.messages import Error
from tests.support.engine_story import ANN, Story, pair
from tests.support.token_story import TokenStory

GUEST = Profile(identities=(Identity("i1", "anon-user"),))


def of(*users: str) -> TokenStory:
    """Return a story in which these have logged in, one after the other."""
    story = TokenStory()
    for user in users:
        story.logged_in(user, user)
    return story


def log_out(story: Story, user: str, request: int = 50, *, remove: bool = False) -> None:
    """Let a user be logged out, or removed."""
    story.happen(inputs.LogOutRequested(request, user, forget=False, remove=remove))


# --- logouts and removals -------------------------------------------------------------------------


def test_a_logout_forgets_the_tokens_and_keeps_the_user() -> None:
    """I8: the user can be seen, and there is no token left of it, in the store or here."""
    story = of(ANN)
    log_out(story, ANN)

    assert story.last(PutLogout) == PutLogout(ANN, 2, forget=False)
    assert story.account().tokens is None
    assert story.account().epoch == 2


def test_a_logout_that_forgets_revokes_nothing() -> None:
    """The token is erased unsent."""
    story = of(ANN)
    story.happen(inputs.LogOutRequested(50, ANN, forget=True))

    assert story.last(PutLogout).forget
    assert story.count(RevokeWaiting) == 0
    assert story.count(FinishErasing) == 1


def test_a_removed_user_is_gone_when_its_sync_has_stopped() -> None:
    """The call returns only then; from the first moment the user is not there for the app."""
    story = Story().live()
    log_out(story, ANN, remove=True)
    assert story.last(PutRemoval) == PutRemoval(ANN, forget=False)
    assert (story.count(LoggedOut), story.count(UserRemoved)) == (1, 1)
    assert story.engine.accounts() == ()
    assert story.count(CloseSocket) == 1
    assert Settle(50) not in story.effects
    story.lose(code=1000)

    assert Settle(50) in story.effects


def test_a_user_who_was_removed_can_come_back() -> None:
    """It is a new one: the epochs begin anew, nothing of the older session is left."""
    story = of(ANN)
    log_out(story, ANN, remove=True)
    story.logged_in("2")

    assert story.session is SessionState.ACTIVE
    assert story.account().tokens == pair("2")
    assert story.current() == [ANN]


def test_a_user_who_comes_back_before_its_sync_has_stopped_stays() -> None:
    """The end of the older socket does not remove whoever has logged in since."""
    story = Story().live()
    log_out(story, ANN, remove=True)
    story.logged_in("2")
    story.lose(code=1000)

    assert [each.user_id for each in story.engine.accounts()] == [ANN]
    assert Settle(50) in story.effects


def test_an_answer_that_comes_after_the_removal_is_revoked() -> None:
    """I7, I8: its pair opens no session again, and the lock of its refresh is given back all the same."""
    story = of(ANN).due()
    ticket = story.last(RequestRefresh).ticket
    log_out(story, ANN, remove=True)
    decision = story.happen(inputs.RefreshAnswered(ticket, Renewed(pair("late"))))

    assert decision.writes == (PutRevocation(pair("late").refresh),)
    assert decision.effects == (RevokeWaiting(), EndRefresh(ticket))
    assert story.engine.dropped == 1
    assert story.engine.accounts() == ()


def test_a_pair_that_comes_after_the_logout_is_revoked() -> None:
    """I8: the issuer may have rotated already, and then the old token alone ends nothing."""
    story = of(ANN).due()
    ticket = story.last(RequestRefresh).ticket
    log_out(story, ANN)
    decision = story.happen(inputs.RefreshAnswered(ticket, Renewed(pair("late"))))

    assert decision.writes == (PutRevocation(pair("late").refresh),)
    assert story.account().tokens is None


def test_an_answer_to_the_user_before_the_removal_is_nothing_to_the_one_who_came_back() -> None:
    """I7: epochs begin anew with a user, request numbers do not."""
    story = of(ANN).due()
    ticket = story.last(RequestRefresh).ticket
    log_out(story, ANN, remove=True)
    story.logged_in("2")
    story.happen(inputs.RefreshAnswered(ticket, Renewed(pair("late"))))

    assert story.account().tokens == pair("2")
    assert story.given_back(ticket) == 1


def test_a_replica_that_closes_after_its_user_has_gone_is_answered() -> None:
    """Nothing of its sync is left to stop, so nobody waits for it."""
    story = of(ANN)
    story.replica_opened()
    story.lose("network")
    log_out(story, ANN, remove=True)
    story.happen(inputs.ReplicaClosing(60, ANN))

    assert story.settled(60) == Settle(60)


def test_what_else_is_asked_in_the_name_of_one_who_has_gone_is_refused() -> None:
    """Whoever waits is told; a message of its socket is only counted."""
    story = of(ANN)
    log_out(story, ANN, remove=True)
    story.happen(inputs.SyncWanted(60, ANN))
    story.happen(inputs.ProfileRead(61, ANN, GUEST))
    story.happen(inputs.ReplicaWritten(ANN))

    assert isinstance(story.settled(60).error, NotLoggedInError)
    assert isinstance(story.settled(61).error, NotLoggedInError)
    assert story.engine.dropped == 1


# --- revocations ----------------------------------------------------------------------------------


def test_a_revocation_that_was_not_confirmed_is_tried_again_later() -> None:
    """With a back-off, until the server has confirmed; then it is dropped from the store."""
    story = of(ANN)
    log_out(story, ANN)
    sent = story.count(RevokeWaiting)
    story.happen(inputs.RevokeAnswered(7, confirmed=False))
    assert story.count(RevokeWaiting) == sent
    story.wait(400)
    assert story.count(RevokeWaiting) == sent + 1
    story.happen(inputs.RevokeAnswered(7, confirmed=True))

    assert story.last(DropRevocation) == DropRevocation(7)
    assert story.engine.next_deadline() is None


def test_revocations_that_the_last_run_left_are_sent_at_the_start() -> None:
    """A logout offline is completed whenever there is a network."""
    story = Story()
    story.happen(inputs.Started((), revocations=True))

    assert story.effects == [RevokeWaiting()]


def test_a_session_revoked_on_the_socket_ends_only_that_user_s() -> None:
    """I12: the other one stays as it is."""
    story = Story().live()
    story.logged_in("b", "bob")
    story.receive(Error("session_revoked", "", "relogin"))

    assert story.session is SessionState.REFRESH_EXPIRED
    assert story.engine.session("bob") is SessionState.ACTIVE
    assert story.count(LoggedIn) == 2
