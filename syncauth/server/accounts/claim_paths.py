r"""
Claims of a token by name or path, and whether they have a required value.

A name is looked for as it stands first, since many claims are URLs with dots in them; then as a path, "a.b", into
nested objects, where a dot of a name is written `\.`, as App Services has it. This module must never judge whether a
token is genuine: it is given claims that are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from syncauth.server.settings.issuers import Scalar

ABSENT: Final = object()
"""What `find_claim` returns for a claim that is not there; a claim may be null."""

_DOT: Final = re.compile(r"(?<!\\)\.")


def find_claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return the claim of that name or path, or `ABSENT`."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for step in (each.replace("\\.", ".") for each in _DOT.split(name)):
        if not isinstance(found, Mapping) or step not in found:
            return ABSENT
        found = found[step]
    return found


def has_required(claims: Mapping[str, Any], name: str, allowed: tuple[Scalar, ...]) -> bool:
    """Tell whether the claim is, or as a list holds, one of the allowed values; none allows any.

    `scope` is a list that is written as one text (RFC 9068 section 2.2.3).
    """
    found = find_claim(claims, name)
    if found is ABSENT or found is None:
        return False
    if not allowed:
        return True
    if name == "scope" and isinstance(found, str):
        found = found.split(" ")
    values = found if isinstance(found, list) else [found]
    # Of the same type as well: to Python true is 1.
    return any(type(value) is type(want) and value == want for value in values for want in allowed)
