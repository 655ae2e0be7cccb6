"""Several users on one device: who logs in, who is current, who leaves."""

from __future__ import annotations

import pytest

from syncauth.errors import CredentialsRefused, NotLoggedInError
from syncauth.events import UserSwitched
from syncauth.models import (
    Credentials,
    Identity,
    Login,
    Profile,
    Refused,
    ReloginReason,
    SessionState,
)
from syncauth.sansio import inputs
from syncauth.sansio.effects import (
    Authenticate,
    PutCurrent,
    PutLogin,
    PutProfile,
    PutRevocation,
    RevokeWaiting,
    Settle,
)
from tests.support.engine_story import ANN, Story, login, pair
from tests.support.token_story import TokenStory

GUEST = Profile(identities=(Identity("i1", "anon-user"),))
LINKED = Profile(identities=(Identity("i1", "anon-user"), Identity("i2", "local-userpass")))


def of(*users: str) -> TokenStory:
    """Return a story in which these have logged in, one after the other."""
    story = TokenStory()
    for user in users:
        story.logged_in(user, user)
    return story


def guest(profile: Profile = GUEST) -> TokenStory:
    """Return a story of a user who has come without a name."""
    story = TokenStory()
    story.happen(inputs.LogInRequested(1, Credentials.anonymous()))
    story.happen(inputs.LogInAnswered(1, Login("guest", "d" * 24, pair("g"), profile)))
    return story


def log_out(story: Story, user: str, request: int = 50, *, remove: bool = False) -> None:
    """Let a user be logged out, or removed."""
    story.happen(inputs.LogOutRequested(request, user, forget=False, remove=remove))


# --- the anonymous user ---------------------------------------------------------------------------


def test_an_anonymous_user_who_is_here_is_taken_again() -> None:
    """Nobody is asked, nothing is written, and the call returns the same user."""
    story = guest()
    asked = story.count(Authenticate)
    decision = story.happen(inputs.LogInRequested(2, Credentials.anonymous()))

    assert story.settled(2) == Settle(2, "guest")
    assert (decision.writes, story.count(Authenticate)) == ((), asked)


def test_an_anonymous_user_who_is_taken_again_becomes_current() -> None:
    """As with every other login, durably."""
    story = guest()
    story.logged_in("a", ANN)
    decision = story.happen(inputs.LogInRequested(2, Credentials.anonymous()))

    assert story.current() == ["guest"]
    assert decision.writes == (PutCurrent("guest"),)
    assert story.last(UserSwitched).previous == ANN


def test_one_who_was_linked_is_nobody_s_guest() -> None:
    """A user who can log in in another way is not handed to the next one who comes without a name."""
    story = guest(LINKED)
    story.happen(inputs.LogInRequested(2, Credentials.anonymous()))

    assert story.waits(2)
    assert story.last(Authenticate).request == 2


def test_a_guest_who_was_linked_meanwhile_is_not_taken_again() -> None:
    """The profile that was read anew counts, and is kept."""
    story = guest()
    story.happen(inputs.ProfileRead(3, "guest", LINKED))
    assert story.last(PutProfile).profile == LINKED
    assert story.settled(3) == Settle(3)
    story.happen(inputs.LogInRequested(2, Credentials.anonymous()))

    assert story.waits(2)


@pytest.mark.parametrize("ending", ["refused", "logged out"])
def test_an_anonymous_user_without_a_session_is_not_taken_again(ending: str) -> None:
    """There would be no token to go with it."""
    story = guest()
    if ending == "refused":
        story.due()
        story.refresh_answered(Refused(ReloginReason.EXPIRED, "over"))
    else:
        log_out(story, "guest")
    story.happen(inputs.LogInRequested(2, Credentials.anonymous()))

    assert story.waits(2)


def test_a_new_anonymous_user_can_be_asked_for() -> None:
    """`reuse=False` asks the server for another one."""
    story = guest()
    story.happen(inputs.LogInRequested(2, Credentials.anonymous(reuse=False)))

    assert story.last(Authenticate).request == 2


