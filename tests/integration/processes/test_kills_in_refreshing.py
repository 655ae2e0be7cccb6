"""Kill -9 at each step of a refresh: the next process has a valid token, and the user stays logged in."""

from __future__ import annotations

import pytest

from tests.integration.processes.conftest import Scene
from tests.support.token_process import TokenProcess

STEPS = {
    "before_mark": 0,
    "after_mark": 0,
    "before_request": 0,
    "after_request": 1,
    "before_tokens": 1,
    "after_tokens": 1,
}
"""Step → how many requests of the one that is killed have reached the server."""

KILLS = 5


def check_alive(scene: Scene, process: TokenProcess, before: dict[str, str]) -> None:
    """The process has a token that the server takes, and goes on renewing it."""
    first = process.do("token")["token"]
    assert first not in (None, before["access"])
    process.do("profile")  # the server takes it
    second = process.do("token")["token"]
    who = process.do("who")
    assert (who["current"], who["state"]) == (before["current"], "active")
    assert who["access"] == second != first
    assert who["refresh"] != before["refresh"]
    events = {line.get("event") for line in process.told}
    assert not events & {"ReloginRequired", "LoggedOut"}
    presented = [seen.token for seen in scene.proxy.refreshes]
    assert presented.count(presented[-1]) == 1


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step(scene: Scene, step: str) -> None:
    """Killed there, the next process renews; the server repeats its answer for the same refresh id (I4)."""
    killed = scene.logged_in(step=step)
    before = killed.do("who")
    killed.start("token")
    killed.hear_for(happened="reached", step=step)
    assert len(scene.proxy.refreshes) == STEPS[step]
    killed.kill()
    check_alive(scene, scene.open(), before)


@pytest.mark.parametrize("step", ["before_mark", "before_request", "before_tokens", "after_tokens"])
def test_another_one_waits_for_it(scene: Scene, step: str) -> None:
    """One that waits for the refresh goes on as soon as the one that held it is dead (I4)."""
    killed = scene.logged_in(step=step)
    other = scene.open()
    before = other.do("who")
    killed.start("token")
    killed.hear_for(happened="reached", step=step)
    other.start("token")
    if step != "after_tokens":  # then there is a token already
        other.hear_for(happened="asked")
        assert other.do("who")["state"] == "refreshing"
    killed.kill()
    told = other.finish("token")
    assert told["happened"] == "done", told
    assert told["token"] != told["old"]
    check_alive(scene, other, before)


@pytest.mark.parametrize("answered", [False, True], ids=["not answered", "answer not read"])
def test_killed_with_its_request_out(scene: Scene, *, answered: bool) -> None:
    """The answer is lost with the process; the repeat with the same refresh id gets another one (I4)."""
    killed = scene.logged_in()
    before = killed.do("who")
    scene.proxy.hold_answers()
    killed.start("token")
    if answered:
        scene.proxy.wait_answered(1)
    else:
        scene.proxy.wait_refreshes(1)
    killed.kill()
    scene.proxy.release()
    check_alive(scene, scene.open(), before)
    assert scene.proxy.refreshes[0].token == scene.proxy.refreshes[1].token


def test_killed_again_and_again(scene: Scene) -> None:
    """Several in a row die with the answer in hand, and the next one is still logged in (I4)."""
    killed = scene.logged_in(step="before_tokens")
    before = killed.do("who")
    for count in range(KILLS):
        killed.start("token")
        killed.hear_for(happened="reached")
        assert len(scene.proxy.refreshes) == count + 1
        killed.kill()
        killed = scene.open(step="before_tokens" if count < KILLS - 1 else "")
    check_alive(scene, killed, before)
