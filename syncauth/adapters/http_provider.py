"""
The token calls of an App Services compatible server: logging in, renewing, revoking.

How a call is made is `http_calls`' matter, what an answer means that of `http_judgement`. This
module must never send a refresh or a login twice, never log, and never raise an exception that
holds a token or a password.
"""

from __future__ import annotations

from dataclasses import replace

from syncauth.adapters.http_answers import JSON, Answer, Malformed
from syncauth.adapters.http_calls import Call, HttpCalls
from syncauth.adapters.http_credentials import encode, login_body, login_path, secrets_of
from syncauth.adapters.http_judgement import judge_refresh, judge_revoke, refusal
from syncauth.adapters.http_readings import read_login, read_profile
from syncauth.errors import InsecureServer, SyncAuthError, UnexpectedAnswer
from syncauth.models import Credentials, Login, Misconfigured, RefreshAnswer, Secret


class HttpProvider:
    """`IdentityProvider` over HTTP; its constructor does no I/O."""

    def __init__(self, calls: HttpCalls) -> None:
        """Take what makes the calls; `aclose` closes it."""
        self._calls = calls

    @property
    def name(self) -> str:
        """Name the issuer: the server and the app."""
        return f"{self._calls.config.base_url} {self._calls.config.app_id}"

    @property
    def repeat_safe(self) -> bool:
        """A bundled server repeats its answer for the same refresh id; App Services never rotates."""
        return True

    async def log_in(self, credentials: Credentials) -> Login:
        """Open a rotating session, and read the profile; both share one deadline.

        Raises:
            CredentialsRefused: a person must type them again.
            ServerUnreachable, ServerBusy: time will tell.
            UnexpectedAnswer, InsecureServer: the server is not what it should be.
            Closed: the calls were closed.
        """
        path, body = login_path(self._calls.app, credentials), login_body(credentials, rotate=True)
        until = self._calls.deadline()
        answer = await self._calls.ask(Call("POST", path, body=body), until)
        if not isinstance(answer, Answer) or not answer.granted or answer.media_type != JSON:
            raise refusal(answer, secrets=secrets_of(credentials))
        try:
            login = read_login(answer)
        except Malformed as error:
            raise _unusable(answer, error) from None
        complete = await self._with_profile(login, until)
        if isinstance(complete, Login):
            return complete
        # A session whose profile cannot be had is ended again.
        await self._calls.ask(Call("DELETE", "/auth/session", login.tokens.refresh), until)
        raise complete

    async def _with_profile(self, login: Login, until: float) -> Login | SyncAuthError:
        tokens = login.tokens
        answer = await self._calls.ask(Call("GET", "/auth/profile", tokens.access), until)
        if not isinstance(answer, Answer) or not answer.granted or answer.media_type != JSON:
            return refusal(answer, secrets=(tokens.access,))
        try:
            return replace(login, profile=read_profile(answer, login.user_id))
        except Malformed as error:
            return _unusable(answer, error)

    async def refresh(self, refresh_token: Secret, refresh_id: str) -> RefreshAnswer:
        """Renew the pair; the same `refresh_id` may be sent again at any time.

        Raises:
            Closed: the calls were closed.
        """
        call = Call("POST", "/auth/session", refresh_token, encode({"refresh_id": refresh_id}))
        try:
            outcome = await self._calls.ask(call)
        except InsecureServer as error:
            return Misconfigured(str(error))
        return judge_refresh(outcome, refresh_token)

    async def revoke(self, refresh_token: Secret) -> bool:
        """End the session; True when the server confirmed it or does not know it.

        Raises:
            Closed: the calls were closed.
        """
        try:
            outcome = await self._calls.ask(Call("DELETE", "/auth/session", refresh_token))
        except InsecureServer:
            return False
        return judge_revoke(outcome)

    async def aclose(self) -> None:
        """Close the connections; idempotent. What is under way ends as unanswered."""
        await self._calls.aclose()


def _unusable(answer: Answer, error: Malformed) -> UnexpectedAnswer:
    what = "the server's answer to the login cannot be used"
    remedy = "Check that the URL is that of a syncauth or App Services server"
    return UnexpectedAnswer(what, status=answer.status, why=error.why, remedy=remedy)
