"""What a session leaves and outlives: the clock that jumped, the history, the episode."""

from __future__ import annotations

from syncauth.events import ReloginRequired
from syncauth.models import (
    Deferred,
    Refused,
    ReloginReason,
    SessionState,
)
from syncauth.sansio import inputs
from syncauth.sansio.effects import HoldRefresh, PutExpired, RequestRefresh, Transition
from syncauth.sansio.engine import DAY_SECONDS
from tests.support.engine_story import ANN, LIFE
from tests.support.token_story import TokenStory

DAY = DAY_SECONDS
OFFLINE = Deferred("nobody answered", online=False)
REFUSED = Refused(ReloginReason.REVOKED, "revoked")


# --- the clock that jumped ------------------------------------------------------------------------


def test_a_machine_that_slept_has_older_tokens() -> None:
    """The monotonic clock stood still meanwhile: what was told to live an hour has aged by the sleep."""
    story = TokenStory()
    story.logged_in()
    story.wall += LIFE
    story.happen(inputs.ClockJumped(LIFE))

    assert not story.account().usable(story.now)
    assert story.session is SessionState.REFRESHING
    assert story.count(RequestRefresh) == 1


def test_a_machine_that_slept_tries_at_once() -> None:
    """The network may be another one: what waited for it waits no longer."""
    story = TokenStory()
    story.logged_in()
    story.due()
    for _ in range(8):
        story.refresh_answered(OFFLINE)
        story.wait(400)
    story.refresh_answered(Deferred("nobody answered", retry_after=3000.0, online=False))
    asked = story.count(HoldRefresh)
    story.wait(2)
    story.wall += 60
    story.happen(inputs.ClockJumped(60))

    assert story.count(HoldRefresh) == asked + 1


def test_a_clock_that_was_set_back_makes_no_token_younger() -> None:
    """Lives are counted by the monotonic clock, so that nothing has changed."""
    story = TokenStory()
    story.logged_in()
    before = story.engine.next_deadline()
    story.wall -= 10 * DAY
    decision = story.happen(inputs.ClockJumped(-10 * DAY))

    assert (decision.writes, decision.effects, decision.events) == ((), (), ())
    assert story.engine.next_deadline() == before


# --- the history ----------------------------------------------------------------------------------


def test_the_history_tells_every_move_and_why() -> None:
    """From, to, by what, and the reason where there is one; without a secret (I10)."""
    story = TokenStory()
    story.logged_in()
    story.due()
    story.renewed()
    story.due()
    story.refresh_answered(REFUSED)
    story.happen(inputs.LogOutRequested(50, ANN, forget=False))

    assert [
        (move.before.value, move.after.value, move.trigger, move.reason) for move in story.history
    ] == [
        ("logged_out", "active", "log_in", None),
        ("active", "refreshing", "refresh_due", None),
        ("refreshing", "active", "tokens_renewed", None),
        ("active", "refreshing", "refresh_due", None),
        ("refreshing", "refresh_expired", "refresh_refused", "revoked"),
        ("refresh_expired", "logged_out", "log_out", None),
    ]
    assert story.history[0].at == 1_800_000_000.0
    assert "access-" not in repr(story.history)


def test_the_history_has_the_reason_of_an_end_elsewhere() -> None:
    """As it is stored."""
    story = TokenStory()
    story.logged_in()
    ended = story.row(
        state=SessionState.REFRESH_EXPIRED, tokens=None, reason=ReloginReason.USER_DISABLED
    )
    story.elsewhere(ended)

    assert story.history[-1] == Transition(
        ANN,
        story.wall,
        SessionState.ACTIVE,
        SessionState.REFRESH_EXPIRED,
        "expired_elsewhere",
        "user_disabled",
    )


def test_a_move_to_where_the_session_is_already_is_no_history() -> None:
    """A refresh that is put off a thousand times leaves one line."""
    story = TokenStory()
    story.logged_in()
    story.wait(LIFE + 1)
    for _ in range(20):
        story.refresh_answered(OFFLINE)
        story.wait(400)
    story.logged_in("2")
    story.logged_in("3")

    assert [move.trigger for move in story.history] == ["log_in", "refresh_due", "log_in"]


# --- the episode ----------------------------------------------------------------------------------


def test_the_stored_episode_is_the_one_that_is_told() -> None:
    """I5: after a restart the app knows it again by its id."""
    story = TokenStory()
    story.logged_in()
    story.due()
    story.refresh_answered(REFUSED)

    assert story.last(PutExpired).episode == story.last(ReloginRequired).episode
    assert story.last(PutExpired).since == story.last(ReloginRequired).since == story.wall
