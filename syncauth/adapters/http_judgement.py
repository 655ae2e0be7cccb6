"""
What an answer of the App Services HTTP API means for a session, a login or a revocation.

A session ends by proof alone: a 401 in the error JSON of App Services that names one of a few
codes. A bare 401 or 403, a redirect, HTML or an empty 200 is a proxy or a captive portal speaking,
and judges nothing. This module must never do I/O, and never put a token or a password into a text.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from syncauth.adapters.http_answers import (
    JSON,
    Answer,
    Denial,
    Malformed,
    NoLocation,
    Outcome,
    Silence,
    read_denial,
)
from syncauth.adapters.http_readings import read_tokens
from syncauth.errors import (
    CredentialsRefused,
    FunctionFailed,
    ServerBusy,
    ServerUnreachable,
    SyncAuthError,
    UnexpectedAnswer,
)
from syncauth.interfaces import AccessRejected
from syncauth.models import (
    Deferred,
    Misconfigured,
    RefreshAnswer,
    Refused,
    ReloginReason,
    Renewed,
    Secret,
)
from syncauth.sansio.tokens import claims_of

LONGEST_TEXT: Final = 200
_ENDS_A_SESSION: Final = {
    "InvalidSession": ReloginReason.REVOKED,
    "UserDisabled": ReloginReason.USER_DISABLED,
    "UserNotFound": ReloginReason.USER_REMOVED,
}
_TOLD: Final = {reason.value: reason for reason in ReloginReason}
_HEADER_LOST: Final = "no bearer token"
"""What the bundled server says when a proxy on the way dropped the Authorization header."""

APP_NOT_FOUND: Final = "AppNotFound"
_MISCONFIGURED: Final = frozenset({APP_NOT_FOUND, "BadRequest"})

UNKNOWN: Final = "AppUnknownError"
"""The code where the server gives a text alone, as App Services' own clients call it."""

_OF_A_SESSION: Final = "invalid session"
_TOKEN_NOT_TAKEN: Final = frozenset({"unauthorized", "signature is invalid"})
"""What App Services says without a code when it does not take a token."""


def judge_refresh(outcome: Outcome, presented: Secret) -> RefreshAnswer:
    """Judge the answer to a refresh; `presented` stays valid where the server does not rotate."""
    if isinstance(outcome, Silence):
        return Deferred(outcome.why, online=outcome.online, sent=outcome.sent)
    if isinstance(outcome, NoLocation):
        return _judge_no_location(outcome.answer)
    answer = outcome
    if answer.granted:
        return _judge_granted(answer, presented)
    denial = read_denial(answer)
    if denial is None:
        return _defer(answer, doubtful=is_doubtful(answer))
    if answer.status == HTTPStatus.UNAUTHORIZED:
        reason = _proven_end(denial)
        if reason is not None:
            return Refused(reason, f"the server says {denial.code}")
        return _defer(answer, doubtful=True)
    if denial.code in _MISCONFIGURED:
        return Misconfigured(f"the server refuses the request itself: {denial.code}")
    return _defer(answer, doubtful=answer.status == HTTPStatus.FORBIDDEN and not denial.code)


def _judge_granted(answer: Answer, presented: Secret) -> RefreshAnswer:
    try:
        pair = read_tokens(answer, presented)
        named = claims_of(pair.access).get("sub")
        return Renewed(pair, named if isinstance(named, str) else None)
    except Malformed as error:
        return Deferred(error.why, doubtful=answer.media_type != JSON)


def _judge_no_location(answer: Answer) -> RefreshAnswer:
    denial = read_denial(answer)
    if denial is not None and denial.code == APP_NOT_FOUND:
        return Misconfigured("the server does not know this app; check the app id and URL")
    return _defer(answer, doubtful=is_doubtful(answer), sent=False)


def _proven_end(denial: Denial) -> ReloginReason | None:
    """Return why the session has ended, or None if this is no proof that it has."""
    if denial.code not in _ENDS_A_SESSION or _HEADER_LOST in denial.text:
        return None
    if denial.code != "InvalidSession":
        return _ENDS_A_SESSION[denial.code]
    return _TOLD.get(denial.reason, ReloginReason.REVOKED)


def judge_revoke(outcome: Outcome) -> bool:
    """Tell whether a revocation is done: confirmed, or the session is proven to be no more."""
    if not isinstance(outcome, Answer):
        return False
    if outcome.granted:
        return confirms(outcome)
    denial = read_denial(outcome)
    if denial is None or outcome.status != HTTPStatus.UNAUTHORIZED:
        return False
    return _proven_end(denial) is not None


def confirms(outcome: Outcome) -> bool:
    """Tell whether the server itself says that something is done that has no result.

    An empty 200 is what a captive portal gives; the API's empty answer is a 204.
    """
    if not isinstance(outcome, Answer) or not outcome.granted:
        return False
    return outcome.status == HTTPStatus.NO_CONTENT or outcome.media_type == JSON


