"""
The files of an App's users as a whole: what is unsent in one, and the deletion of one whose user is gone.

A removal is durable in the credential store before the file is deleted, so that a kill in between is made good at the
next start. This module must never delete a file that another process has open.
"""

from __future__ import annotations

import asyncio
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

    async def discard(self, user_id: str, told: int) -> None:
        """Delete a user's file, in which so many changes are unsent; see `removing.remove_files`."""

        def remove() -> None:
            directory = self._config.data_dir
            removing.remove_files(
                directory, self._owner(user_id), expected=told, hold=locks.hold_file
            )

        await asyncio.to_thread(remove)

    async def delete_removed(self) -> None:
        """Delete the files of the users who were removed, as far as nobody has them open."""
        for user_id in self._parts.store.waiting_removals():
            try:
                await self._delete_removed(user_id)
            except FileInUse:
                log.info("the file of a removed user is open elsewhere, and deleted later")
            except StorageError as error:
                log.warning("the file of a removed user could not be deleted: %s", error)

    async def _delete_removed(self, user_id: str) -> None:
        """Delete a file unless its user has logged in again, which is looked at while it is held.

        Whoever has logged in meanwhile may have written to it, and cannot while it is held.
        """
        path = self.path(user_id)
        make_directory(path)
        lock = locks.hold_file(path)
        try:
            if user_id in self._parts.store.waiting_removals():
                await to_its_end(asyncio.to_thread(removing.delete, path))
                self._parts.store.commit([DropRemoval(user_id)])
        finally:
            lock.release()
