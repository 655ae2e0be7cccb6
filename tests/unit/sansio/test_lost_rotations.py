"""The answer to a refresh that was lost: when a refusal means just that, and when it is the issuer's word."""

from __future__ import annotations

from syncauth.events import ReloginRequired
from syncauth.models import Deferred, Refused, ReloginReason, Renewed
from syncauth.sansio import inputs
from syncauth.sansio.effects import PutExpired, RequestRefresh
from syncauth.sansio.engine import Engine
from tests.support.engine_story import ANN, pair
from tests.support.token_story import TokenStory

LOST = Deferred("no answer came", online=False)
UNSENT = Deferred("nobody could be reached", online=False, sent=False)
REFUSED = Refused(ReloginReason.EXPIRED, "invalid session")
REUSED = Refused(ReloginReason.REUSE_DETECTED, "this token was used before")


def out(*, repeat_safe: bool) -> TokenStory:
    """Return a story in which the request of a refresh is out."""
    story = TokenStory(Engine(repeat_safe=repeat_safe))
    story.logged_in()
    return story.due()


def again(story: TokenStory) -> None:
    """Let the back-off pass and the next request go out."""
    requests = story.count(RequestRefresh)
    story.wait(400)
    assert story.count(RequestRefresh) == requests + 1


def test_a_refusal_after_a_lost_answer_is_named_so_where_no_repeat_is_safe() -> None:
    """The issuer has rotated the token and takes the old one no second time."""
    story = out(repeat_safe=False)
    story.refresh_answered(LOST)
    again(story)
    story.refresh_answered(REUSED)

    assert story.last(PutExpired).reason is ReloginReason.ROTATION_ANSWER_LOST
    assert story.last(ReloginRequired).reason is ReloginReason.ROTATION_ANSWER_LOST


def test_a_repeat_that_is_safe_leaves_the_reason_to_the_provider() -> None:
    """An issuer that knows the refresh id judges the repeat as what it is."""
    story = out(repeat_safe=True)
    story.refresh_answered(LOST)
    again(story)
    story.refresh_answered(REUSED)

    assert story.last(PutExpired).reason is ReloginReason.REUSE_DETECTED


def test_a_refusal_of_the_first_request_is_no_lost_answer() -> None:
    """Nothing was sent before, so nothing can have been lost."""
    story = out(repeat_safe=False)
    story.refresh_answered(REFUSED)

    assert story.last(PutExpired).reason is ReloginReason.EXPIRED


def test_a_token_that_surely_was_not_sent_is_no_repeat() -> None:
    """However often nobody could be reached, the refusal that comes is the issuer's own word."""
    story = out(repeat_safe=False)
    for _ in range(3):
        story.refresh_answered(UNSENT)
        again(story)
    assert not story.account().refresh.maybe_sent
    story.refresh_answered(REFUSED)

    assert story.last(PutExpired).reason is ReloginReason.EXPIRED


def test_once_sent_a_token_stays_sent() -> None:
    """A later attempt that reached nobody does not undo it."""
    story = out(repeat_safe=False)
    story.refresh_answered(LOST)
    again(story)
    story.refresh_answered(UNSENT)
    again(story)
    story.refresh_answered(REFUSED)

    assert story.last(PutExpired).reason is ReloginReason.ROTATION_ANSWER_LOST


def test_a_renewal_ends_the_doubt() -> None:
    """The new pair was never sent, whatever became of the old one."""
    story = out(repeat_safe=False)
    story.refresh_answered(LOST)
    again(story)
    story.renewed()
    story.due()
    story.refresh_answered(REFUSED)

    assert story.last(PutExpired).reason is ReloginReason.EXPIRED


def test_a_mark_of_another_process_means_that_the_token_may_have_been_sent() -> None:
    """Its refresh id is taken over, as its request may be at the issuer; so may its answer be lost."""
    story = TokenStory(Engine(repeat_safe=False))
    story.locked_elsewhere = True
    story.logged_in()
    story.due()
    story.lock_freed(refresh_id="of-another")
    assert story.last(RequestRefresh).refresh_id == "of-another"
    assert story.account().refresh.maybe_sent
    story.refresh_answered(REUSED)

    assert story.last(PutExpired).reason is ReloginReason.ROTATION_ANSWER_LOST


def test_a_mark_that_the_last_run_left_means_the_same() -> None:
    """I14: nobody knows whether the process ended before or after it had sent the token."""
    story = TokenStory(Engine(repeat_safe=False))
    story.logged_in()
    left = story.row(refresh_id="left", tokens=pair("1"))
    story = TokenStory(Engine(repeat_safe=False))
    story.happen(inputs.Started((left,), revocations=False))
    story.refresh_answered(REFUSED)

    assert story.last(PutExpired).reason is ReloginReason.ROTATION_ANSWER_LOST


def test_an_answer_that_could_not_be_stored_was_lost_as_well() -> None:
    """The issuer has rotated, the store refused the pair: the next refusal has this reason."""
    story = out(repeat_safe=False)
    story.decide(inputs.RefreshAnswered(story.last(RequestRefresh).ticket, Renewed(pair("2"))))
    story.elsewhere(story.row(), stale=ANN)
    again(story)
    story.refresh_answered(REUSED)

    assert story.last(PutExpired).reason is ReloginReason.ROTATION_ANSWER_LOST
