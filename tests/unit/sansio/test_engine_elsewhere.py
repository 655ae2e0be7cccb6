"""What other processes did to users is told once: who has come, who has gone, who is current."""

from __future__ import annotations

from dataclasses import replace

from syncauth.events import Event, LoggedIn, LoggedOut, TokensRenewed, UserRemoved, UserSwitched
from syncauth.models import Profile, SessionState
from syncauth.sansio import inputs
from syncauth.sansio.records import StoredUser
from tests.support.engine_story import ANN, Story, pair

BOB = "bob"
OUT = SessionState.LOGGED_OUT


def stored(user: str = ANN, name: str = "1", epoch: int = 1, *, current: bool = True) -> StoredUser:
    """Return a user as another process has stored it."""
    wall = 1_800_000_000.0
    tokens, active = pair(name), SessionState.ACTIVE
    return StoredUser(user, "d" * 24, active, epoch, current, tokens, wall, None, Profile())


def reread(story: Story, *users: StoredUser) -> list[Event]:
    """Let the store be read again; returns what is told but the moves themselves."""
    before = len(story.events)
    story.happen(inputs.SessionsReread(users))
    kinds = (LoggedIn, LoggedOut, TokensRenewed, UserRemoved, UserSwitched)
    return [event for event in story.events[before:] if isinstance(event, kinds)]


def test_a_user_who_was_never_seen_logs_in_elsewhere() -> None:
    """The login is told, once, and the user is there."""
    story = Story()
    assert reread(story, stored()) == [LoggedIn(ANN, story.wall)]
    assert story.session is SessionState.ACTIVE
    assert reread(story, stored()) == []


def test_one_who_appears_in_the_middle_of_a_refresh_has_logged_in_too() -> None:
    """The mark of a refresh that another process has out is no reason to keep silent."""
    story = Story()
    assert reread(story, replace(stored(), refresh_id="a" * 32)) == [LoggedIn(ANN, story.wall)]


def test_a_user_who_appears_logged_out_is_not_told_as_a_login() -> None:
    """Whoever logged in and out between two looks is known, and nothing is told."""
    story = Story()
    gone = replace(stored(current=False), state=OUT, tokens=None)
    assert reread(story, gone) == []
    assert [each.user_id for each in story.engine.accounts()] == [ANN]


def test_who_is_current_is_switched_elsewhere() -> None:
    """The switch is told with whom it was before; a login needs no word of its own."""
    story = Story().logged_in()
    ann, bob = stored(current=False), stored(BOB, "b")
    assert reread(story, ann, bob) == [LoggedIn(BOB, story.wall)]
    ann, bob = stored(), stored(BOB, "b", current=False)
    assert reread(story, ann, bob) == [UserSwitched(ANN, story.wall, previous=BOB)]
    assert [each.current for each in story.engine.accounts()] == [True, False]


def test_a_logout_elsewhere_makes_the_next_one_current() -> None:
    """Both are told: who has left, and who is current now."""
    story = Story().logged_in(user=BOB).logged_in()
    gone = replace(stored(epoch=2, current=False), state=OUT, tokens=None)
    assert reread(story, stored(BOB), gone) == [
        LoggedOut(ANN, story.wall, elsewhere=True),
        UserSwitched(BOB, story.wall, previous=ANN),
    ]


def test_a_removal_elsewhere_makes_the_next_one_current() -> None:
    """Both are told: who has gone, and who is current now."""
    story = Story().logged_in(user=BOB).logged_in()
    assert reread(story, stored(BOB)) == [
        UserRemoved(ANN, story.wall, elsewhere=True),
        UserSwitched(BOB, story.wall, previous=ANN),
    ]
