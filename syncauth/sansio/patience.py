"""
How long an HTTP server asks for patience: Retry-After and the dates in it, for whatever speaks HTTP.

This module must never read a clock.
"""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_PATIENCE_SECONDS: Final = 3600.0
"""No Retry-After is believed beyond this: it may come from something in between."""

_DELTA_DIGITS: Final = 9


def read_date(text: str | None) -> float | None:
    """Return the wall-clock seconds of an HTTP date (RFC 9110 section 5.6.7), or None."""
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def read_retry_after(text: str | None, sent_at: float | None) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110 section 10.2.3), or None.

    A date is counted from `sent_at`, best the sender's own clock, so that a wrong clock of this
    device does not matter. What cannot be read counts as absent.
    """
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text) if len(text) <= _DELTA_DIGITS else math.inf
    else:
        until = read_date(text)
        if until is None or sent_at is None:
            return None
        seconds = until - sent_at
    return min(max(seconds, 0.0), LONGEST_PATIENCE_SECONDS)
