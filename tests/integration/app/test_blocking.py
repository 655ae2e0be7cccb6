"""The verbs for threads and GUI programs: what cannot be waited for is refused, before and after the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import syncauth
from syncauth import blocking
from syncauth.errors import Closed, InvalidConfig
from tests.support.app_bench import ANN, SECONDS, TABLE
from tests.support.processes import EMAIL, PASSWORD, Server

ROW = {"id": "1", "title": "x", "body": None}


@pytest.fixture
def app(server: Server, tmp_path: Path) -> Iterator[blocking.App]:
    with blocking.App(
        server.url, app_id="test", data_dir=tmp_path / "device", key_storage="file"
    ) as app:
        app.register(EMAIL, PASSWORD)
        yield app


@pytest.fixture
def replica(app: blocking.App) -> blocking.OpenReplica:
    replica = app.open_replica(app.log_in(ANN), tables=["notes"], create=TABLE)
    replica.wait_synced(SECONDS)
    return replica


def test_what_waits_for_a_write_cannot_be_called_by_it(
    app: blocking.App, replica: blocking.OpenReplica
) -> None:
    """Each verb that would wait for the running write raises at once, and leaves the write as it is."""
    verbs: list[Callable[[], Any]] = [
        lambda: replica.write(lambda _: None),
        lambda: replica.migrate(lambda _: None),
        replica.wait_uploaded,
        replica.wait_synced,
        replica.close,
        app.close,
        lambda: asyncio.run(replica._replica.write(lambda _: None)),
    ]

    def work(db: Any) -> str:
        db["notes"].insert(ROW, replace=True)
        for verb in verbs:
            with pytest.raises(InvalidConfig, match="would wait for the end"):
                verb()
        return "went on"

    assert replica.write(work) == "went on"
    assert replica.migrate(work) == "went on"
    replica.wait_uploaded(SECONDS)
    assert replica.db["notes"].count == 1


def test_after_the_end_every_verb_says_so(app: blocking.App, replica: blocking.OpenReplica) -> None:
    """Verbs of a closed App and its replicas raise `Closed`; closing again is quiet."""
    user = replica.user
    app.close()
    for verb in (
        lambda: replica.status,
        lambda: replica.db,
        lambda: replica.write(lambda _: None),
        lambda: replica.migrate(lambda _: None),
        replica.dead_letters,
        replica.wait_uploaded,
        replica.wait_synced,
        lambda: app.current_user,
        lambda: app.log_in(ANN),
        app.events,
        lambda: app.open_replica(user, tables=["notes"]),
    ):
        with pytest.raises(Closed):
            verb()
    replica.close()
    app.close()


def test_a_busy_consumer_gets_all_events_until_the_end(
    app: blocking.App, replica: blocking.OpenReplica
) -> None:
    """What was published while the consumer did something else is yielded after the App was closed."""
    events = app.events()
    replica.write(lambda db: db["notes"].insert(ROW))
    replica.wait_uploaded(SECONDS)
    assert isinstance(next(events), syncauth.Event)
    app.close()

    assert any(
        isinstance(event, syncauth.ConnectionChanged)
        and event.after is syncauth.ConnectionState.STOPPED
        for event in events
    )


def test_whoever_waits_is_told_of_the_end(
    server: Server, app: blocking.App, replica: blocking.OpenReplica
) -> None:
    """Threads that wait for events or for an upload come back when another thread closes the App."""
    events = app.events()
    server.stop()
    replica.write(lambda db: db["notes"].insert(ROW))
    next(events)
    ends: dict[str, object] = {}

    def consume() -> None:
        ends["events"] = list(events)

    def wait() -> None:
        try:
            replica.wait_uploaded()
        except Closed as error:
            ends["wait"] = error

    threads = [threading.Thread(target=each) for each in (consume, wait)]
    for thread in threads:
        thread.start()
    app.close()
    for thread in threads:
        thread.join(SECONDS)

    assert ends.keys() == {"events", "wait"}


def test_the_app_is_not_closed_in_its_own_thread(
    app: blocking.App, replica: blocking.OpenReplica
) -> None:
    """A coroutine handler that closes the App gets a typed error, and the App can be closed afterwards."""
    thread = app._opened()
    with pytest.raises(Closed, match="own thread"):
        thread.run(app.close)
    with pytest.raises(Closed, match="own thread"):
        thread.run(replica.close)

    assert app.current_user is replica.user
