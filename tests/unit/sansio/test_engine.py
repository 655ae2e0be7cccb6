"""The engine: stories of a session and a connection, and the one coupling of the two."""

import pytest

from syncauth.errors import CredentialsRefused, NotLoggedInError
from syncauth.events import ReloginRequired, SessionUncertain, TokensRenewed, Uploaded
from syncauth.models import (
    ConnectionState,
    Credentials,
    Deferred,
    Misconfigured,
    PauseReason,
    Renewed,
    SessionState,
)
from syncauth.sansio import inputs, records
from syncauth.sansio.effects import (
    AcknowledgeBatches,
    CloseSocket,
    CutBatch,
    FinishErasing,
    LoadInFlight,
    OpenSocket,
    PutLogout,
    PutMark,
    PutRevocation,
    PutTokens,
    ReadReplica,
    RequestRefresh,
    RevokeWaiting,
    Settle,
)
from syncauth.sansio.messages import (
    BatchResult,
    Error,
    Hello,
    Push,
    PushResult,
    Renew,
    Renewed as Taken,
)
from tests.support.engine_story import ANN, LIFE, Story, batch, login, pair, replica_state

OFFLINE = Deferred("nobody answered", online=False)


def test_a_login_leads_to_live_without_further_calls() -> None:
    """I6: logged in and opened, the connection goes its way by itself."""
    story = Story().live()

    assert story.session is SessionState.ACTIVE
    assert story.connection is ConnectionState.LIVE
    assert len(story.sent(Hello)) == 1


def test_the_hello_tells_the_file_s_history() -> None:
    """Acknowledged batch and highest in flight, each with its digest."""
    story = Story().logged_in().replica_opened()
    story.socket_opened(replica_state(acked=3, in_flight=(4, 5)))
    hello = story.sent(Hello)[0]

    assert (hello.acked.batch, hello.acked.digest) == (3, "digest-3")
    assert (hello.highest.batch, hello.highest.digest) == (5, "digest-5")


def test_a_refused_login_changes_nothing_and_raises_at_the_caller() -> None:
    """The error of the provider is settled with the call."""
    story = Story()
    story.happen(inputs.LogInRequested(1, Credentials.anonymous()))
    refused = CredentialsRefused(code="InvalidPassword", why="invalid username/password")
    story.happen(inputs.LogInAnswered(1, refused))

    assert story.last(Settle) == Settle(1, None, refused)
    assert story.writes == []


def test_the_token_is_renewed_before_it_ends_and_handed_to_the_open_socket() -> None:
    """The socket outlives every refresh."""
    story = Story().live()
    story.wait(LIFE - 300)
    assert story.session is SessionState.REFRESHING
    story.renewed()

    assert story.session is SessionState.ACTIVE
    assert story.sent(Renew) == [Renew("access-2")]
    assert story.count(OpenSocket) == 1
    assert story.count(CloseSocket) == 0


def test_the_mark_is_written_with_the_request_and_the_new_pair_before_its_use() -> None:
    """Durable first: the mark precedes the request, the pair precedes the renewed token."""
    story = Story().live()
    story.wait(LIFE - 300)
    mark = story.last(PutMark)
    request = story.last(RequestRefresh)
    assert mark.refresh_id == request.refresh_id
    decision = story.renewed()

    assert [type(write) for write in decision.writes] == [PutTokens]


def test_a_lost_answer_is_asked_again_with_the_same_refresh_id() -> None:
    """The bundled server answers the same id again, so nobody is logged out for a lost answer."""
    story = Story().live()
    story.wait(LIFE - 300)
    first = story.last(RequestRefresh).refresh_id
    story.refresh_answered(OFFLINE)
    story.wait(10)

    assert story.count(RequestRefresh) == 2
    assert story.last(RequestRefresh).refresh_id == first


def test_a_restart_in_the_middle_of_a_refresh_takes_it_up_with_its_id() -> None:
    """I14: a mark without an answer means refreshing."""
    story = Story()
    stored = records.StoredUser(
        ANN,
        "d" * 24,
        SessionState.ACTIVE,
        4,
        True,
        pair("1"),
        story.wall - 60,
        "mark-id",
        login().profile,
    )
    story.happen(inputs.Started((stored,), revocations=False))

    assert story.session is SessionState.REFRESHING
    assert story.last(RequestRefresh).refresh_id == "mark-id"


def test_at_most_one_refresh_is_out() -> None:
    """I4: further wishes join the request that is out."""
    story = Story().live()
    story.wait(LIFE - 300)
    story.receive(Error("token_expiring", "", "renew_token"))
    story.receive(Error("token_expired", "", "renew_token"))
    story.happen(inputs.NetworkChanged())
    story.wait(100)

    assert story.count(RequestRefresh) == 1


