"""
How long to wait before the next attempt: exponential, full jitter, no sooner than asked.

Full jitter draws evenly between nothing and the ceiling of the attempt, so that many devices which
lost the same server do not come back together. This module must never draw chance itself.
"""

from __future__ import annotations

from typing import Final

FLOOR_SECONDS: Final = 1.0
CEILING_SECONDS: Final = 300.0
_DOUBLINGS_MAX: Final = 9  # 2 ** 9 s is beyond the ceiling already


def delay(attempt: int, fraction: float, retry_after: float | None = None) -> float:
    """Return the seconds to wait after failed attempt number `attempt` (1 for the first).

    Args:
        attempt: how many attempts have failed in a row.
        fraction: a random number from 0 to 1.
        retry_after: the seconds the peer asked for (RFC 9110 section 10.2.3); jitter is added, not
            subtracted.
    """
    ceiling: float = min(CEILING_SECONDS, FLOOR_SECONDS * 2.0 ** min(attempt, _DOUBLINGS_MAX))
    jittered = max(FLOOR_SECONDS, ceiling * fraction)
    if retry_after is None:
        return jittered
    return max(retry_after + FLOOR_SECONDS * fraction, jittered)
