"""The engine's waits and endings: what a verb of the app waits for, and what may no longer happen."""

from __future__ import annotations

from syncauth.errors import Closed
from syncauth.events import SyncErrorRaised
from syncauth.models import ConnectionState, Credentials, Deferred, SessionState
from syncauth.sansio import inputs, records
from syncauth.sansio.effects import CutBatch, OpenSocket, PutRevocation, RequestRefresh, Settle
from syncauth.sansio.messages import Error
from tests.support.engine_story import ANN, LIFE, Story, login


def test_waiting_for_sync_is_settled_by_the_answer_asked_for() -> None:
    """A checkpoint that was on its way before the question does not count."""
    story = Story().logged_in().replica_opened().socket_opened().welcomed()
    story.happen(inputs.SyncWanted(77, ANN))
    story.checkpoint()
    assert Settle(77) not in story.effects
    story.checkpoint()

    assert Settle(77) in story.effects


def test_a_late_answer_of_the_replica_does_not_start_sync_again() -> None:
    """While a replica closes, an effect that was under way ends; the connection stays stopped."""
    story = Story().live()
    story.happen(inputs.ReplicaWritten(ANN))
    assert story.count(CutBatch) == 2
    story.happen(inputs.ReplicaClosing(7, ANN))
    story.cut(1)
    assert story.connection is ConnectionState.STOPPED
    assert Settle(7) not in story.effects
    story.lose(code=1000)
    assert story.connection is ConnectionState.STOPPED
    assert story.effects[-1] == Settle(7)
    assert story.count(OpenSocket) == 1


def test_waiting_for_sync_ends_with_the_replica() -> None:
    """Whoever waits for rows of a replica that is closed is told so."""
    story = Story().live()
    story.happen(inputs.SyncWanted(77, ANN))
    story.happen(inputs.ReplicaClosing(7, ANN))
    (settled,) = [each for each in story.effects if isinstance(each, Settle) and each.request == 77]
    assert isinstance(settled.error, Closed)


def test_nobody_waits_in_place_of_who_gave_up() -> None:
    """A wait that was cancelled is settled by nothing, on this link or the next."""
    story = Story().logged_in().replica_opened().socket_opened().welcomed()
    story.happen(inputs.SyncWanted(77, ANN))
    story.happen(inputs.RequestCancelled(77))
    story.checkpoint()
    story.checkpoint()
    assert not any(isinstance(each, Settle) and each.request == 77 for each in story.effects)


def test_a_login_that_was_cancelled_is_revoked_when_it_is_answered() -> None:
    """Nobody is logged in by it, and its session does not live on at the server (I8)."""
    story = Story()
    story.happen(inputs.LogInRequested(9, Credentials.anonymous()))
    story.happen(inputs.RequestCancelled(9))
    story.happen(inputs.LogInAnswered(9, login()))
    assert [type(each) for each in story.writes] == [PutRevocation]
    assert story.engine.accounts() == ()


def test_retry_after_holds_though_it_is_the_first_sign_of_the_network() -> None:
    """A server that is busy is not asked again at once because it could be reached (I6)."""
    story = Story().logged_in()
    story.wait(LIFE - 300)
    story.refresh_answered(Deferred("nobody answered", online=False))
    story.happen(inputs.NetworkChanged())
    story.wait(1)
    story.refresh_answered(Deferred("busy", retry_after=600.0))
    asked = story.count(RequestRefresh)
    story.wait(590)
    assert story.count(RequestRefresh) == asked


def test_what_cannot_be_made_durable_is_put_off_and_told_once() -> None:
    """A refresh leaves no mark, so nothing is sent; it is tried again, and all else goes on (I6)."""
    story = Story().live()
    moment = records.Moment(
        story.now + LIFE - 100, story.wall + LIFE - 100, b"\\1" * 32, durable=False
    )
    for _ in range(3):
        decision = story.engine.decide(inputs.DeadlineReached(), moment)
        story.engine.adopt(decision)
        story.events += decision.events
        assert (decision.writes, decision.effects) == ((), ())
    told = [each.code for each in story.events if isinstance(each, SyncErrorRaised)]
    assert told == ["storage_failed"]
    assert story.engine.next_deadline() == moment.monotonic + 1.0
    ended = inputs.MessageReceived(story.socket, Error("session_revoked", "", "relogin"))
    decision = story.engine.decide(ended, moment)
    assert decision.writes == ()
    story.engine.adopt(decision)
    assert story.session is SessionState.REFRESHING