def test_a_late_answer_of_an_older_request_changes_nothing() -> None:
    """I7, I8: the ticket of a logged-out epoch is dropped and counted, and its pair is revoked."""
    story = Story().live()
    story.wait(LIFE - 300)
    old = story.last(RequestRefresh).ticket
    story.happen(inputs.LogOutRequested(5, ANN, forget=False))
    story.logged_in("3")
    decision = story.refresh_answered(Renewed(pair("stolen")), old)

    assert decision.writes == (PutRevocation(pair("stolen").refresh),)
    assert story.engine.dropped == 1
    assert story.session is SessionState.ACTIVE
    assert story.engine.accounts()[0].tokens == pair("3")


def test_offline_for_long_keeps_the_session_and_backs_off() -> None:
    """No clock of ours ever ends a session."""
    story = Story().live()
    story.lose("network")
    for _ in range(200):
        story.wait(600)
        if story.engine.status(ANN).request_out:
            story.refresh_answered(OFFLINE)
        status = story.engine.status(ANN)
        if status.connection is ConnectionState.CONNECTING and story.last(OpenSocket):
            story.happen(inputs.SocketLost(story.socket, "network", None, None, "offline"))

    assert story.session is SessionState.REFRESHING
    assert story.count(ReloginRequired) == 0


def test_the_network_ends_the_back_off_at_once() -> None:
    """`network_changed` is a sign of the network."""
    story = Story().live()
    story.wait(LIFE - 300)
    for _ in range(6):
        story.refresh_answered(OFFLINE)
        story.wait(400)
    story.refresh_answered(OFFLINE)
    before = story.count(RequestRefresh)
    story.wait(1.0)
    story.happen(inputs.NetworkChanged())

    assert story.count(RequestRefresh) == before + 1


def test_nothing_is_pushed_after_the_told_life_has_run_out() -> None:
    """I3: the client holds a push back until the renewal is taken."""
    story = Story().logged_in().replica_opened().socket_opened().welcomed(life=5)
    story.happen(inputs.BatchCut(story.socket, None, replica_state()))
    story.wait(6)
    story.happen(inputs.ReplicaWritten(ANN))
    assert story.count(CutBatch) == 1
    assert story.session is SessionState.REFRESHING
    story.happen(inputs.ReplicaRead(story.last(ReadReplica).ticket, replica_state(pending=1)))
    story.renewed()
    assert story.count(CutBatch) == 1
    story.receive(Taken(time=0, life=60_000, partitions={}))

    assert story.count(CutBatch) == 2


def test_a_push_refused_for_its_token_is_sent_again_after_the_renewal() -> None:
    """The batch was not counted; the very same bytes go again."""
    story = Story().live()
    story.happen(inputs.ReplicaWritten(ANN))
    story.cut(1)
    story.receive(Error("token_expired", "", "renew_token"))
    assert story.session is SessionState.REFRESHING
    story.renewed()
    story.receive(Taken(time=0, life=60_000, partitions={}))
    assert isinstance(story.effects[-1], LoadInFlight)
    story.happen(inputs.InFlightLoaded(story.socket, (batch(1),)))

    pushes = story.sent(Push)
    assert [push.batch for push in pushes] == [1, 1]
    assert bytes(pushes[0].sections) == bytes(pushes[1].sections)


def test_pushes_are_pipelined_within_the_window() -> None:
    """Two on their way, the third is cut when the first is judged."""
    story = Story().live()
    story.happen(inputs.ReplicaWritten(ANN))
    story.cut(1, pending=5)
    story.cut(2, pending=5)
    assert [push.batch for push in story.sent(Push)] == [1, 2]
    cuts = story.count(CutBatch)
    story.judge(1)

    assert story.count(CutBatch) == cuts + 1


def test_what_a_refusal_made_unsent_again_is_cut_without_a_further_write() -> None:
    """With nothing more in flight, the acknowledgement itself is the occasion."""
    story = Story().live()
    story.happen(inputs.ReplicaWritten(ANN))
    story.cut(1)
    cuts = story.count(CutBatch)
    story.judge(1, pending=1)

    assert story.count(CutBatch) == cuts + 1


def test_results_that_were_lost_come_with_the_welcome() -> None:
    """A lost answer is no reset: what the server has is acknowledged, the rest is sent again."""
    story = Story().logged_in().replica_opened().socket_opened(replica_state(in_flight=(1, 2)))
    story.welcomed(
        state=replica_state(in_flight=(2,), acked=1),
        results=[BatchResult(1, "digest-1")],
        last=1,
        resent=(batch(2),),
    )

    assert story.last(AcknowledgeBatches).results == (BatchResult(1, "digest-1"),)
    assert [push.batch for push in story.sent(Push)] == [2]


def test_a_repeated_answer_is_dropped() -> None:
    """A result for a batch that is not on its way changes nothing."""
    story = Story().live()
    decision = story.receive(PushResult(BatchResult(9, "digest-9")))

    assert decision.effects == ()


