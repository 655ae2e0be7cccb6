"""
What an answer of an OAuth 2.0 server means for a session, a login or a revocation.

A session ends by proof alone: the error JSON of RFC 6749 section 5.2 with `invalid_grant`, or a
shape that the app listed for its server. A bare 401 or 403, a redirect, HTML or an empty 200 is a
proxy or a captive portal speaking, and judges nothing. This module must never do I/O, and never put
a token or a password into a text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Final

from syncauth.adapters.oauth_answers import (
    Answer,
    Denial,
    Granted,
    Malformed,
    Outcome,
    Silence,
    quote,
    read_denial,
    read_tokens,
)
from syncauth.errors import (
    CredentialsRefused,
    InvalidConfig,
    ServerBusy,
    ServerUnreachable,
    SyncAuthError,
    UnexpectedAnswer,
)
from syncauth.models import (
    Deferred,
    Misconfigured,
    RefreshAnswer,
    Refused,
    ReloginReason,
    Renewed,
    Secret,
)

INVALID_GRANT: Final = "invalid_grant"
MISCONFIGURED: Final = {
    "invalid_client": "client_id",
    "invalid_request": "scopes",
    "invalid_scope": "scopes",
    "unauthorized_client": "client_id",
    "unsupported_grant_type": "credentials",
    "unsupported_response_type": "credentials",
}
"""The codes of RFC 6749 sections 4.1.2.1 and 5.2 that no login cures, with the setting to look at."""

_BUSY: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_REASONS: Final = (
    # Keycloak, TokenManager and RefreshTokenGrantType
    ("refresh token reuse exceeded", ReloginReason.REUSE_DETECTED),
    ("user disabled", ReloginReason.USER_DISABLED),
    # Microsoft Entra ID, reference of AADSTS codes
    ("aadsts50057", ReloginReason.USER_DISABLED),
    ("aadsts50034", ReloginReason.USER_REMOVED),
    ("aadsts50173", ReloginReason.REVOKED),
)
"""What descriptions of known servers prove; any other `invalid_grant` is an end like any other."""

Shapes = Collection[tuple[int, str]]
"""Pairs of a status and an error code by which one server refuses; the code "" is an empty body."""


WhoseTokens = Callable[[Granted], str | None]
"""Tells the user id of what was granted, None where it does not say."""


def judge_refresh(
    outcome: Outcome, presented: Secret, also_refused: Shapes, whose: WhoseTokens
) -> RefreshAnswer:
    """Judge the answer to a refresh; `presented` stays valid where the server does not rotate."""
    if isinstance(outcome, Silence):
        return Deferred(outcome.why, online=outcome.online, sent=outcome.sent)
    denial = read_denial(outcome)
    if is_listed(outcome, denial, also_refused):
        code = denial.code if denial else "nothing"
        why = f"the server says {quote(code, (presented,))} with {outcome.status}"
        return Refused(ReloginReason.EXPIRED, f"{why}, which is listed as its refusal")
    if outcome.granted:
        return _judge_granted(outcome, presented, whose)
    if denial is None or not _is_judging(outcome):
        return _defer(outcome, doubtful=is_doubtful(outcome))
    if denial.code == INVALID_GRANT:
        return Refused(_reason(denial), "the server says invalid_grant")
    if denial.code in MISCONFIGURED:
        return Misconfigured(f"the issuer refuses the request itself: {denial.code}")
    return _defer(outcome, doubtful=False)


def _judge_granted(answer: Answer, presented: Secret, whose: WhoseTokens) -> RefreshAnswer:
    try:
        granted = read_tokens(answer)
        return Renewed(granted.pair(presented), whose(granted))
    except Malformed as error:
        return Deferred(error.why, doubtful=not answer.is_json)


def is_listed(answer: Answer, denial: Denial | None, shapes: Shapes) -> bool:
    """Tell whether an answer is one of the listed shapes."""
    if denial is not None:
        return (answer.status, denial.code) in shapes
    return not answer.body and (answer.status, "") in shapes


def _is_judging(answer: Answer) -> bool:
    """Tell whether the status is one by which a server judges a request, and not its own state."""
    client_error = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return client_error and answer.status != HTTPStatus.TOO_MANY_REQUESTS


def _reason(denial: Denial) -> ReloginReason:
    text = denial.text.lower()
    return next((reason for words, reason in _REASONS if words in text), ReloginReason.EXPIRED)


def is_doubtful(answer: Answer) -> bool:
    """Tell whether only something in between answers so: no error JSON, and no failing server."""
    if answer.status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
        return True
    overloaded = answer.status == HTTPStatus.TOO_MANY_REQUESTS
    return answer.status < HTTPStatus.INTERNAL_SERVER_ERROR and not overloaded


def _defer(answer: Answer, *, doubtful: bool) -> Deferred:
    why = f"the answer was {answer.status}, which is no judgement on the session"
    return Deferred(why, retry_after=answer.retry_after, doubtful=doubtful)


def judge_revoke(outcome: Outcome) -> bool:
    """Tell whether a revocation is done (RFC 7009 section 2.2).

    Done is a 200 that is no page of HTML, also for a token that the server does not know; and a
    denial that says so.
    """
    if isinstance(outcome, Silence):
        return False
    if outcome.granted:
        return outcome.is_json or not outcome.body.strip()
    denial = read_denial(outcome)
    known = ("invalid_grant", "invalid_token")
    return denial is not None and _is_judging(outcome) and denial.code in known


def refusal(outcome: Outcome, *, secrets: tuple[Secret, ...] = ()) -> SyncAuthError:
    """Return the error to raise for a request of a login that was not granted.

    What the server says is quoted, unless it repeats one of `secrets`.
    """
    if isinstance(outcome, Silence):
        what, remedy = "the issuer could not be reached", "Try again when there is a network"
        return ServerUnreachable(what, why=outcome.why, remedy=remedy)
    denial = read_denial(outcome)
    status = outcome.status
    overloaded = status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    if overloaded or (denial is not None and denial.code in _BUSY):
        return ServerBusy("the issuer is busy", retry_after=outcome.retry_after)
    if denial is None and is_doubtful(outcome):
        why = f"HTTP {status} without the error JSON of OAuth 2.0"
        if outcome.is_json:
            remedy = "Check the issuer and its endpoints"
            return UnexpectedAnswer(
                "this is no OAuth 2.0 server", status=status, why=why, remedy=remedy
            )
        remedy = "Look for a sign-in page of the network, or check the issuer"
        return ServerUnreachable("something else than the issuer answered", why=why, remedy=remedy)
    if denial is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerBusy(f"the issuer failed with HTTP {status}", retry_after=outcome.retry_after)
    return denied(denial, secrets)


def denied(denial: Denial, secrets: tuple[Secret, ...] = ()) -> SyncAuthError:
    """Return the error to raise for a denial of a login, however it came."""
    code, why = quote(denial.code, secrets) or "unknown_error", quote(denial.text, secrets)
    if code in _BUSY:
        return ServerBusy("the issuer is busy", retry_after=None, why=why)
    if code in MISCONFIGURED:
        what = f"the issuer refuses the request itself: {code}"
        remedy = "Compare the settings with what is registered at the issuer"
        return InvalidConfig(what, setting=MISCONFIGURED[code], why=why, remedy=remedy)
    return CredentialsRefused(code=code, why=why)
