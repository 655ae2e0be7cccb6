"""The process whose refresh is out is stopped by the system, as a laptop's lid or a debugger does it."""

from __future__ import annotations

import signal
import time

import pytest

from tests.integration.processes.conftest import Scene
from tests.support.token_process import TokenProcess

DEADLINE = 3.0
"""The holder's deadline for token calls, in seconds, where its sleep is to outlast it."""

WAIT = 1.0
"""How long the others wait for a token, in seconds."""


def stop_in_the_middle(scene: Scene, holder: TokenProcess) -> None:
    """Stop a process whose refresh has reached the server and whose answer it has not read."""
    scene.proxy.hold_answers()
    holder.start("token")
    scene.proxy.wait_answered(1)
    holder.send_signal(signal.SIGSTOP)
    holder.wait_stopped()
    scene.proxy.release()


def ask_until(others: list[TokenProcess], seconds: float) -> int:
    """Let the others ask for a token so long; each time none comes in time. Returns how often."""
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for each in others:
            each.start("token", timeout=WAIT)
        for each in others:
            told = each.finish("token")
            assert told["happened"] == "failed" and told["error"] == "TokenUnavailableError", told
            count += 1
    return count


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("seconds", "settings"),
    [(2.5, {}), (2 * DEADLINE, {"token_deadline": DEADLINE})],
    ids=["awake within its deadline", "awake after its deadline"],
)
def test_nobody_else_refreshes_and_nobody_is_harmed(
    scene: Scene, seconds: float, settings: dict[str, float]
) -> None:
    """Others get no token and send nothing while it sleeps, work goes on, and all are well after it (I4)."""
    holder = scene.logged_in(**settings)
    others = [scene.open(), scene.open()]
    before = holder.do("who")
    others[0].do("open")
    stop_in_the_middle(scene, holder)
    assert ask_until(others, seconds) >= 2
    assert others[0].do("insert", key="1")["count"] == 1
    assert len(scene.proxy.refreshes) == 1
    assert all(each.do("who")["state"] == "refreshing" for each in others)
    holder.go_on()
    slept = holder.finish("token")
    late = seconds > DEADLINE  # nobody waits through a back-off
    assert slept.get("error") == ("TokenUnavailableError" if late else None)
    processes = [holder, *others]
    for each in processes:
        each.event("TokensRenewed")
        each.do("token", renew=False)
    after = [each.wait_who(state="active") for each in processes]
    assert {each["current"] for each in after} == {before["current"]}
    assert before["access"] not in {each["access"] for each in after}
    heard = [line.get("event") for each in processes for line in each.told]
    assert "ReloginRequired" not in heard and "LoggedOut" not in heard
    # Only the token whose answer came too late was presented again, with its refresh id.
    assert len(scene.proxy.refreshes) == 1 + late


@pytest.mark.timeout(120)
def test_a_logout_does_not_wait_for_the_sleeper(scene: Scene) -> None:
    """What another one logs out while it sleeps stays logged out when it wakes and reads its answer (I7, I8)."""
    holder = scene.logged_in()
    other = scene.open()
    stop_in_the_middle(scene, holder)
    other.do("log_out")
    scene.proxy.wait_revocations(1)
    holder.go_on()
    assert holder.finish("token")["error"] == "NotLoggedInError"
    holder.event("LoggedOut", elsewhere=True)
    for each in (holder, other):
        assert each.do("who")["current"] is None
    assert scene.living_sessions() == 0


@pytest.mark.timeout(120)
def test_a_login_does_not_wait_for_the_sleeper(scene: Scene) -> None:
    """Whoever logs in while it sleeps has its token at once; the late answer does not replace it (I7)."""
    holder = scene.logged_in()
    other = scene.open()
    stop_in_the_middle(scene, holder)
    other.log_in()
    new = other.do("who")
    assert new["state"] == "active"
    holder.go_on()
    assert holder.finish("token")["token"] == new["access"]
    for each in (holder, other):
        each.wait_who(state="active", access=new["access"], refresh=new["refresh"])
    told = other.do("token")
    assert told["old"] == new["access"] != told["token"]
    holder.wait_who(state="active", access=told["token"])