def test_uploaded_is_told_when_the_last_change_is_acknowledged() -> None:
    """Outbox and in flight are empty."""
    story = Story().live()
    story.happen(inputs.ReplicaWritten(ANN))
    story.cut(1)
    before = story.count(Uploaded)
    story.judge(1)

    assert story.count(Uploaded) == before + 1


def test_a_misconfigured_refresh_pauses_and_any_renewal_ends_the_pause() -> None:
    """No login cures it, so none is asked for."""
    story = Story().live()
    story.wait(LIFE - 300)
    story.refresh_answered(Misconfigured("invalid_client"))
    assert story.session is SessionState.REFRESHING
    assert story.connection is ConnectionState.PAUSED
    story.lose()
    story.wait(301)
    story.renewed()

    assert story.engine.status(ANN).paused == frozenset()
    assert story.connection is ConnectionState.CONNECTING


def test_doubtful_answers_over_minutes_are_shown_and_never_log_out() -> None:
    """A captive portal speaks for minutes: SessionUncertain, once."""
    story = Story().live()
    story.wait(LIFE - 300)
    for _ in range(12):
        story.refresh_answered(Deferred("302 to a login page", doubtful=True))
        story.wait(320)

    assert story.count(SessionUncertain) == 1
    assert story.session is SessionState.REFRESHING


def test_logging_out_erases_first_and_revokes_later() -> None:
    """I8: the write comes with the decision, the call returns when sync has stopped."""
    story = Story().live()
    decision = story.happen(inputs.LogOutRequested(5, ANN, forget=False))
    assert [type(write) for write in decision.writes] == [PutLogout]
    assert {FinishErasing, RevokeWaiting, CloseSocket} <= {type(each) for each in decision.effects}
    assert Settle(5) not in story.effects
    story.lose()

    assert story.effects[-1] == Settle(5)
    assert story.session is SessionState.LOGGED_OUT
    assert story.connection is ConnectionState.STOPPED


def test_a_login_under_way_is_dropped_by_a_logout_and_its_session_revoked() -> None:
    """I8: a login that comes too late never becomes a session."""
    story = Story().live()
    story.happen(inputs.LogInRequested(8, Credentials.anonymous()))
    story.happen(inputs.LogOutRequested(5, ANN, forget=False))
    decision = story.happen(inputs.LogInAnswered(8, login("late")))

    assert decision.writes == (PutRevocation(login("late").tokens.refresh),)
    assert isinstance(story.last(Settle).error, NotLoggedInError)
    assert story.session is SessionState.LOGGED_OUT


def test_a_second_user_does_not_touch_the_first_one_s_session() -> None:
    """I12: both stay logged in, one is current."""
    story = Story().live()
    story.logged_in("b", user="bob")

    assert story.session is SessionState.ACTIVE
    assert story.engine.session("bob") is SessionState.ACTIVE
    assert [account.user_id for account in story.engine.accounts() if account.current] == ["bob"]


def test_deciding_changes_nothing_until_it_is_adopted() -> None:
    """A decision whose commit fails can be thrown away."""
    story = Story().live()
    before = story.engine.status(ANN)
    story.decide(inputs.LogOutRequested(5, ANN, forget=False))

    assert story.engine.status(ANN) == before
    assert story.session is SessionState.ACTIVE


@pytest.mark.parametrize(
    ("code", "status", "kind"), [(4401, None, "closed"), (None, 401, "handshake")]
)
def test_a_rejected_token_is_renewed_before_the_next_attempt(
    code: int | None, status: int | None, kind: str
) -> None:
    """A 4401 or 401 asks for one refresh; with the new pair the socket is opened at once."""
    story = Story().live()
    story.lose(kind, code, status)
    assert story.session is SessionState.REFRESHING
    assert story.count(OpenSocket) == 1
    story.renewed()

    assert story.count(OpenSocket) == 2
    assert story.last(OpenSocket).access_token == pair("2").access


def test_a_server_that_rejects_every_fresh_token_is_not_hammered() -> None:
    """The floor between refreshes and the back-off of the connection both hold."""
    story = Story().live()
    for attempt in range(50):
        if story.connection is ConnectionState.CONNECTING and story.engine.status(ANN):
            story.happen(inputs.SocketLost(story.socket, "handshake", None, 401, "no"))
        if story.engine.status(ANN).request_out:
            story.renewed(str(attempt + 10))
        story.wait(1)

    assert story.count(OpenSocket) < 15
    assert story.count(TokensRenewed) < 15


def test_a_protocol_the_server_does_not_speak_stops_sync_and_is_shown() -> None:
    """No retry helps; local work goes on."""
    story = Story().logged_in().replica_opened()
    story.lose("handshake", None, 426)

    assert story.engine.status(ANN).paused == {PauseReason.INCOMPATIBLE}
    assert story.engine.status(ANN).last_error == "protocol_mismatch"
    assert story.session is SessionState.ACTIVE
