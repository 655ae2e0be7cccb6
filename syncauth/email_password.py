"""
What has to do with accounts of email and password, before anybody is logged in to one.

The asynchronous verbs, and the same for programs without asyncio. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from syncauth.interfaces import AccountService
from syncauth.loop_thread import LoopThread


class EmailPassword:
    """Registration, confirmation and resetting of passwords; made by `App.email_password` alone.

    All raise `CredentialsRefused` with the server's code, `UnreachableError`, `ProtocolError`, and
    `NotSupported` where the identity provider of the App has no such calls.
    """

    def __init__(self, accounts: Callable[[], AccountService]) -> None:
        """Ask for the service when it is needed."""
        self._accounts = accounts

    async def register(self, email: str, password: str) -> None:
        """Make an account; raises `AccountNameInUse` as well."""
        await self._accounts().register(email, password)

    async def confirm(self, token: str, token_id: str) -> None:
        """Confirm an account by the two texts of its mail."""
        await self._accounts().confirm(token, token_id)

    async def resend_confirmation(self, email: str) -> None:
        """Have the mail of the confirmation sent again."""
        await self._accounts().resend_confirmation(email)

    async def retry_confirmation(self, email: str) -> None:
        """Have the server's function for confirmations called again."""
        await self._accounts().retry_confirmation(email)

    async def send_reset(self, email: str) -> None:
        """Have the mail sent by which a password can be reset."""
        await self._accounts().send_reset(email)

    async def reset_password(self, token: str, token_id: str, password: str) -> None:
        """Set a new password by the two texts of the mail."""
        await self._accounts().reset_password(token, token_id, password)

    async def call_reset_function(self, email: str, password: str, *arguments: Any) -> None:
        """Have the server's function for resets called."""
        await self._accounts().call_reset_function(email, password, arguments)


class BlockingEmailPassword:
    """The same verbs, waited for."""

    def __init__(self, thread: LoopThread, verbs: EmailPassword) -> None:
        """Made by `blocking.App.email_password` alone."""
        self._thread = thread
        self._verbs = verbs

    def register(self, email: str, password: str) -> None:
        """Make an account; raises `AccountNameInUse` as well."""
        self._thread.call(self._verbs.register(email, password))

    def confirm(self, token: str, token_id: str) -> None:
        """Confirm an account by the two texts of its mail."""
        self._thread.call(self._verbs.confirm(token, token_id))

    def resend_confirmation(self, email: str) -> None:
        """Have the mail of the confirmation sent again."""
        self._thread.call(self._verbs.resend_confirmation(email))

    def retry_confirmation(self, email: str) -> None:
        """Have the server's function for confirmations called again."""
        self._thread.call(self._verbs.retry_confirmation(email))

    def send_reset(self, email: str) -> None:
        """Have the mail sent by which a password can be reset."""
        self._thread.call(self._verbs.send_reset(email))

    def reset_password(self, token: str, token_id: str, password: str) -> None:
        """Set a new password by the two texts of the mail."""
        self._thread.call(self._verbs.reset_password(token, token_id, password))

    def call_reset_function(self, email: str, password: str, *arguments: Any) -> None:
        """Have the server's function for resets called."""
        self._thread.call(self._verbs.call_reset_function(email, password, *arguments))
