"""The known end of a refresh token: the app is warned once, in time, and nobody is logged out by it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncauth.events import SessionExpiring
from syncauth.models import (
    Deferred,
    Login,
    Profile,
    Refused,
    ReloginReason,
    Renewed,
    Secret,
    SessionState,
    TokenPair,
)
from syncauth.sansio import inputs
from syncauth.sansio.effects import PutTokens
from syncauth.sansio.engine import DAY_SECONDS, Engine
from tests.support.engine_story import ANN, Story, pair
from tests.support.stored_users import never_seen
from tests.support.token_story import TokenStory

DAY = DAY_SECONDS
LONG_LIFE = 60 * DAY
OFFLINE = Deferred("nobody answered", online=False)
REFUSED = Refused(ReloginReason.REVOKED, "revoked")


def lasting(refresh_life: float, name: str = "1") -> TokenPair:
    """Return a pair whose refresh token tells its life; its access token outlasts the story."""
    return replace(pair(name, life=400 * DAY), refresh_life=refresh_life)


def logged_in(refresh_life: float = LONG_LIFE) -> TokenStory:
    """Return a story of a user whose refresh token tells its life."""
    story = TokenStory(Engine(warn_before=3 * DAY))
    log_in(story, refresh_life)
    return story


def log_in(story: Story, refresh_life: float, name: str = "1") -> None:
    """Let the user log in, once more if it is logged in."""
    story.logged_in_with(Login(ANN, "d" * 24, lasting(refresh_life, name), Profile()))


def warnings(story: Story) -> list[float]:
    """Return the ends that the app was warned of."""
    return [event.ends_at for event in story.events if isinstance(event, SessionExpiring)]


def test_the_app_is_told_once_that_the_session_ends_soon() -> None:
    """So many days before as the app has set, and never again for the same end."""
    story = logged_in()
    ends = story.wall + LONG_LIFE
    story.wait(57 * DAY - 1)
    assert warnings(story) == []
    story.wait(1)
    assert warnings(story) == [ends]
    story.wait(10 * DAY)

    assert warnings(story) == [ends]


def test_no_clock_ends_the_session() -> None:
    """The known end is good for a warning alone: the session goes on until the server refuses it."""
    story = logged_in()
    story.wait(100 * DAY)

    assert story.session is SessionState.ACTIVE


def test_a_short_life_is_warned_of_at_its_half() -> None:
    """Otherwise every login would be followed by its warning."""
    story = logged_in(4 * DAY)
    story.wait(2 * DAY - 1)
    assert warnings(story) == []
    story.wait(1)

    assert len(warnings(story)) == 1


def test_an_end_that_nobody_tells_is_not_warned_of() -> None:
    """There is nothing to plan."""
    story = TokenStory()
    story.logged_in()

    assert story.account().warn_at is None


def test_a_new_login_is_warned_of_anew() -> None:
    """It has an end of its own; nobody is warned of the older one any more."""
    story = logged_in()
    story.wait(58 * DAY)
    log_in(story, LONG_LIFE, "2")
    ends = story.wall + LONG_LIFE
    story.wait(57 * DAY)

    assert warnings(story)[1:] == [ends]


def test_a_rotated_token_moves_the_end() -> None:
    """A renewal before the warning makes it come later."""
    story = logged_in()
    story.wait(56 * DAY)
    story.want(1, renew=True)
    story.refresh_answered(Renewed(lasting(LONG_LIFE, "2")))
    story.wait(50 * DAY)
    assert warnings(story) == []
    story.wait(7 * DAY)

    assert len(warnings(story)) == 1


def renew_keeping_the_token(story: TokenStory, request: int) -> None:
    """Let the access token be renewed by a server that keeps the refresh token and tells its rest."""
    account = story.account()
    assert account.tokens is not None and account.refresh_ends_at is not None
    rest = account.refresh_ends_at - story.wall
    access = Secret(f"access-{request}")
    story.want(request, renew=True)
    renewed = replace(account.tokens, access=access, refresh_life=rest)
    story.refresh_answered(Renewed(renewed))


def test_renewals_that_keep_the_refresh_token_do_not_put_the_warning_off() -> None:
    """The life of the token counts, not what is left of it at each renewal."""
    story = logged_in()
    ends = story.wall + LONG_LIFE
    for day in range(57):
        renew_keeping_the_token(story, 100 + day)
        assert warnings(story) == []
        story.wait(DAY)

    assert warnings(story) == [ends]


def test_renewals_that_keep_the_refresh_token_do_not_repeat_the_warning() -> None:
    """Each end is told once, however often the access token is renewed before it."""
    story = logged_in()
    story.wait(57 * DAY)
    for day in range(3):
        renew_keeping_the_token(story, 100 + day)
        story.wait(DAY / 2)
    story.wait(10 * DAY)

    assert len(warnings(story)) == 1


def test_the_store_keeps_the_life_of_a_token_that_stays() -> None:
    """After a restart the warning is planned by the same life as before."""
    story = logged_in()
    story.wait(30 * DAY)
    renew_keeping_the_token(story, 1)

    assert story.last(PutTokens).tokens.refresh_life == LONG_LIFE


@pytest.mark.parametrize("how", ["start", "reread"])
def test_a_user_who_was_stored_is_warned_by_the_stored_end(how: str) -> None:
    """At a start, or when another process has logged it in; what is due meanwhile is told at once."""
    story = TokenStory(Engine(warn_before=3 * DAY))
    stored = never_seen(ANN, state=SessionState.ACTIVE, tokens=lasting(LONG_LIFE))
    stored = replace(stored, received_at=story.wall, refresh_ends_at=story.wall + 2 * DAY)
    if how == "start":
        story.happen(inputs.Started((stored,), revocations=False))
    else:
        story.elsewhere(stored)
    story.wait(0)

    assert warnings(story) == [stored.refresh_ends_at]


def test_an_end_that_is_known_of_a_session_that_is_over_is_no_deadline() -> None:
    """A user whose tokens cannot be read is told to log in again, and of nothing else."""
    story = TokenStory(Engine(warn_before=3 * DAY))
    stored = never_seen(
        ANN,
        state=SessionState.REFRESH_EXPIRED,
        episode="e1",
        reason=ReloginReason.TOKENS_UNREADABLE,
        refresh_ends_at=story.wall + 4 * DAY,
    )
    story.happen(inputs.Started((stored,), revocations=False))
    assert story.engine.next_deadline() is None
    story.wait(5 * DAY)

    assert warnings(story) == []


@pytest.mark.parametrize("ending", ["refused", "logged out"])
def test_nobody_is_warned_of_the_end_of_a_session_that_is_over(ending: str) -> None:
    """The warning goes with its session."""
    story = logged_in()
    if ending == "refused":
        story.want(1, renew=True)
        story.refresh_answered(REFUSED)
    else:
        story.happen(inputs.LogOutRequested(50, ANN, forget=False))
    story.wait(100 * DAY)

    assert warnings(story) == []
    assert story.account().refresh_ends_at is None


@pytest.mark.parametrize("jump", [20 * DAY, -20 * DAY])
def test_a_warning_is_planned_anew_after_a_jump(jump: float) -> None:
    """The end is known by the wall clock, the warning by the monotonic one."""
    story = logged_in()
    story.wall += jump
    story.happen(inputs.ClockJumped(jump))
    story.wait(57 * DAY - jump - 1)
    assert warnings(story) == []
    story.wait(1)

    assert len(warnings(story)) == 1


def test_a_jump_does_not_repeat_a_warning() -> None:
    """Each end is told once."""
    story = logged_in()
    story.wait(58 * DAY)
    story.wall -= 10 * DAY
    story.happen(inputs.ClockJumped(-10 * DAY))
    story.wait(20 * DAY)

    assert len(warnings(story)) == 1
