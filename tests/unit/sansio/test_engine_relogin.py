"""The engine: stories of a session that has ended, of the hook, and of the login that follows."""

from syncauth.events import ReloginRequired
from syncauth.models import ConnectionState, PauseReason, Refused, ReloginReason, SessionState
from syncauth.sansio import inputs, records
from syncauth.sansio.effects import CallReloginHook, CloseSocket, CutBatch, PutExpired, ReadReplica
from syncauth.sansio.messages import Error, Push
from tests.support.engine_story import ANN, LIFE, Story, login, replica_state

REFUSED = Refused(ReloginReason.EXPIRED, "invalid session")


def test_a_refusal_pauses_sync_and_calls_the_hook_after_the_socket_has_ended() -> None:
    """I5: once per episode, and only after sync has stopped."""
    story = Story().live()
    story.happen(inputs.HookRegistered())
    story.wait(LIFE - 300)
    story.refresh_answered(REFUSED)
    assert story.session is SessionState.REFRESH_EXPIRED
    assert story.connection is ConnectionState.PAUSED
    assert story.engine.status(ANN).paused == {PauseReason.RELOGIN_REQUIRED}
    assert story.count(CallReloginHook) == 0
    story.happen(inputs.ReplicaRead(story.last(ReadReplica).ticket, replica_state(pending=3)))
    assert story.count(CallReloginHook) == 0
    story.lose()

    assert story.count(ReloginRequired) == 1
    assert story.last(CallReloginHook).event.changes_pending == 3
    assert story.last(PutExpired).reason is ReloginReason.EXPIRED


def expired() -> Story:
    """Return a story whose session has ended and whose app was told."""
    story = Story().live()
    story.happen(inputs.HookRegistered())
    story.wait(LIFE - 300)
    story.refresh_answered(REFUSED)
    story.happen(inputs.ReplicaRead(story.last(ReadReplica).ticket, replica_state()))
    story.lose()
    return story


def test_the_hook_is_not_called_again_by_itself() -> None:
    """I5: time, writes and signs of the network that was never gone change nothing."""
    story = expired()
    story.happen(inputs.HookReturned(ANN, story.last(ReloginRequired).episode))
    story.happen(inputs.ReplicaWritten(ANN))
    story.happen(inputs.ReplicaRead(story.last(ReadReplica).ticket, replica_state(pending=1)))
    story.happen(inputs.NetworkChanged())
    story.wait(100_000)

    assert story.count(CallReloginHook) == 1
    assert story.engine.status(ANN).pending == 1


def test_the_app_can_ask_for_the_hook_again() -> None:
    """`request_relogin` calls it again once it has returned; the event stays one."""
    story = expired()
    story.happen(inputs.ReloginAsked(ANN))
    assert story.count(CallReloginHook) == 1
    story.happen(inputs.HookReturned(ANN, story.last(ReloginRequired).episode))
    story.happen(inputs.ReloginAsked(ANN))

    assert story.count(CallReloginHook) == 2
    assert story.count(ReloginRequired) == 1


def test_a_handler_registered_late_is_called() -> None:
    """An episode waits for its handler."""
    story = Story().live()
    story.wait(LIFE - 300)
    story.refresh_answered(REFUSED)
    story.happen(inputs.ReplicaRead(story.last(ReadReplica).ticket, replica_state()))
    story.lose()
    assert story.count(CallReloginHook) == 0
    story.happen(inputs.HookRegistered())

    assert story.count(CallReloginHook) == 1


def test_after_a_restart_the_episode_is_told_once_more() -> None:
    """Once per episode and run of the process."""
    story = Story()
    stored = records.StoredUser(
        ANN,
        "d" * 24,
        SessionState.REFRESH_EXPIRED,
        4,
        True,
        None,
        0.0,
        None,
        login().profile,
        episode="e1",
        reason=ReloginReason.REVOKED,
        since=5.0,
    )
    story.happen(inputs.Started((stored,), revocations=False))
    story.happen(inputs.HookRegistered())
    story.replica_opened()

    assert story.count(ReloginRequired) == 1
    assert story.last(CallReloginHook).event.reason is ReloginReason.REVOKED
    assert story.connection is ConnectionState.PAUSED


def test_a_login_ends_the_episode_and_replays() -> None:
    """I6: connecting, replay, catching up, live, without a call by the app."""
    story = expired()
    story.logged_in("2").socket_opened().welcomed()
    assert story.count(CutBatch) == 2
    story.cut(1)

    assert [push.batch for push in story.sent(Push)] == [1]
    assert story.engine.status(ANN).paused == frozenset()


def test_revocation_told_on_the_socket_ends_the_session() -> None:
    """The server's word on the authenticated socket is proof enough."""
    story = Story().live()
    story.receive(Error("user_disabled", "disabled", "relogin"))

    assert story.session is SessionState.REFRESH_EXPIRED
    assert story.last(PutExpired).reason is ReloginReason.USER_DISABLED
    assert story.count(CloseSocket) == 1
