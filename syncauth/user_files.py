"""
The files of an App's users as a whole: what is unsent in one, and the deletion of one whose user is gone.

A removal is durable in the credential store before the file is deleted, so that a kill in between is made good at the
next start. This module must never delete a file that another process has open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from syncauth.adapters import locks
from syncauth.config import AppConfig
from syncauth.driver import to_its_end
from syncauth.errors import ChangesPending, FileInUse, StorageError
from syncauth.parts import Parts
from syncauth.replica import removing
from syncauth.replica.files import Owner, make_directory, path_of
from syncauth.replica.unsent import count_unsent
from syncauth.sansio.effects import DropRemoval

log = logging.getLogger("syncauth")


class UserFiles:
    """The users' files of one App."""

    def __init__(self, config: AppConfig, parts: Parts) -> None:
        """Touch nothing."""
        self._config = config
        self._parts = parts

    def path(self, user_id: str) -> str:
        """Return where this user's file is, or would be."""
        return path_of(self._config.data_dir, self._owner(user_id))

    def _owner(self, user_id: str) -> Owner:
        return Owner(self._config.base_url, self._config.app_id, user_id)

    async def check_unsent(self, user_id: str, told: int) -> None:
        """Raise `ChangesPending` unless exactly so many changes of the user are unsent."""
        pending = await asyncio.to_thread(count_unsent, self.path(user_id))
        if pending != told:
            what = "changes that the server does not have would be lost"
            remedy = f"Upload or export them, or say discard={pending}"
            raise ChangesPending(what, pending=pending, remedy=remedy)

    async def discard(self, user_id: str, told: int, *, really: bool = True) -> None:
        """Delete a user's file, in which so many changes are unsent; see `removing.remove_files`."""

        def remove() -> None:
            directory = self._config.data_dir
            removing.remove_files(
                directory, self._owner(user_id), expected=told, hold=locks.hold_file, really=really
            )

        await asyncio.to_thread(remove)

    async def discard_new(self, user_id: str) -> None:
        """Delete the file of a user who was removed while it was made; one with unsent changes stays (I1)."""
        with contextlib.suppress(ChangesPending, FileInUse):
            await self.discard(user_id, 0)

    async def delete_removed(self) -> None:
        """Delete the files of the users who were removed, as far as nobody has them open."""
        for user_id, told in self._parts.store.waiting_removals():
            try:
                await self._delete_removed(user_id, told)
            except FileInUse:
                log.info("the file of a removed user is open elsewhere, and deleted later")
            except ChangesPending as error:
                log.warning("the file of a removed user stays, and is its own again: %s", error)
                self._parts.store.commit([DropRemoval(user_id)])
            except StorageError as error:
                log.warning("the file of a removed user could not be deleted: %s", error)

    async def _delete_removed(self, user_id: str, told: int | None) -> None:
        """Delete a file unless its user has logged in again, which is looked at while it is held.

        Nor if more is unsent in it than the app was told (I1): it was written to since.

        Whoever has logged in meanwhile may have written to it, and cannot while it is held.
        """
        path = self.path(user_id)
        make_directory(path)
        lock = locks.hold_file(path)
        try:
            if user_id in dict(self._parts.store.waiting_removals()):
                owner = self._owner(user_id)
                await to_its_end(asyncio.to_thread(self._remove, path, owner, told))
                self._parts.store.commit([DropRemoval(user_id)])
        finally:
            lock.release()

    def _remove(self, path: str, owner: Owner, told: int | None) -> None:
        removing.remove_held(path, owner, expected=told)
