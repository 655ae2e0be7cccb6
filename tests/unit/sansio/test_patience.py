"""Whoever asks for patience is given it: Retry-After is read, bounded and waited for."""

from __future__ import annotations

import pytest

from syncauth.sansio import inputs
from syncauth.sansio.effects import OpenSocket
from syncauth.sansio.patience import LONGEST_PATIENCE_SECONDS, read_retry_after
from tests.support.engine_story import Story


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Tue, 01 Jan 2030 00:01:00 GMT", 60.0),
        ("Tue, 01 Jan 2019 00:00:00 GMT", 0.0),
        ("9" * 400, LONGEST_PATIENCE_SECONDS),
        ("-5", None),
        ("1.5", None),
        ("\u0663", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_the_standard_says(text: str | None, seconds: float | None) -> None:
    """Seconds or a date, never more than an hour; what cannot be read counts as absent."""
    assert read_retry_after(text, sent_at=1893456000.0) == seconds


def test_a_refused_upgrade_is_tried_again_when_the_server_says() -> None:
    """Retry-After of a refusal is waited for, though the first pause would be short."""
    story = Story().live()
    story.happen(inputs.SocketLost(story.socket, "handshake", None, 429, "full", retry_after=90.0))
    opened = story.count(OpenSocket)

    story.wait(89)
    early = story.count(OpenSocket) - opened
    story.wait(3)

    assert (early, story.count(OpenSocket) - opened) == (0, 1)
