"""
Rotations of refresh tokens that are wanted at the same time: one visit of the store thread, one commit.

Each is judged on its own, after the user's custom data has been looked up: a rotation whose data cannot be had is not
done, so that it costs the client nothing. An answer comes only after the commit. This module must never see a token,
only hashes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from syncauth.server.accounts.answers import Denied
from syncauth.server.accounts.custom_data import CustomData, Found
from syncauth.server.stores.interface import AccountStore, Rotated, Rotation
from syncauth.server.stores.thread import StoreThread


@dataclass(frozen=True, slots=True)
class Wish:
    """A rotation, and the custom data of its user if the team's function was asked."""

    rotation: Rotation
    user_id: str
    asked: Found | None


Done = tuple[Rotated, Found] | Denied
"""What became of it with the data for the access token, or why it was not done."""


class Rotations:
    """The rotations of one app."""

    def __init__(self, store: AccountStore, custom_data: CustomData, thread: StoreThread) -> None:
        """Take the parts; the first two are used in `thread`."""
        self._store = store
        self._custom_data = custom_data
        self._thread = thread

    def do(self, wish: Wish) -> asyncio.Future[Done]:
        """Rotate, together with what else is wanted now; await the future."""
        return self._thread.together(self._do_all, wish)

    def _do_all(self, wishes: Sequence[Wish]) -> list[Done]:
        """Do all that have their data, in one transaction."""
        unasked = [each.user_id for each in wishes if each.asked is None]
        read = iter(self._custom_data.read_all(unasked))
        found = [next(read) if each.asked is None else each.asked for each in wishes]
        wanted = [
            each.rotation
            for each, data in zip(wishes, found, strict=True)
            if not isinstance(data, Denied)
        ]
        rotated = iter(self._store.rotate_all(wanted))
        return [
            data if isinstance(data, Denied) else _with_data(next(rotated), data) for data in found
        ]


def _with_data(rotated: Rotated, found: Found | None) -> tuple[Rotated, Found]:
    """Add what was found, else what the store holds."""
    stored = None if rotated.session is None else rotated.session.custom_data
    return rotated, Found(stored) if found is None else found
