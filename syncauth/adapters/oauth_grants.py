"""
The grants by which a person logs in: authorization code, device authorization, password.

Each ends with the answer of the token endpoint and the nonce that its ID token must hold, or raises
why the person is not logged in. This module must never keep a code, a verifier or a password beyond
its grant, and never put one into a text.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec

from syncauth.adapters.oauth_answers import (
    Answer,
    Denial,
    Malformed,
    Outcome,
    Silence,
    decode_json,
    read_denial,
)
from syncauth.adapters.oauth_credentials import LONGEST_LOGIN_SECONDS, DevicePrompt
from syncauth.adapters.oauth_discovery import OAuthEndpoints, check_endpoint
from syncauth.adapters.oauth_judgement import INVALID_GRANT, Shapes, denied, is_listed, refusal
from syncauth.adapters.oauth_loopback import Loopback
from syncauth.errors import (
    CredentialsRefused,
    InsecureServer,
    InvalidConfig,
    NotSupported,
    UnexpectedAnswer,
    WaitTimedOut,
)
from syncauth.models import Secret

DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL_SECONDS: Final = 5.0
"""RFC 8628 section 3.2 where the server tells none, and section 3.5 for each slow_down."""

LONGEST_INTERVAL_SECONDS: Final = 60.0
RANDOM_BYTES: Final = 32

_T = TypeVar("_T")
Redeemed = tuple[Answer, str | None]
"""The granting answer of the token endpoint, and the nonce of this login if it has one."""


@dataclass(frozen=True, slots=True)
class Grants:
    """What the grants share; `post` sends a form, the client's own name and secret added."""

    issuer: str
    client_id: str
    scope: str
    endpoints: OAuthEndpoints
    post: Callable[[str, dict[str, str]], Awaitable[Outcome]]
    sleep: Callable[[float], Awaitable[object]]
    random: Callable[[int], bytes]
    login_refused: Shapes = ()

    async def by_code(
        self, open_url: Callable[[str], Any], *, port: int, wait: float, parameters: dict[str, str]
    ) -> Redeemed:
        """Log in by a browser (RFC 6749 section 4.1, RFC 7636, RFC 8252)."""
        if not self.endpoints.authorization_endpoint:
            raise _not_offered("no login by the browser")
        verifier, state, nonce = (_text(self.random(RANDOM_BYTES)) for _ in range(3))
        digest = hashlib.sha256(verifier.encode()).digest()
        async with Loopback(port=port, state=state) as loopback:
            query = self._authorization(loopback.redirect_uri, state, nonce, _text(digest))
            joint = "&" if "?" in self.endpoints.authorization_endpoint else "?"
            url = f"{self.endpoints.authorization_endpoint}{joint}{urlencode(query | parameters)}"
            try:
                async with asyncio.timeout(wait):
                    told = await _beside(_call(open_url, url, "open"), loopback.redirected())
            except TimeoutError:
                what = "the login in the browser was not finished"
                why = "no redirect with the right state came back"
                raise WaitTimedOut(what, waited=wait, why=why, remedy="Log in again") from None
        form = {
            "grant_type": "authorization_code",
            "code": self._code(told),
            "redirect_uri": loopback.redirect_uri,
            "code_verifier": verifier,
        }
        outcome = await self.post(self.endpoints.token_endpoint, form)
        answer = _granted(outcome, secrets=(Secret(form["code"]), Secret(verifier)))
        return answer, nonce if "openid" in self.scope.split() else None

    def _authorization(
        self, redirect_uri: str, state: str, nonce: str, challenge: str
    ) -> dict[str, str]:
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if self.scope:
            query["scope"] = self.scope
        if "openid" in self.scope.split():
            query["nonce"] = nonce
            if "offline_access" in self.scope.split():
                query["prompt"] = "consent"  # OpenID Connect Core 1.0, section 11
        return query

    def _code(self, told: dict[str, str]) -> str:
        """Return the code of a redirect, whose state is right, if this issuer sent it."""
        named = told.get("iss", "" if self.endpoints.iss_in_redirect else self.issuer)
        if named != self.issuer:  # RFC 9207: a mix-up would carry the code to another server
            what, why = "the redirect was refused", "it does not come from the issuer asked"
            raise UnexpectedAnswer(what, status=0, why=why, remedy="Log in again")
        if "error" in told:
            raise denied(Denial(told["error"], told.get("error_description", "")))
        if not told.get("code"):
            raise UnexpectedAnswer("the redirect brought no code", status=0, remedy="Log in again")
        return told["code"]

    async def by_device(self, show: Callable[[DevicePrompt], Any]) -> Redeemed:
        """Log in by a browser on another device (RFC 8628)."""
        if not self.endpoints.device_authorization_endpoint:
            raise _not_offered("no login by another device")
        form = {"scope": self.scope} if self.scope else {}
        answer = _granted(await self.post(self.endpoints.device_authorization_endpoint, form))
        try:
            told = decode_json(answer, _Device)
            prompt = told.prompt()
            check_endpoint(prompt.verification_uri, self.issuer)
            if prompt.complete_uri:
                check_endpoint(prompt.complete_uri, self.issuer)
        except (Malformed, InvalidConfig, InsecureServer) as error:
            what = "the answer to the device authorization cannot be used"
            raise UnexpectedAnswer(what, status=answer.status, why=str(error)) from None
        try:
            async with asyncio.timeout(prompt.expires_in):
                polling = self._poll(Secret(told.device_code), max(1.0, told.interval))
                return await _beside(_call(show, prompt, "show"), polling), None
        except TimeoutError:
            what, waited = "the code was not entered in time", prompt.expires_in
            raise WaitTimedOut(what, waited=waited, remedy="Log in again") from None

    async def _poll(self, code: Secret, interval: float) -> Answer:
        """Ask until the person has decided."""
        form = {"grant_type": DEVICE_CODE, "device_code": code.reveal()}
        pause = interval
        while True:
            await self.sleep(pause)
            outcome = await self.post(self.endpoints.token_endpoint, form)
            if isinstance(outcome, Silence):
                pause = interval = min(interval * 2, LONGEST_INTERVAL_SECONDS)  # section 3.5
                continue
            denial = read_denial(outcome)
            if outcome.granted and outcome.is_json and denial is None:
                return outcome
            if denial is not None and denial.code == "slow_down":
                interval += INTERVAL_SECONDS
            elif denial is None or denial.code != "authorization_pending":
                failure = refusal(outcome, secrets=(code,))
                if isinstance(failure, (CredentialsRefused, InvalidConfig)):
                    raise failure
                interval = min(interval * 2, LONGEST_INTERVAL_SECONDS)
            pause = max(interval, outcome.retry_after or 0.0)

    async def by_password(self, username: str, password: Secret) -> Redeemed:
        """Log in with a password (RFC 6749 section 4.3)."""
        form = {"grant_type": "password", "username": username, "password": password.reveal()}
        if self.scope:
            form["scope"] = self.scope
        outcome = await self.post(self.endpoints.token_endpoint, form)
        if isinstance(outcome, Answer) and is_listed(
            outcome, read_denial(outcome), self.login_refused
        ):
            why = f"the answer {outcome.status} is listed as this server's refusal"
            raise CredentialsRefused(code=INVALID_GRANT, why=why)
        return _granted(outcome, secrets=(password,)), None


