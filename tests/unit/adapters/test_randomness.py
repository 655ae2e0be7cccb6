"""The operating system's randomness keeps what the protocol promises."""

from __future__ import annotations

import pytest

from syncauth.adapters import randomness as door
from syncauth.adapters.randomness import SystemRandomness
from syncauth.interfaces import Randomness


def test_tokens_have_their_size_and_differ() -> None:
    """Tokens have the size that was asked for, and no two are alike."""
    randomness: Randomness = SystemRandomness()
    tokens = {randomness.token(16) for _ in range(1000)}

    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {16}


@pytest.mark.parametrize(("bits", "fraction"), [(0, 0.0), (1 << 52, 0.5), ((1 << 53) - 1, None)])
def test_a_fraction_never_reaches_one(
    monkeypatch: pytest.MonkeyPatch, bits: int, fraction: float | None
) -> None:
    """Whatever bits come, 0 is possible and 1 is not."""
    monkeypatch.setattr(door.secrets, "randbits", lambda _: bits)
    found = SystemRandomness().fraction()

    assert 0 <= found < 1
    assert fraction is None or found == fraction
