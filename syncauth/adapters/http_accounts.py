"""
What a server of App Services' kind offers besides tokens: accounts, identities, keys, functions.

How a call is made is `http_calls`' matter, what an answer means that of `http_judgement`. This
module must never renew a token or repeat a call, never log, and never raise an exception that holds
a token, a password or a key.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeVar

from syncauth import ejson
from syncauth.adapters.http_answers import JSON, Answer, Malformed, Outcome, Silence
from syncauth.adapters.http_calls import Call, HttpCalls
from syncauth.adapters.http_credentials import encode, login_body, login_path, secrets_of, texts_in
from syncauth.adapters.http_judgement import (
    confirms,
    function_refusal,
    refusal,
    token_refusal,
)
from syncauth.adapters.http_readings import (
    read_key,
    read_keys,
    read_linked,
    read_profile,
    read_result,
)
from syncauth.errors import AccountNameInUse, CredentialsRefused, InvalidConfig, UnexpectedAnswer
from syncauth.models import ApiKey, Credentials, Profile, Secret
from syncauth.sansio.tokens import claims_of

LONGEST_BYTES: Final = 4_000_000
"""Of the arguments of a function, and of its result."""
FUNCTIONS_AT_ONCE: Final = 8
"""Fewer than there are connections: a slow function must never keep a token waiting."""

_KEYS: Final = "/auth/api_keys"
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_Read = TypeVar("_Read")


class HttpAccounts:
    """`AccountService` over HTTP; its constructor does no I/O, and whoever made `calls` closes it.

    Every call raises what the interface says, and `InsecureServer` where the server names a place
    where tokens must not go.
    """

    def __init__(self, calls: HttpCalls) -> None:
        """Take what makes the calls."""
        self._calls = calls
        self._turns = asyncio.Semaphore(FUNCTIONS_AT_ONCE)

    # --- accounts with email and password --------------------------------------------------------

    async def register(self, email: str, password: str) -> None:
        """Make an account.

        Raises:
            AccountNameInUse: the name is taken.
            CredentialsRefused: the server does not take this name or password.
            ServerUnreachable, ServerBusy: time will tell.
            UnexpectedAnswer, InsecureServer: the server is not what it should be.
        """
        try:
            await self._email_call("register", {"email": email, "password": password}, password)
        except CredentialsRefused as error:
            if error.code != "AccountNameInUse":
                raise
            taken = error
        else:
            return
        what, remedy = "the account cannot be made", "Log in, or take another name"
        raise AccountNameInUse(what, why=taken.why, remedy=remedy)

    async def confirm(self, token: str, token_id: str) -> None:
        """Confirm an account by what its mail held."""
        await self._email_call("confirm", {"token": token, "tokenId": token_id}, token, token_id)

    async def resend_confirmation(self, email: str) -> None:
        """Have the mail of the confirmation sent again."""
        await self._email_call("confirm/send", {"email": email})

    async def retry_confirmation(self, email: str) -> None:
        """Have the server's function for confirmations called again."""
        await self._email_call("confirm/call", {"email": email})

    async def send_reset(self, email: str) -> None:
        """Have the mail sent by which a password can be reset."""
        await self._email_call("reset/send", {"email": email})

    async def reset_password(self, token: str, token_id: str, password: str) -> None:
        """Set a new password by what the mail held."""
        body = {"token": token, "tokenId": token_id, "password": password}
        await self._email_call("reset", body, *body.values())

    async def call_reset_function(
        self, email: str, password: str, arguments: Sequence[Any]
    ) -> None:
        """Have the server's function for resets called, within the deadline for functions.

        Raises:
            InvalidDocument: an argument has no Extended JSON form.
        """
        sent = ejson.encode(list(arguments))
        body = {"email": email, "password": password, "arguments": sent}
        secrets = (password, *(each.reveal() for each in texts_in(arguments)))
        until = self._calls.deadline(self._calls.config.function_deadline)
        await self._email_call("reset/call", body, *secrets, until=until)

    async def _email_call(
        self, verb: str, body: dict[str, Any], *secrets: str, until: float | None = None
    ) -> None:
        """Make a call that carries no token and has no result; its answer is empty or JSON."""
        path = f"{self._calls.app}/auth/providers/local-userpass/{verb}"
        outcome = await self._calls.ask(Call("POST", path, body=encode(body)), until)
        granted = isinstance(outcome, Answer) and outcome.granted
        if not (granted and isinstance(outcome, Answer) and outcome.media_type in ("", JSON)):
            raise refusal(outcome, secrets=tuple(Secret(each) for each in secrets))

    # --- users -----------------------------------------------------------------------------------

    async def link(self, access: Secret, credentials: Credentials) -> None:
        """Add an identity to the user of this token.

        Raises:
            AccessRejected: the token is not taken.
            CredentialsRefused: the server does not link them; with its code.
            UnexpectedAnswer: the answer is of no use, or names another user.
        """
        user = _user_of(access)
        path = f"{login_path(self._calls.app, credentials)}?link=true"
        outcome = await self._calls.ask(Call("POST", path, access, login_body(credentials)))
        if not isinstance(outcome, Answer) or not outcome.granted or outcome.media_type != JSON:
            secrets = (*secrets_of(credentials), access)
            raise token_refusal(outcome, secrets=secrets, linking=True)
        _read(outcome, "the linking", lambda answer: read_linked(answer, user))

    async def profile(self, access: Secret) -> Profile:
        """Read what the server tells of the user of this token; raises `AccessRejected`."""
        user = _user_of(access)
        answer = await self._ask_for_json(Call("GET", "/auth/profile", access))
        return _read(answer, "the profile", lambda answer: read_profile(answer, user))

    async def delete_user(self, access: Secret) -> None:
        """Delete the user of this token at the server; raises `AccessRejected`."""
        await self._ask_to_do(Call("DELETE", "/auth/delete", access))

    # --- functions -------------------------------------------------------------------------------

    async def call_function(
        self, access: Secret, name: str, arguments: Sequence[Any], service: str | None
    ) -> Any:
        """Call a function of the server within `function_deadline`, and return its result.

        Arguments and result travel as Extended JSON (`syncauth.ejson`), at most `LONGEST_BYTES`
        each way.

        Raises:
            AccessRejected: the token is not taken; the function did not run.
            FunctionFailed: the server refused the call, or the function failed.
            ServerUnreachable: no answer; if the call was sent the function may have run.
            InvalidDocument, InvalidConfig: the arguments cannot be sent, or are too long.
            UnexpectedAnswer: the result cannot be read, or is too long.
        """
        wanted = {"name": name, "arguments": ejson.encode(list(arguments))}
        body = encode(
            wanted if service is None else wanted | {"service": service}, what="arguments"
        )
        if len(body) > LONGEST_BYTES:
            why, remedy = f"they have {len(body)} bytes", f"Send at most {LONGEST_BYTES}"
            raise InvalidConfig("too much to send", setting="arguments", why=why, remedy=remedy)
        path = f"{self._calls.app}/functions/call"
        outcome = await self._in_turn(Call("POST", path, access, body, LONGEST_BYTES))
        if isinstance(outcome, Answer) and outcome.granted:
            if outcome.status == HTTPStatus.NO_CONTENT:
                return None
            if outcome.media_type == JSON:
                # Reading a long one takes a while, in which the sockets must go on.
                return await asyncio.to_thread(_read, outcome, "the function", read_result)
        raise function_refusal(name, outcome, (*texts_in(arguments), access))

    async def _in_turn(self, call: Call) -> Outcome:
        """Make a call of a function when there is a free turn; the deadline counts from now."""
        until = self._calls.deadline(self._calls.config.function_deadline)
        try:
            async with asyncio.timeout_at(until):
                await self._turns.acquire()
        except TimeoutError:
            return Silence("too many functions are under way", sent=False)
        try:
            return await self._calls.ask(call, until)
        finally:
            self._turns.release()

    # --- API keys --------------------------------------------------------------------------------

    async def create_api_key(self, refresh: Secret, name: str) -> ApiKey:
        """Make a key, whose text is told here alone; raises `AccessRejected`."""
        body = encode({"name": name}, what="names")
        answer = await self._ask_for_json(Call("POST", _KEYS, refresh, body))
        return _read(answer, "the new key", lambda answer: read_key(answer, made=True))

    async def api_keys(self, refresh: Secret) -> Sequence[ApiKey]:
        """Return the keys of the user of this token; raises `AccessRejected`."""
        answer = await self._ask_for_json(Call("GET", _KEYS, refresh))
        return _read(answer, "the list of keys", read_keys)

    async def api_key(self, refresh: Secret, key_id: str) -> ApiKey:
        """Return one key; raises `AccessRejected`."""
        answer = await self._ask_for_json(Call("GET", _key_path(key_id), refresh))
        return _read(answer, "the key", read_key)

    async def delete_api_key(self, refresh: Secret, key_id: str) -> None:
        """Delete a key; raises `AccessRejected`."""
        await self._ask_to_do(Call("DELETE", _key_path(key_id), refresh))

    async def enable_api_key(self, refresh: Secret, key_id: str, *, enabled: bool) -> None:
        """Let a key be used, or not; raises `AccessRejected`."""
        verb = "enable" if enabled else "disable"
        await self._ask_to_do(Call("PUT", f"{_key_path(key_id)}/{verb}", refresh))

    # --- calls with a token ----------------------------------------------------------------------

    async def _ask_for_json(self, call: Call) -> Answer:
        outcome = await self._calls.ask(call)
        if isinstance(outcome, Answer) and outcome.granted and outcome.media_type == JSON:
            return outcome
        raise self._refusal(call, outcome)

    async def _ask_to_do(self, call: Call) -> None:
        outcome = await self._calls.ask(call)
        if not confirms(outcome):
            raise self._refusal(call, outcome)

    def _refusal(self, call: Call, outcome: Outcome) -> Exception:
        return token_refusal(outcome, secrets=() if call.token is None else (call.token,))


def _read(answer: Answer, what: str, reader: Callable[[Answer], _Read]) -> _Read:
    """Read an answer; raises `UnexpectedAnswer` if it has not the shape of the API."""
    try:
        return reader(answer)
    except Malformed as error:
        why = error.why
    what = f"the server's answer about {what} cannot be used"
    remedy = "Check that the URL is that of a syncauth or App Services server"
    raise UnexpectedAnswer(what, status=answer.status, why=why, remedy=remedy)


def _user_of(access: Secret) -> str:
    """Return whose token it is, as it says itself; raises `InvalidToken`."""
    return str(claims_of(access).get("sub"))


def _key_path(key_id: str) -> str:
    """Return the path of a key; what is no id never becomes a part of it."""
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        remedy = "Use the id that api_keys told"
        raise InvalidConfig("this is no id of an API key", setting="key_id", remedy=remedy)
    return f"{_KEYS}/{key_id}"