# --- logins under way -----------------------------------------------------------------------------


def test_a_second_login_of_the_same_user_revokes_the_session_it_replaces() -> None:
    """The store moves the older refresh token to the revocations, which are sent."""
    story = of(ANN)
    before = story.count(RevokeWaiting)
    story.logged_in("2")

    assert story.last(PutLogin).epoch == 2
    assert story.count(RevokeWaiting) == before + 1


def test_a_refused_login_leaves_whoever_is_current() -> None:
    """The error goes to the caller alone."""
    story = of(ANN)
    refused = CredentialsRefused(code="InvalidPassword", why="no")
    story.happen(inputs.LogInRequested(2, Credentials.email_password("b", "c")))
    story.happen(inputs.LogInAnswered(2, refused))

    assert story.settled(2).error is refused
    assert story.current() == [ANN]


def test_a_logout_of_whomever_drops_every_login_under_way() -> None:
    """I8: it is a logout before the login, in whatever order the answers come."""
    story = of(ANN, "bob")
    story.happen(inputs.LogInRequested(2, Credentials.email_password("c", "d")))
    log_out(story, ANN)
    story.happen(inputs.LogInAnswered(2, login("c", "cleo")))

    assert isinstance(story.settled(2).error, NotLoggedInError)
    assert story.last(PutRevocation).refresh_token == pair("c").refresh
    assert {each.user_id for each in story.engine.accounts()} == {ANN, "bob"}


# --- who is current -------------------------------------------------------------------------------


def test_switching_is_durable_and_told() -> None:
    """I12: one is current; the other stays logged in."""
    story = of(ANN, "bob")
    decision = story.happen(inputs.SwitchRequested(2, ANN))

    assert decision.writes == (PutCurrent(ANN),)
    assert story.settled(2) == Settle(2)
    assert story.current() == [ANN]
    assert (story.last(UserSwitched).user_id, story.last(UserSwitched).previous) == (ANN, "bob")
    assert story.engine.session("bob") is SessionState.ACTIVE


def test_switching_to_whoever_is_current_changes_nothing() -> None:
    """Nothing is written or told."""
    story = of(ANN)
    decision = story.happen(inputs.SwitchRequested(2, ANN))

    assert (decision.writes, decision.events) == ((), ())
    assert story.settled(2) == Settle(2)


def test_a_user_who_must_log_in_again_can_be_switched_to() -> None:
    """Its rows can be worked with."""
    story = of(ANN, "bob")
    expired = story.row(ANN, state=SessionState.REFRESH_EXPIRED, tokens=None)
    story.elsewhere(expired, story.row("bob"))
    story.happen(inputs.SwitchRequested(2, ANN))

    assert story.current() == [ANN]


@pytest.mark.parametrize("remove", [False, True])
def test_nobody_switches_to_a_user_who_is_logged_out(remove: bool) -> None:
    """Neither to one who was removed."""
    story = of(ANN, "bob")
    log_out(story, ANN, remove=remove)
    story.happen(inputs.SwitchRequested(2, ANN))

    assert isinstance(story.settled(2).error, NotLoggedInError)
    assert story.current() == ["bob"]


def test_a_logout_of_the_current_user_falls_back_on_another() -> None:
    """As long as anybody is logged in somebody is current, durably."""
    story = of(ANN, "bob")
    log_out(story, "bob")

    assert story.current() == [ANN]
    assert story.last(PutCurrent) == PutCurrent(ANN)
    assert (story.last(UserSwitched).user_id, story.last(UserSwitched).previous) == (ANN, "bob")
    log_out(story, ANN, 51)
    assert story.current() == []


def test_a_logout_of_another_leaves_the_current_one() -> None:
    """I12: and its tokens."""
    story = of(ANN, "bob")
    before = story.account("bob")
    log_out(story, ANN)

    assert story.count(PutCurrent) == 0
    assert story.account("bob") == before
