"""The catalogue of sync errors: complete, consistent, documented, and judged as it says."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType

import pytest

from syncauth.sansio.sync_errors import (
    ACTIONS,
    CATALOGUE,
    KINDS,
    Close,
    SyncErrorKind,
    Verdict,
    judge,
    judge_close,
    judge_handshake,
    judge_network,
)

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "errors.md"
WRONG_SESSION = CATALOGUE["wrong_session"]
"""The one code graver when its message is lost.

A refused device stops until the app looks at it.
"""

CLOSE_CODES = sorted(
    value for name, value in vars(Close).items() if name.isupper() and isinstance(value, int)
)


def test_codes_are_unique_words() -> None:
    """Every code stands once and is a lower-case word."""
    assert len(CATALOGUE) == len(KINDS)
    assert isinstance(CATALOGUE, MappingProxyType)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code) for kind in KINDS)


def test_every_kind_is_complete() -> None:
    """Every line has a known action, a meaning, and a close code that the server uses, or none."""
    for kind in KINDS:
        assert kind.action in ACTIONS
        assert kind.meaning
        assert kind.close is None or kind.close in CLOSE_CODES


def test_what_stops_sync_is_shown() -> None:
    """The app is shown what stops sync or costs a change, and never what it asks itself."""
    for kind in KINDS:
        if kind.action in ("stop", "client_reset", "revert_change"):
            assert kind.shown, kind.code
        if kind.action in ("relogin", "renew_token"):
            assert not kind.shown, kind.code


def test_every_action_is_used() -> None:
    """No action is dead, apart from `ignore`, which only a newer server names."""
    assert ACTIONS - {kind.action for kind in KINDS} == {"ignore"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_known_code_does_what_the_catalogue_says(kind: SyncErrorKind) -> None:
    """The action that the server names does not matter for a code that this version knows."""
    for named in (*ACTIONS, "unheard_of"):
        verdict = judge(kind.code, named)

        assert verdict == Verdict(kind.code, kind.action, kind.shown)


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_unknown_code_follows_the_action_named(action: str) -> None:
    """A code of a newer server does what that server asks for, and is shown."""
    assert judge("of_tomorrow", action) == Verdict("of_tomorrow", action, shown=True)


@pytest.mark.parametrize("action", ["", "Retry", "unheard_of"])
def test_unknown_code_and_action_stop(action: str) -> None:
    """If neither is known, sync stops and the code is shown."""
    assert judge("of_tomorrow", action) == Verdict("of_tomorrow", "stop", shown=True)


@pytest.mark.parametrize(
    ("close", "action"),
    [
        (1000, "retry"),
        (1001, "retry"),
        (1002, "stop"),
        (1005, "retry"),
        (1006, "retry"),
        (1009, "stop"),
        (1011, "retry"),
        (1012, "retry"),
        (1013, "retry"),
        (4401, "renew_token"),
        (4403, "stop"),
        (4409, "client_reset"),
        (4426, "stop"),
        (4429, "retry"),
        (4999, "retry"),
    ],
)
def test_close_codes_are_judged(close: int, action: str) -> None:
    """A close code leads to one action; an unknown one is a reason to come back."""
    verdict = judge_close(close)

    assert verdict.action == action
    assert verdict == judge(verdict.code, "ignore")


@pytest.mark.parametrize(
    ("kind", "close"),
    [(kind, kind.close) for kind in KINDS if kind.close is not None and kind != WRONG_SESSION],
)
def test_close_code_alone_leads_to_the_same(kind: SyncErrorKind, close: int) -> None:
    """A device that lost the message before the close ends up doing what it asked for."""
    softer = {"relogin": "renew_token"}  # the refresh finds out that the session has ended

    assert judge_close(close).action == softer.get(kind.action, kind.action)


@pytest.mark.parametrize(
    ("status", "code", "action"),
    [
        (200, "unexpected_answer", "retry"),
        (302, "redirected", "retry"),
        (400, "unexpected_answer", "retry"),
        (401, "token_refused", "renew_token"),
        (403, "upgrade_forbidden", "retry"),
        (404, "app_not_found", "retry"),
        (426, "protocol_mismatch", "stop"),
        (429, "too_many_requests", "retry"),
        (500, "server_failed", "retry"),
        (503, "server_failed", "retry"),
        (511, "server_failed", "retry"),
    ],
)
def test_handshake_statuses_are_judged(status: int, code: str, action: str) -> None:
    """A refused upgrade leads to one action."""
    verdict = judge_handshake(status)

    assert (verdict.code, verdict.action) == (code, action)


def test_nothing_in_between_can_end_a_session() -> None:
    """No HTTP status at all leads to a relogin or a client reset: a proxy may have spoken."""
    actions = {judge_handshake(status).action for status in range(100, 600)}

    assert actions == {"retry", "renew_token", "stop"}
    assert [s for s in range(100, 600) if judge_handshake(s).action == "stop"] == [426]


@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        ("closed", False),
        ("handshake", True),
        ("tls", True),
        ("dns", False),
        ("refused", False),
        ("timeout", False),
        ("network", False),
        ("unheard_of", False),
    ],
)
def test_network_failures_come_back(failure: str, shown: bool) -> None:
    """Every failure of the network is tried again; the app is shown what time may not mend."""
    verdict = judge_network(failure)

    assert verdict.action == "retry"
    assert verdict.shown is shown


def test_reference_shows_the_catalogue() -> None:
    """docs/reference/errors.md has exactly the lines of the catalogue, in its order."""
    lines = re.findall(r"^\| `(\w+)` \|.*$", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in REFERENCE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]

    assert lines == [kind.code for kind in KINDS]
    assert rows == [
        (
            f"`{kind.code}`",
            kind.source,
            kind.action,
            "shown" if kind.shown else "",
            str(kind.close or ""),
            kind.meaning,
        )
        for kind in KINDS
    ]