class _Device(msgspec.Struct, frozen=True):
    device_code: str
    user_code: str
    expires_in: float
    verification_uri: str = ""
    verification_url: str = ""  # a draft's name, which Google kept
    verification_uri_complete: str = ""
    interval: float = INTERVAL_SECONDS

    def __repr__(self) -> str:
        return "_Device(…)"

    def prompt(self) -> DevicePrompt:
        """Return what to show; a life beyond all patience is cut."""
        where = self.verification_uri or self.verification_url
        life = min(self.expires_in, 3 * LONGEST_LOGIN_SECONDS)
        if not life > 0 or not self.user_code.isprintable():
            raise Malformed("the code to show is none")
        return DevicePrompt(self.user_code, where, self.verification_uri_complete, life)


def _granted(outcome: Outcome, *, secrets: tuple[Secret, ...] = ()) -> Answer:
    if isinstance(outcome, Answer) and outcome.granted and outcome.is_json:
        denial = read_denial(outcome)
        if denial is None:
            return outcome
        raise denied(denial, secrets)
    raise refusal(outcome, secrets=secrets)


def _not_offered(what: str) -> NotSupported:
    remedy = "Use another grant, or give the endpoint by hand"
    return NotSupported(f"the issuer offers {what}", remedy=remedy)


async def _call(function: Callable[[Any], Any], value: object, setting: str) -> None:
    """Call what the app gave: a coroutine function here, any other in a thread.

    Raises:
        InvalidConfig: it raised, or returned False.
    """
    try:
        if inspect.iscoroutinefunction(function):
            result = await function(value)
        else:
            result = await asyncio.to_thread(function, value)
    except Exception as error:  # noqa: BLE001 - the app's own code may raise anything
        what, why = f"the callable given as {setting!r} failed", type(error).__name__
        raise InvalidConfig(what, setting=setting, why=why, remedy="Mend it") from None
    if result is False:
        what, remedy = "there is no browser here", "Log in by another device"
        raise InvalidConfig(what, setting=setting, remedy=remedy)


async def _beside(side: Coroutine[Any, Any, None], main: Coroutine[Any, Any, _T]) -> _T:
    """Run both; the end of `main` ends the other, and what either raises is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            other = group.create_task(side)
            result = await main
            other.cancel()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return result


def _text(octets: bytes) -> str:
    """Write bytes as RFC 7636 appendix A does."""
    return urlsafe_b64encode(octets).decode().rstrip("=")
