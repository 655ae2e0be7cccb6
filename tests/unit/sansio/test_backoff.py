"""Waiting grows, jitters and honours what the peer asked for."""

from hypothesis import given, strategies as st

from syncauth.sansio.backoff import CEILING_SECONDS, FLOOR_SECONDS, delay

ATTEMPTS = st.integers(1, 10_000)
FRACTIONS = st.floats(0, 1, exclude_max=True)


@given(ATTEMPTS, FRACTIONS)
def test_a_delay_stays_between_floor_and_ceiling(attempt: int, fraction: float) -> None:
    """No attempt comes sooner than 1 s or later than 5 min."""
    assert FLOOR_SECONDS <= delay(attempt, fraction) <= CEILING_SECONDS


@given(ATTEMPTS, FRACTIONS, st.floats(0, 100_000))
def test_the_peer_is_never_asked_sooner_than_it_said(
    attempt: int, fraction: float, retry_after: float
) -> None:
    """Retry-After is a lower bound."""
    assert delay(attempt, fraction, retry_after) >= retry_after


def test_the_ceiling_doubles() -> None:
    """With full jitter at its top, each attempt waits twice as long as the one before."""
    assert [delay(attempt, 0.999999) for attempt in (1, 2, 3)] == [
        2 * 0.999999,
        4 * 0.999999,
        8 * 0.999999,
    ]
