"""What one process does to users, the others on the same data directory see by themselves, and soon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FIGURES
from tests.integration.processes.conftest import Scene
from tests.support.app_bench import until
from tests.support.processes import PASSWORD

OTHER = "other@example.com"
SOON = 3.0
"""Within so many seconds, however busy the machine is, the other one has seen it."""


def check_soon(done: dict[str, float], seen: dict[str, float], name: str) -> str:
    """The event came soon after the verb had returned; returns the figure."""
    late = seen["at"] - done["at"]
    assert late < SOON
    return f"{name} {late * 1000:+.0f} ms"


def test_a_session_begins_and_ends_elsewhere(
    scene: Scene, record_property: Callable[[str, object], None]
) -> None:
    """Login, renewal, logout, login again and removal: another process sees each by its event."""
    watching, acting = scene.open(), scene.logged_in()
    seen = watching.event("LoggedIn")
    user = acting.do("who")
    assert watching.wait_who(current=user["current"])["access"] == user["access"]
    figures = []
    done = acting.do("token")
    seen = watching.event("TokensRenewed", elsewhere=True)
    figures.append(check_soon(done, seen, "renewal"))
    assert watching.do("who")["access"] == done["token"]
    done = acting.do("log_out")
    seen = watching.event("LoggedOut", elsewhere=True)
    figures.append(check_soon(done, seen, "logout"))
    assert watching.do("who")["current"] is None
    watching.start("token")
    assert watching.finish("token")["error"] == "NotLoggedInError"
    acting.log_in()
    watching.event("LoggedIn")
    again = watching.do("who")
    assert (again["current"], again["state"]) == (user["current"], "active")
    assert again["access"] == acting.do("who")["access"]
    done = acting.do("remove")
    seen = watching.event("UserRemoved", elsewhere=True)
    figures.append(check_soon(done, seen, "removal"))
    assert watching.do("who")["users"] == []
    acting.log_in()
    watching.event("LoggedIn")
    assert watching.do("who")["users"] == [user["current"]]
    record_property(FIGURES, "seen after the verb's return: " + ", ".join(figures))


def test_each_may_end_what_the_other_began(scene: Scene) -> None:
    """A login of one is renewed and logged out by another; the first one learns it (I8)."""
    first, second = scene.logged_in(), scene.open()
    renewed = second.do("token")["token"]
    first.event("TokensRenewed", elsewhere=True)
    assert first.do("who")["access"] == renewed
    assert first.do("token")["old"] == renewed
    second.do("log_out")
    first.event("LoggedOut", elsewhere=True)
    scene.proxy.wait_revocations(1)


def test_switching_elsewhere(scene: Scene) -> None:
    """Who is current is the same everywhere; whoever watches is told of each change."""
    acting = scene.logged_in()
    ann = acting.do("who")["current"]
    watching = scene.open()
    acting.do("register", email=OTHER, password=PASSWORD)
    bob = acting.do("log_in", email=OTHER, password=PASSWORD)["user"]
    watching.event("LoggedIn", user=bob)
    assert watching.wait_who(current=bob)["users"] == sorted([ann, bob])
    acting.do("switch", user=ann)
    watching.event("UserSwitched", user=ann)
    assert watching.do("who")["current"] == ann
    acting.do("log_out")
    watching.event("UserSwitched", user=bob)
    watching.event("LoggedOut", user=ann, elsewhere=True)
    assert watching.do("who")["current"] == bob


async def test_a_removal_elsewhere_closes_and_deletes(scene: Scene) -> None:
    """A replica that another process has open is closed there, and its file deleted, without a restart."""
    acting = scene.logged_in()
    watching = scene.open()
    path = Path(watching.do("open")["path"])
    watching.do("insert", key="1")
    watching.do("uploaded")
    acting.do("remove")
    watching.event("UserRemoved", elsewhere=True)
    assert watching.do("who")["users"] == []
    await until(lambda: {each.name for each in path.parent.glob("*.db*")} <= {f"{path.name}.lock"})
    assert watching.log_in() == acting.log_in()
    watching.do("open")
    assert watching.close_input() == acting.close_input() == 0


@pytest.mark.parametrize("verb", ["log_out", "token"])
def test_two_do_the_same_at_once(scene: Scene, verb: str) -> None:
    """Two log out, or renew, at the same time: both succeed or say what is so, and both agree after it (I4, I8)."""
    one, two = scene.logged_in(), scene.open()
    before = one.do("who")
    for each in (one, two):
        each.start(verb)
    told = [each.finish(verb) for each in (one, two)]
    if verb == "log_out":
        assert {each.get("error") for each in told} <= {None, "NotLoggedInError"}
        scene.proxy.wait_revocations(1)
        assert {seen.token for seen in scene.proxy.revocations} == {before["refresh"]}
        for each in (one, two):
            each.wait_who(current=None, users=[before["current"]])
        assert one.log_in() == before["current"]
        two.wait_who(current=before["current"], access=one.do("who")["access"])
    else:
        assert {each["happened"] for each in told} == {"done"}
        tokens = [seen.token for seen in scene.proxy.refreshes]
        assert len(tokens) == len(set(tokens))
        access = one.do("who")["access"]
        two.wait_who(state="active", access=access)
