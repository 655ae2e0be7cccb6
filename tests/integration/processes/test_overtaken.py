"""A process stands before its commit while another one's comes first: both answer, and agree afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.processes.conftest import Scene
from tests.support.app_bench import until
from tests.support.processes import EMAIL, PASSWORD
from tests.support.token_process import TokenProcess

LOGIN = {"email": EMAIL, "password": PASSWORD}
GONE = {"NotLoggedInError", "UserRemovedError"}


def overtake(scene: Scene, step: str, verb: str, first: str, **given: Any) -> list[TokenProcess]:
    """Let one process do `verb` up to `step`, another one `first`, and then the one go on."""
    early = scene.logged_in()
    late = scene.open(step=step)
    late.start(verb, **given)
    late.hear_for(happened="reached", step=step)
    late.wait_stopped()
    early.do(first, **(LOGIN if first == "log_in" else {}))
    late.go_on()
    return [late, early]


async def check_agreement(scene: Scene, processes: list[TokenProcess]) -> dict[str, Any]:
    """All know the same, which the server confirms, and all can still log in and out."""

    def told() -> list[dict[str, Any]]:
        answers = [each.do("who") for each in processes]
        return [{key: each[key] for key in ("users", "current", "access")} for each in answers]

    await until(lambda: len({repr(each) for each in told()}) == 1)
    (known, *_) = told()
    wanted = 0 if known["current"] is None else 1
    await until(lambda: scene.living_sessions() == wanted)
    for each in processes:
        each.log_in()
        each.do("token")
    return known


@pytest.mark.parametrize("first", ["log_out", "remove", "log_in"])
async def test_a_renewed_pair_comes_too_late(scene: Scene, first: str) -> None:
    """It is not kept: who has logged out stays so, and a newer login stays (I7, I8)."""
    late, early = overtake(scene, "before_tokens", "token", first)
    told = late.finish("token")
    newer = early.do("who")["access"]
    if first == "log_in":
        assert told["token"] == newer
    else:
        assert told["error"] in GONE
    known = await check_agreement(scene, [late, early])
    assert known["access"] == newer


@pytest.mark.parametrize("first", ["log_out", "remove", "log_in", "token"])
async def test_a_logout_comes_late(scene: Scene, first: str) -> None:
    """Whatever came first, nobody is logged in after it, and no session lives (I8)."""
    late, early = overtake(scene, "before_logout", "log_out", first)
    told = late.finish("log_out")
    assert told.get("error") in {None, *GONE}
    known = await check_agreement(scene, [late, early])
    assert known["current"] is None


@pytest.mark.parametrize("first", ["log_out", "remove", "log_in", "token"])
async def test_a_removal_comes_late(scene: Scene, first: str) -> None:
    """Whatever came first, the user is gone after it, and no session lives (I8)."""
    late, early = overtake(scene, "before_removal", "remove", first)
    told = late.finish("remove")
    assert told.get("error") in {None, *GONE}
    known = await check_agreement(scene, [late, early])
    assert known["users"] == []


@pytest.mark.parametrize("first", ["log_out", "remove", "log_in", "token"])
async def test_a_login_comes_late(scene: Scene, first: str) -> None:
    """The person has just typed the password: the login counts, and sessions of before it are revoked (I8)."""
    late, early = overtake(scene, "before_login", "log_in", first, **LOGIN)
    user = late.finish("log_in")["user"]
    known = await check_agreement(scene, [late, early])
    assert (known["users"], known["current"]) == ([user], user)


@pytest.mark.parametrize("first", ["log_out", "remove", "log_in"])
async def test_the_mark_of_a_refresh_comes_too_late(scene: Scene, first: str) -> None:
    """Nothing is sent for a session that is no more; a newer one is used as it is (I4, I7)."""
    late, early = overtake(scene, "before_mark", "token", first)
    told = late.finish("token")
    assert scene.proxy.refreshes == []
    if first == "log_in":
        assert told["token"] == early.do("who")["access"]
    else:
        assert told["error"] in GONE
    await check_agreement(scene, [late, early])