def is_doubtful(answer: Answer) -> bool:
    """Tell whether only something in between answers so: no error JSON, and no failing server."""
    if answer.status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
        return True
    overloaded = answer.status == HTTPStatus.TOO_MANY_REQUESTS
    return answer.status < HTTPStatus.INTERNAL_SERVER_ERROR and not overloaded


def _defer(answer: Answer, *, doubtful: bool, sent: bool = True) -> Deferred:
    why = f"the answer was {answer.status}, which is no judgement on the session"
    return Deferred(why, retry_after=answer.retry_after, doubtful=doubtful, sent=sent)


def refusal(outcome: Outcome, *, secrets: tuple[Secret, ...] = ()) -> SyncAuthError:
    """Return the error to raise for a login or another call that was not granted.

    What the server says is quoted, unless it repeats one of `secrets`.
    """
    if isinstance(outcome, Silence):
        what, remedy = "the server could not be reached", "Try again when there is a network"
        return ServerUnreachable(what, why=outcome.why, remedy=remedy)
    answer = outcome.answer if isinstance(outcome, NoLocation) else outcome
    denial = read_denial(answer)
    status = answer.status
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return ServerBusy("the server is busy", retry_after=answer.retry_after)
    if denial is None and is_doubtful(answer):
        why = f"HTTP {status} without the error JSON of the App Services API"
        if answer.media_type == JSON:
            what = "this is no syncauth or App Services server"
            return UnexpectedAnswer(what, status=status, why=why, remedy="Check the URL")
        what = "something else than the server answered"
        remedy = "Look for a sign-in page of the network, or check the URL"
        return ServerUnreachable(what, why=why, remedy=remedy)
    if denial is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        what = f"the server failed with HTTP {status}"
        return ServerBusy(what, retry_after=answer.retry_after)
    why = _quote(denial.text, secrets)
    if denial.code == APP_NOT_FOUND:
        what = "the server does not know this app"
        return UnexpectedAnswer(what, status=status, why=why, remedy="Check the app id and URL")
    if isinstance(outcome, NoLocation):
        return UnexpectedAnswer("the server does not tell its location", status=status, why=why)
    return CredentialsRefused(code=_quote(denial.code, secrets) or UNKNOWN, why=why)


def token_refusal(
    outcome: Outcome, *, secrets: tuple[Secret, ...] = (), linking: bool = False
) -> SyncAuthError | AccessRejected:
    """Return what to raise for a call with a token that was not granted.

    `AccessRejected` where the server itself does not take the token, which a bare 401 does not
    say. While `linking`, a code may be about the credentials, and only the text tells.
    """
    if not isinstance(outcome, Answer):
        return refusal(outcome, secrets=secrets)
    denial = read_denial(outcome)
    if denial is not None and outcome.status == HTTPStatus.UNAUTHORIZED:
        if _HEADER_LOST in denial.text:
            what, why = "the server could not be reached as it should be", "the token was lost"
            remedy = "Look for a proxy that drops the header Authorization"
            return ServerUnreachable(what, why=why, remedy=remedy)
        about_a_session = denial.code in _ENDS_A_SESSION
        if linking:
            about_a_session = denial.text.lower().startswith(_OF_A_SESSION)
        if about_a_session or (not denial.code and denial.text.lower() in _TOKEN_NOT_TAKEN):
            return AccessRejected("the server does not take this token")
    return refusal(outcome, secrets=secrets)


def function_refusal(
    name: str, outcome: Outcome, secrets: tuple[Secret, ...]
) -> SyncAuthError | AccessRejected:
    """Return what to raise for a call of the function `name` that gave no result."""
    error = token_refusal(outcome, secrets=secrets)
    if isinstance(outcome, Silence) and outcome.sent:
        what, why = "the server did not answer", f"{outcome.why}; the function may have run"
        return ServerUnreachable(what, why=why, remedy="Look at what it does before a repetition")
    if not isinstance(outcome, Answer):
        return error
    denial = read_denial(outcome)
    if denial is None:
        return error
    # The function's own failure is told as such, whatever status it comes with.
    if not denial.code.startswith("Function") and not isinstance(error, CredentialsRefused):
        return error
    code, why = _quote(denial.code, secrets) or UNKNOWN, _quote(denial.text, secrets)
    return FunctionFailed(name=name, code=code, status=outcome.status, why=why)


def _quote(text: str, secrets: tuple[Secret, ...]) -> str:
    """Return what the server said, bounded, or nothing if it repeats a secret."""
    if any(secret.reveal() in text for secret in secrets if secret.reveal()):
        return ""
    return "".join(sign for sign in text if sign.isprintable())[:LONGEST_TEXT]
