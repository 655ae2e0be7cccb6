"""
The part of an App that knows its users: logins, who is current, logouts, removals.

Each verb asks the driver, and returns when what it did is durable. This module decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from syncauth.adapters.locks import hold_file
from syncauth.announcer import Deliver
from syncauth.config import AppConfig
from syncauth.driver import Driver
from syncauth.email_password import EmailPassword
from syncauth.errors import (
    Closed,
    FileInUse,
    InvalidConfig,
    NotLoggedInError,
    NotSupported,
)
from syncauth.events import Event, UserRemoved
from syncauth.handles import GuestReplica, OpenReplica
from syncauth.interfaces import AccountService
from syncauth.models import Credentials, SessionState, Status
from syncauth.parts import Parts
from syncauth.replica.adopting import Counts
from syncauth.replica.files import Owner
from syncauth.sansio import inputs
from syncauth.sansio.accounts import Account
from syncauth.sansio.effects import Transition
from syncauth.telling import Telling
from syncauth.user import User, removed_error
from syncauth.user_files import UserFiles


class UserVerbs(Telling):
    """The verbs of an App about its users; `App` opens and closes what they need."""

    def __init__(self, config: AppConfig, deliver: Deliver | None) -> None:
        """Know nobody yet."""
        super().__init__(deliver)
        self.config = config
        self._parts: Parts | None = None
        self._driver: Driver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._users: dict[str, User] = {}
        self._replicas: dict[str, OpenReplica] = {}
        self._guest: GuestReplica | None = None

    # --- users -----------------------------------------------------------------------------------

    async def register(self, email: str, password: str) -> None:
        """Make an account at the server; log in afterwards.

        Raises:
            AccountNameInUse: the email address has an account already.
            CredentialsRefused: the server does not take this address or password.
            UnreachableError: try again later.
            NotSupported: the identity provider of this App makes no accounts.
        """
        await self.accounts.register(email, password)

    @property
    def email_password(self) -> EmailPassword:
        """What has to do with accounts of email and password, before anybody is logged in."""
        return EmailPassword(lambda: self.accounts)

    async def log_in(self, credentials: Credentials) -> User:
        """Log a user in and make it the current one; what it wrote before is replayed by itself.

        Raises:
            CredentialsRefused: the person must check what was typed; wrong and unknown look alike.
            UnreachableError: no server; users who were logged in before go on working offline.
            ProtocolError: this is not an App Services compatible server.
            StorageError: the login could not be kept; nothing has changed.
            Closed: the App was closed meanwhile. A login that is cancelled comes to nothing.
        """
        self._opened()
        if not isinstance(credentials, Credentials):
            remedy = "Make them by Credentials.email_password and the like"
            raise InvalidConfig("these are no credentials", setting="credentials", remedy=remedy)
        user_id = await self.driver.ask(lambda request: inputs.LogInRequested(request, credentials))
        return self._user(str(user_id))

    @property
    def current_user(self) -> User | None:
        """The user of the last login or `switch_user` who did not log out.

        Known offline and after a restart.
        """
        for account in self.driver.engine.accounts():
            if account.current and self.session_of(account.user_id) is not SessionState.LOGGED_OUT:
                return self._user(account.user_id)
        return None

    @property
    def users(self) -> tuple[User, ...]:
        """Everyone who has logged in on this device and was not removed, logged out or not."""
        return tuple(self._user(account.user_id) for account in self.driver.engine.accounts())

    async def switch_user(self, user: User) -> None:
        """Make another user the current one; no login is needed, as long as it did not log out.

        Raises:
            NotLoggedInError: the user is logged out, or not one of this App.
            StorageError: it could not be made durable; nothing has changed.
        """
        name = self._known(user).id
        await self.driver.ask(lambda request: inputs.SwitchRequested(request, name))

    async def log_out(
        self,
        user: User | None = None,
        *,
        forget: bool = False,
        upload_first: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - a documented verb
        export: str | Path | None = None,
        discard: int | None = None,
    ) -> None:
        """Erase the user's tokens, with or without a network; its rows and unsent changes stay.

        Another user who is logged in becomes the current one.

        Args:
            user: who is to be logged out; the current user if None.
            forget: do not keep the refresh token to be revoked later: it stays valid at the server.
            upload_first: wait until the changes of the open replica are at the server.
            timeout: how many seconds `upload_first` may take; None for as long as it takes.
            export: write what is unsent in the open replica to this new SQLite file first.
            discard: delete the user's file, in which so many changes are unsent. Its rows come
                again from the server after the next login.

        Raises:
            NotLoggedInError: nobody is logged in, or the user is not one of this App.
            WaitTimedOut: the upload did not end in time; the user is still logged in.
            ChangesPending: `discard` is not the number of unsent changes; nothing has changed.
            FileInUse: another program has the file open that is to be deleted; nothing has changed,
                except that the user's replica is closed.
            StorageError: it could not be made durable; nothing has changed.
        """
        leaving = self._known(user) if user is not None else self.current_user
        if leaving is None:
            what = "nobody is logged in"
            raise NotLoggedInError(what)
        replica = self._replicas.get(leaving.id)
        if upload_first and replica is not None:
            await replica.wait_uploaded(timeout)
        if export is not None:
            await self._export(leaving, export)
        if discard is not None:
            await self._close_counted(leaving.id, discard)
        await self.driver.ask(
            lambda request: inputs.LogOutRequested(request, leaving.id, forget=forget)
        )
        if discard is not None:
            await self._user_files.discard(leaving.id, discard)

    async def _close_counted(self, name: str, discard: int) -> None:
        """Count what is unsent, close the user's replica, and count again what nobody can add to."""
        await self._user_files.check_unsent(name, discard)
        replica = self._replicas.get(name)
        if replica is not None:
            await replica.aclose()
        await self._user_files.discard(name, discard, really=False)

    async def _export(self, user: User, path: str | Path) -> None:
        replica = self._replicas.get(user.id)
        if replica is None:
            what, remedy = "the user's replica is not open", "Open it first"
            raise InvalidConfig(what, setting="export", remedy=remedy)
        await replica.export(path)

    async def remove_user(self, user: User, *, discard: int = 0) -> None:
        """Log the user out and delete its file from this device; its handles stay dead.

        A file that another process has open is deleted when that has closed it, and one that was
        written to meanwhile stays.

        Args:
            user: who is to be removed.
            discard: how many unsent changes are lost by it.

        Raises:
            ChangesPending: `discard` is not the number of unsent changes; nothing has changed.
            UserRemovedError, NotLoggedInError: the user is removed already, or not of this App.
            StorageError: it could not be made durable, or is completed at the next start.
        """
        name = self._known(user).id
        with contextlib.suppress(
            FileInUse
        ):  # whoever has it open closes it, and it is counted again
            await self._close_counted(name, discard)
        await self._remove(name, forget=False, discard=discard)

    async def delete_user(self, user: User) -> None:
        """Delete the user at the server, then remove it from this device with its unsent changes.

        Raises:
            ReloginRequiredError, TokenUnavailableError, NotLoggedInError: there is no session now.
            UnreachableError, ProtocolError: the server did not do it; nothing has changed.
        """
        name = self._known(user).id
        await user.with_access_token(self.accounts.delete_user)
        await self._remove(name, forget=True, discard=None)

    async def _remove(self, name: str, *, forget: bool, discard: int | None) -> None:
        replica = self._replicas.get(name)
        await self.driver.ask(
            lambda request: inputs.LogOutRequested(
                request, name, forget, remove=True, discard=discard
            )
        )
        if replica is not None:
            await replica.aclose()
        await self._user_files.delete_removed()

    def history(self, user: User | None = None) -> Sequence[Transition]:
        """Return the moves of the sessions on this device that are kept, oldest first; no secrets."""
        return self._opened().store.history(None if user is None else user.id)

    # --- for users and replicas ------------------------------------------------------------------

    @property
    def driver(self) -> Driver:
        """The driver of the App, which answers to nobody once it is closed; raises `Closed`."""
        if self._driver is None:
            self._opened()
            raise AssertionError
        return self._driver

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop on which the App was opened; raises `Closed`."""
        if self._loop is None:
            self._opened()
            raise AssertionError
        return self._loop

    async def adopt_guest(self, user: User) -> Mapping[str, Counts]:
        """Take over the guest's rows for a user whose replica is open; `User.adopt` calls this."""
        replica = self._replicas.get(user.id)
        if replica is None:
            what, remedy = (
                "the user's replica is not open",
                "Open it with the tables of the guest's",
            )
            raise InvalidConfig(what, setting="user", remedy=remedy)
        if self._guest is not None:
            await self._guest.aclose()
            self._guest = None
        guest = Owner(self.config.base_url, self.config.app_id, None)
        return await replica.adopt(self.config.data_dir, guest, hold_file)

    def session_of(self, user_id: str) -> SessionState:
        """Return where a user's session stands."""
        return self.driver.engine.session(user_id)

    def status_of(self, user_id: str) -> Status:
        """Return a frozen picture of a user's session and sync."""
        self.account_of(user_id)
        return self.driver.engine.status(user_id)

    def account_of(self, user_id: str) -> Account:
        """Return what the engine knows of a user who is known."""
        account = self.driver.engine.account(user_id)
        if account is None:  # removed, a moment ago
            raise removed_error()
        return account

    @property
    def accounts(self) -> AccountService:
        """What the server offers besides tokens; raises `NotSupported`."""
        accounts = self._opened().accounts
        if accounts is None:
            what = "the identity provider of this App has no such calls"
            raise NotSupported(what, remedy="Do it where the identity provider does it")
        return accounts

    @property
    def _user_files(self) -> UserFiles:
        return UserFiles(self.config, self._opened())

    def _publish(self, event: Event) -> None:
        if isinstance(event, UserRemoved):
            removed = self._users.pop(event.user_id, None)
            if removed is not None:
                removed.die()
            replica = self._replicas.get(event.user_id)
            if replica is not None:
                self.driver.spawn(self._leave(replica, elsewhere=event.elsewhere))
        self._announcer.publish(event)

    async def _leave(self, replica: OpenReplica, *, elsewhere: bool) -> None:
        """Close the replica of one who was removed; whoever did it elsewhere could not delete the file."""
        await replica.aclose()
        if elsewhere:
            await self._user_files.delete_removed()

    def _user(self, user_id: str) -> User:
        return self._users.setdefault(user_id, User(self, user_id))

    def _known(self, user: User) -> User:
        """Return a user of this App; raises `NotLoggedInError`, `UserRemovedError`."""
        if getattr(user, "removed", False):
            raise removed_error()
        if self._users.get(getattr(user, "id", "")) is not user:
            what, why = "this user is not one of this App", "another App, or another run, has it"
            raise NotLoggedInError(what, why=why, remedy="Use what log_in or current_user returned")
        return user

    def _opened(self) -> Parts:
        if self._closed:
            what = "this App was closed"
            raise Closed(what, remedy="Make a new App")
        if self._parts is None:
            what = "this App is not open"
            raise Closed(what, remedy="Use `async with app:` or `await app.open()`")
        return self._parts
