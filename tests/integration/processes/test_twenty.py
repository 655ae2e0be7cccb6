"""Twenty real processes on one data directory want a token in the same millisecond."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.conftest import FIGURES
from tests.integration.processes.conftest import Scene, Start
from tests.support.token_process import TokenProcess

PROCESSES = 20
LEAD_SECONDS = 2.0
"""How long before the instant they are told it: enough for all to be told."""


def twenty(scene: Scene) -> list[TokenProcess]:
    """Start twenty processes of which the first one has logged in, and all know it."""
    others = [scene.begin() for _ in range(PROCESSES - 1)]
    for each in others:
        each.wait_ready()
    processes = [scene.logged_in(), *others]
    user = processes[0].do("who")
    for each in others:
        each.wait_who(current=user["current"], state="active", access=user["access"])
    return processes


@pytest.mark.timeout(180)
def test_twenty_ask_at_once(scene: Scene, record_property: Callable[[str, object], None]) -> None:
    """All reject the same token at one instant: one request reaches the server, all get its token (I4).

    Its answer is kept until the last one has asked, so that none comes when it is over.
    """
    processes = twenty(scene)
    scene.proxy.hold_answers()
    at = time.monotonic() + LEAD_SECONDS
    for each in processes:
        each.start("token", at=at)
    asked = [each.hear_for(happened="asked")["at"] for each in processes]
    scene.proxy.wait_answered(1)
    scene.proxy.release()
    released = time.monotonic()
    told = [each.finish("token") for each in processes]
    assert {each["happened"] for each in told} == {"done"}
    assert len({each["old"] for each in told}) == 1
    assert len({each["token"] for each in told}) == 1
    assert told[0]["token"] != told[0]["old"]
    assert len(scene.proxy.refreshes) == 1
    spread = max(asked) - min(asked)
    last = max(each["at"] for each in told) - released
    record_property(
        FIGURES,
        f"{PROCESSES} processes asked within {spread * 1000:.1f} ms, one request,"
        f" all had the token {last * 1000:.0f} ms after its answer",
    )
    for each in processes:
        assert each.do("who")["state"] == "active"


@pytest.mark.timeout(180)
def test_twenty_plan_the_same_instant(
    start_scene: Start, record_property: Callable[[str, object], None]
) -> None:
    """A token ends by itself for all alike: each refresh token is presented once, and all renew (I4)."""
    scene = start_scene("[lifetimes]\naccess_seconds = 16")
    processes = twenty(scene)
    first = processes[0].do("who")["access"]
    for _ in range(2):
        for each in processes:
            each.event("TokensRenewed")
    tokens = [seen.token for seen in scene.proxy.refreshes]
    assert len(tokens) == len(set(tokens)) >= 2
    for each in processes:
        told = each.do("token", renew=False)
        assert told["token"] != first
    own = [each.told for each in processes]
    renewed = [line for told in own for line in told if line.get("event") == "TokensRenewed"]
    here = [line for line in renewed if not line["elsewhere"]]
    assert len(here) <= len(scene.proxy.refreshes)
    record_property(FIGURES, f"{len(tokens)} refreshes for {len(renewed)} renewals in {PROCESSES}")
