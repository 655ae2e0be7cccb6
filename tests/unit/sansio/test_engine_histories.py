"""The engine names the history that a file follows, and stops where the server has lost it."""

from __future__ import annotations

from dataclasses import replace

from syncauth.events import SyncErrorRaised
from syncauth.models import ConnectionState, PauseReason
from syncauth.sansio.effects import LoadInFlight, OpenSocket, PrepareReplica
from syncauth.sansio.inputs import SocketLost
from syncauth.sansio.messages import Error, Hello, Welcome
from tests.support.engine_story import ANN, LIMITS, Story, replica_state


def test_hello_names_the_history_of_the_file() -> None:
    """As the file has it, and the empty text as long as it follows none."""
    for history in ("", "6b0d2f4e9a17c358"):
        story = Story().logged_in().replica_opened()
        story.socket_opened(replace(replica_state(), history=history))

        assert story.sent(Hello)[-1].history == history


def test_the_history_of_the_welcome_is_kept() -> None:
    """Before anything else that the connection brings."""
    story = Story().logged_in().replica_opened().socket_opened()
    welcome = Welcome(
        time=0,
        life=1_800_000,
        device="a" * 16,
        limits=LIMITS,
        last=0,
        results=[],
        partitions={},
        tables=[],
        history="6b0d2f4e9a17c358",
    )

    decision = story.receive(welcome)

    work = [each for each in decision.effects if isinstance(each, PrepareReplica | LoadInFlight)]
    assert isinstance(work[0], PrepareReplica)
    assert work[0].history == "6b0d2f4e9a17c358"


def test_a_restored_server_pauses_sync_once() -> None:
    """The app is told once, sync waits for a reset, and nobody connects again by itself."""
    story = Story().logged_in().replica_opened().socket_opened()
    story.receive(Error("server_restored", "restored", "client_reset"))
    story.happen(SocketLost(story.socket, "closed", 4409, None, "server_restored"))
    opened = story.count(OpenSocket)

    story.wait(24 * 3600)

    assert story.engine.status(ANN).paused == {PauseReason.CLIENT_RESET}
    assert story.connection is ConnectionState.PAUSED
    assert story.count(OpenSocket) == opened
    told = [each for each in story.events if isinstance(each, SyncErrorRaised)]
    assert [(each.code, each.stopped) for each in told] == [("server_restored", True)]
