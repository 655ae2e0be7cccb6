"""
Email addresses confirmed and passwords reset, by mail or by the team's function.

Asking for a mail is answered alike for known and unknown addresses, and does the same work for both. A token is 256
random bits, kept as its hash, good once and for a while. A reset ends all sessions of the user. This module must
never let a token or a password into a text, but the mail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from syncauth.errors import ServerBusy, WaitTimedOut
from syncauth.interfaces import Clock, Randomness
from syncauth.models import Secret
from syncauth.server.accounts import answers
from syncauth.server.accounts.answers import Denied
from syncauth.server.accounts.issuer import token_hash
from syncauth.server.accounts.mail import Post
from syncauth.server.accounts.pace import Pace
from syncauth.server.accounts.passwords import Passwords
from syncauth.server.accounts.sessions import Sessions
from syncauth.server.settings.config import ServerConfig
from syncauth.server.stores.interface import AccountStore, EmailPurpose, EmailToken
from syncauth.server.stores.thread import StoreThread
from syncauth.server.team.extensions import EmailRequest, Extensions, Mail
from syncauth.server.team.runner import Runner

EMAIL_PASSWORD: Final = "local-userpass"  # noqa: S105 - the provider's name in App Services
LONGEST_EMAIL: Final = 254
PASSWORD_LENGTHS: Final = range(6, 129)
SUBJECTS: Final = {
    EmailPurpose.CONFIRM: "Confirm your email address",
    EmailPurpose.RESET: "Reset your password",
}


class Emails:
    """Confirmation and reset for one app. Its methods run on the event loop."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        store: AccountStore,
        thread: StoreThread,
        sessions: Sessions,
        passwords: Passwords,
        post: Post,
        runner: Runner,
        extensions: Extensions,
        pace: Pace,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        """Take the parts; all calls to `store` are made in `thread`."""
        self._config = config
        self._store = store
        self._thread = thread
        self._sessions = sessions
        self._passwords = passwords
        self._post = post
        self._runner = runner
        self._extensions = extensions
        self._pace = pace
        self._clock = clock
        self._randomness = randomness

    async def begin(self, email: str, user_id: str) -> Denied | None:
        """Let the address of a new account be confirmed, as the settings say."""
        mode = self._config.email.confirmation
        if mode == "automatic":
            return None
        if mode == "mail":
            await self._send(EmailPurpose.CONFIRM, email, known=True)
            return None
        status = await self._ask_to_confirm(email)
        if status == "fail" or isinstance(status, Denied):
            await self._thread.run(self._store.remove_user, user_id, self._clock.wall())
            failed = answers.bad_request("failed to confirm user")
            return status if isinstance(status, Denied) else failed
        return None

    async def confirm(self, token: Secret, token_id: str, address: str) -> Denied | None:
        """Confirm the address that the token was sent to."""
        if slowed := self._pace.guess(address):
            return slowed
        now = self._clock.wall()
        done = await self._thread.run(self._store.confirm_email, token_id, token_hash(token), now)
        if not done:
            return answers.INVALID_TOKEN_DATA
        self._pace.guessed(address)
        return None

    async def send_confirmation(self, email: str, address: str) -> Denied | None:
        """Send the confirmation again; what comes of it only the mailbox tells."""
        if self._config.email.confirmation != "mail":
            return answers.bad_request("confirmations are not sent by mail")
        if slowed := self._pace.mail(email, address):
            return slowed
        record = await self._thread.run(self._store.find_login, EMAIL_PASSWORD, email)
        known = record is not None and not record.confirmed
        await self._send(EmailPurpose.CONFIRM, email, known=known)
        return None

    async def call_confirmation(self, email: str, address: str) -> Denied | None:
        """Ask the confirmation function again."""
        if self._config.email.confirmation != "function":
            return answers.bad_request("there is no confirmation function")
        if slowed := self._pace.mail(email, address):
            return slowed
        record = await self._thread.run(self._store.find_login, EMAIL_PASSWORD, email)
        if record is None or record.confirmed:
            return None
        status = await self._ask_to_confirm(email)
        return status if isinstance(status, Denied) else None

    async def send_reset(self, email: str, address: str) -> Denied | None:
        """Send a mail with which the password can be set; nobody learns whether there is one."""
        if self._config.email.reset != "mail":
            return answers.bad_request("resets are not sent by mail")
        if slowed := self._pace.mail(email, address):
            return slowed
        record = await self._thread.run(self._store.find_login, EMAIL_PASSWORD, email)
        await self._send(EmailPurpose.RESET, email, known=record is not None)
        return None

    async def reset(
        self, token: Secret, token_id: str, password: Secret, address: str
    ) -> Denied | None:
        """Set the password of the account that the token was sent to, and end its sessions."""
        if fault := password_fault(password):
            return fault
        # Before the hashing, which is dear: an invented token costs as much as a right one.
        if slowed := self._pace.guess(address):
            return slowed
        try:
            password_hash = await self._passwords.hash(password)
        except ServerBusy as busy:
            return answers.too_many(busy.retry_after or 1)
        now = self._clock.wall()
        ended = await self._thread.run(
            lambda: self._store.reset_password(token_id, token_hash(token), password_hash, now)
        )
        if ended is None:
            return answers.INVALID_TOKEN_DATA
        self._pace.guessed(address)
        self._sessions.ended(ended)
        return None

    async def call_reset(
        self, email: str, password: Secret, arguments: list[Any], address: str
    ) -> Denied | None:
        """Ask the reset function, also about addresses that are not known."""
        function = self._extensions.reset
        if self._config.email.reset != "function" or function is None:
            return answers.bad_request("there is no reset function")
        if fault := password_fault(password):
            return fault
        if slowed := self._pace.mail(email, address):
            return slowed
        try:
            password_hash = await self._passwords.hash(password)
            record = await self._thread.run(self._store.find_login, EMAIL_PASSWORD, email)
            request = await self._request(EmailPurpose.RESET, email, known=record is not None)
            wanted = EmailRequest(
                email, request.token, request.token_id, request.known, tuple(arguments)
            )
            status = _status(await self._runner.call(function, wanted))
        except (ServerBusy, WaitTimedOut) as busy:
            return answers.too_many(getattr(busy, "retry_after", None) or 1)
        if status == "success":
            now = self._clock.wall()
            ended = await self._thread.run(self._store.set_password, email, password_hash, now)
            self._sessions.ended(ended or ())
        return answers.bad_request("failed to reset password") if status == "fail" else None

    async def _ask_to_confirm(self, email: str) -> str | Denied:
        """Call the confirmation function about an account that there is, and do as it says."""
        function = self._extensions.confirm
        if function is None:
            return answers.bad_request("there is no confirmation function")
        request = await self._request(EmailPurpose.CONFIRM, email, known=True)
        try:
            status = _status(await self._runner.call(function, request))
        except (ServerBusy, WaitTimedOut) as busy:
            return answers.too_many(getattr(busy, "retry_after", None) or 1)
        if status == "success":
            await self._thread.run(self._store.mark_confirmed, email)
        return status

    async def _send(self, purpose: EmailPurpose, email: str, *, known: bool) -> None:
        request = await self._request(purpose, email, known=known)
        if not known:
            return
        settings = self._config.email
        page = settings.confirm_url if purpose is EmailPurpose.CONFIRM else settings.reset_url
        query = urlencode({"token": request.token.reveal(), "tokenId": request.token_id})
        text = f"{SUBJECTS[purpose]}:\n\n{page}{'&' if '?' in page else '?'}{query}\n"
        self._post.send(Mail(email, SUBJECTS[purpose], text))

    async def _request(self, purpose: EmailPurpose, email: str, *, known: bool) -> EmailRequest:
        """Make and keep a token, for an unknown address too, so that the clock tells nothing."""
        token = Secret(self._randomness.token(32).hex())
        token_id = self._sessions.new_id()
        now = self._clock.wall()
        until = now + self._config.email.token_seconds
        kept = EmailToken(purpose, email[:LONGEST_EMAIL], token_id, token_hash(token), until)
        await self._thread.run(self._store.put_email_token, kept, now)
        return EmailRequest(email, token, token_id, known)


def password_fault(password: Secret) -> Denied | None:
    """Deny a password that is too short or too long."""
    if len(password.reveal()) in PASSWORD_LENGTHS:
        return None
    return answers.bad_request("password must be between 6 and 128 characters")


def _status(answer: object) -> str:
    """Read "success", "pending" or "fail", alone or as `{"status": …}`; anything else is "fail"."""
    if isinstance(answer, Mapping):
        answer = answer.get("status")
    return answer if isinstance(answer, str) and answer in {"success", "pending"} else "fail"
