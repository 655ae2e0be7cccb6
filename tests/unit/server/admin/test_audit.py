"""One line for each deed, which no id can forge."""

from __future__ import annotations

import pytest

from syncauth.server.admin import audit


def test_line_says_who_what_whom_and_how_it_ended(caplog: pytest.LogCaptureFixture) -> None:
    """The parts stand in their order, on a logger of their own, at a level that is shown by default."""
    with caplog.at_level("INFO", "syncauth.server.admin"):
        audit.note("key1", "disable", "user1", "done")
        audit.note_login("key1", "192.0.2.1")
        audit.note_refused(None, "192.0.2.1")

    assert caplog.messages == [
        "key=key1 deed=disable on=user1 outcome=done",
        "key=key1 deed=login address=192.0.2.1 outcome=done",
        "key=unknown deed=login address=192.0.2.1 outcome=refused",
    ]


def test_ids_out_of_paths_are_cut_and_escaped(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a line break nor a terminal's escape nor a long text gets into the log."""
    with caplog.at_level("INFO", "syncauth.server.admin"):
        audit.note("key1", "disable", "a\nkey=key2\x1b[2J" + "x" * 5000, "UserNotFound")

    (line,) = caplog.messages
    assert line.isprintable()
    assert len(line) < 200
