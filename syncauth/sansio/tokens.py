"""
Reading a JWT's claims without judging it, and planning when an access token is to be renewed.

The client never verifies a signature and never decides by `exp` that a token has ended: only the
server does. What is planned here counts monotonic seconds since the receipt of a life that was
told.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec

from syncauth.errors import InvalidToken
from syncauth.models import Secret

MARGIN_MIN_SECONDS: Final = 10.0
MARGIN_MAX_SECONDS: Final = 300.0
MARGIN_SHARE: Final = 0.2
DEMAND_ONLY_BELOW_SECONDS: Final = 2.0
_JWT_PARTS: Final = 3


def margin(life: float) -> float:
    """Return how many seconds before its end a token of this life (seconds) is to be renewed.

    The larger of 10 s and a fifth of the life, but at most 5 minutes and never more than half the
    life.
    """
    wanted = max(MARGIN_MIN_SECONDS, MARGIN_SHARE * life)
    return min(wanted, MARGIN_MAX_SECONDS, life / 2)


def refresh_at(received: float, life: float) -> float | None:
    """Return the monotonic second of the planned refresh.

    None for a life so short that only demand renews.
    """
    if life < DEMAND_ONLY_BELOW_SECONDS:
        return None
    return received + life - margin(life)


def claims_of(token: Secret) -> dict[str, Any]:
    """Return the payload of a JWT (RFC 7519 section 3), its signature unverified.

    Raises:
        InvalidToken: it has not three parts, an empty signature, no JSON object inside, or no
            numeric `exp` and `iat`. The token's text is in neither the message nor the cause.
    """
    parts = token.reveal().split(".")
    if len(parts) != _JWT_PARTS or not parts[2]:
        raise _invalid("it has not three parts with a signature")
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        payload = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError, RecursionError):
        raise _invalid("its payload is not base64url JSON") from None
    if not isinstance(payload, dict):
        raise _invalid("its payload is not a JSON object")
    for name in ("exp", "iat"):
        if type(payload.get(name)) not in (int, float):
            raise _invalid(f"its claim {name} is not a number")
    return payload


def _invalid(why: str) -> InvalidToken:
    remedy = "Check that the server is a syncauth or App Services server"
    return InvalidToken("the server gave a token that is no JWT", why=why, remedy=remedy)
