"""
The operating system's randomness: the one door to chance.

Everything else takes a `Randomness` (`syncauth.interfaces`) as an argument. This module must never
be seeded: its bytes become keys and identifiers.
"""

from __future__ import annotations

import secrets
from typing import Final

_DOUBLE_BITS: Final = 53
"""As many random bits as a double holds exactly, so that 1.0 cannot come out by rounding."""


class SystemRandomness:
    """The randomness of the operating system, fit for keys."""

    def token(self, size: int) -> bytes:
        """Return `size` bytes fit for identifiers and keys."""
        return secrets.token_bytes(size)

    def fraction(self) -> float:
        """Return a number from 0 (inclusive) to 1 (exclusive), for jitter."""
        return secrets.randbits(_DOUBLE_BITS) / (1 << _DOUBLE_BITS)
