"""
The trail of what administrators did through the API, in the log: who, what, on whom, and what came of it.

One line for each deed, on the logger `syncauth.server.admin`. Who did it is the id of an admin key, which is no secret.
This module must never be given a key, a token or a password.
"""

from __future__ import annotations

import logging
from typing import Final

LOGGER: Final = logging.getLogger("syncauth.server.admin")

LONGEST: Final = 100
"""Characters of an id that came in a path; no id of ours is longer."""


def note(actor: str, deed: str, on: str, outcome: str) -> None:
    """Write that the admin key `actor` did this."""
    LOGGER.info("key=%s deed=%s on=%s outcome=%s", actor, deed, _shown(on), outcome)


def note_login(key_id: str, address: str) -> None:
    """Write that an admin key was exchanged for a token."""
    LOGGER.info("key=%s deed=login address=%s outcome=done", key_id, _shown(address))


def note_refused(key_id: str | None, address: str) -> None:
    """Write that a login was refused; `key_id` is that of a key that is known, else None.

    What a stranger gives as the id is not written: it might be a secret in the wrong place.
    """
    shown = "unknown" if key_id is None else key_id
    LOGGER.warning("key=%s deed=login address=%s outcome=refused", shown, _shown(address))


def _shown(text: str) -> str:
    """Keep line breaks and terminal escapes out of the log."""
    return ascii(text[:LONGEST])[1:-1]
