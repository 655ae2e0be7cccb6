"""The headers Date and Retry-After of any answer are times, or as if they were not there."""

from __future__ import annotations

import httpx
from hypothesis import example, given, strategies as st

from syncauth.adapters.http_date import _skew
from syncauth.errors import UnexpectedAnswer
from syncauth.sansio.patience import LONGEST_PATIENCE_SECONDS, read_date, read_retry_after
from tests.support.odd_input import judge, texts

NOW = 1_700_000_000.0
dates = st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Za-z]{3} \d+ \d+:\d+:\d+ \S*")
values = texts | dates | st.integers().map(str)


@given(values)
@example("Mon, 01 Jan 0001 00:00:00 -0000")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_any_date_and_retry_after_is_a_time_or_absent(text: str) -> None:
    """A wait is at most an hour, whatever the header says; a date is a number."""
    for sent_at in (None, NOW, read_date(text)):
        wait = read_retry_after(text, sent_at)
        assert wait is None or 0 <= wait <= LONGEST_PATIENCE_SECONDS


@given(values)
def test_any_date_of_a_server_is_a_skew_or_refused(text: str) -> None:
    """What `syncauth doctor` is told as the time is measured, or is no date."""
    answer = httpx.Response(200, headers=[(b"Date", text.encode("utf-8", "replace"))])
    skew = judge(lambda: _skew(answer, NOW, NOW + 1), UnexpectedAnswer)

    assert skew is None or skew.uncertainty == 1.0
