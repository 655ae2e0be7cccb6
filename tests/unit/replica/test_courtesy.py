"""The app's writers go first, and never for long."""

from __future__ import annotations

import threading

from syncauth.replica.courtesy import Courtesy

SECONDS = 10


def test_the_replica_waits_for_a_call_that_is_under_way() -> None:
    """`give_way` returns when the call ends (I11)."""
    courtesy = Courtesy()
    order: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def app() -> None:
        with courtesy.call():
            begun.set()
            go_on.wait(SECONDS)
            order.append("app")

    caller = threading.Thread(target=app)
    caller.start()
    assert begun.wait(SECONDS)
    go_on.set()
    courtesy.give_way()
    order.append("replica")
    caller.join(SECONDS)
    assert order == ["app", "replica"]


def test_a_call_that_does_not_end_holds_nobody_up() -> None:
    """A long transaction of the app delays the replica by a moment, not for ever."""
    courtesy = Courtesy()
    order = []
    with courtesy.call():
        courtesy.give_way()
        order.append("replica")
    assert order == ["replica"]
