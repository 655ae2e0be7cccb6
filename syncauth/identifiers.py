"""
New identifiers for rows: unique on every device without asking anyone.

An identifier is a UUID version 7 (RFC 9562 section 5.7) in its usual text form: it begins with the
time in milliseconds, so that rows made one after the other lie side by side in an index.
"""

from __future__ import annotations

import uuid

from syncauth.adapters.clock import SystemClock
from syncauth.adapters.randomness import SystemRandomness
from syncauth.interfaces import Clock, Randomness


def new_id(clock: Clock | None = None, randomness: Randomness | None = None) -> str:
    """Return a new identifier, 36 characters.

    Args:
        clock: whose wall clock to use; the system's if None.
        randomness: where the 74 random bits come from; the system's if None.
    """
    milliseconds = int((clock or SystemClock()).wall() * 1000)
    chance = int.from_bytes((randomness or SystemRandomness()).token(10), "big")
    high = (milliseconds & (1 << 48) - 1) << 16 | 0x7000 | chance >> 62 & 0xFFF
    low = 0b10 << 62 | chance & (1 << 62) - 1
    return str(uuid.UUID(int=high << 64 | low))
