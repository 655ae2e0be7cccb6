"""
Signed tokens with ES256 and nothing else, as fast as they go: JWS in the compact form (RFC 7515 section 7.1).

The server signs two tokens and verifies one for every refresh; a library for all algorithms spends more time on the
choice than on the signature. What is accepted is what `joserfc` accepts, in canonical base64url only. The algorithm
stands here: what a header says can only make a token invalid (RFC 8725 section 3.1). This module must never read a
clock, look into claims, or show a token's text in an error.
"""

from __future__ import annotations

import binascii
import functools
from collections.abc import Callable
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey

ALGORITHM: Final = "ES256"
_ECDSA: Final = ec.ECDSA(SHA256())
_HALF: Final = 32
"""Bytes of either number of a signature (RFC 7518 section 3.4)."""

_TO_BASE64: Final = bytes.maketrans(b"-_", b"+/")
_TO_BASE64URL: Final = bytes.maketrans(b"+/", b"-_")

FindKey = Callable[[str | None], ECKey | None]
"""Returns the key that a header's `kid` names, None if none is to be accepted."""


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None
    crit: Any = None
    b64: Any = None


def sign(claims: dict[str, Any], key: ECKey, kid: str) -> str:
    """Return the claims as a token signed with a private key on P-256.

    Raises:
        ValueError: the key is not private.
    """
    private = key.private_key
    if private is None:
        message = "a public key signs nothing"
        raise ValueError(message)
    signed = _header(kid) + b"." + _encode(msgspec.json.encode(claims))
    r, s = utils.decode_dss_signature(private.sign(signed, _ECDSA))
    signature = r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")
    return (signed + b"." + _encode(signature)).decode()


def verified(text: str, find_key: FindKey) -> bytes | None:
    """Return the payload if the signature is that of the key that is found for the header, else None."""
    signed, _, signature = text.encode("ascii", "replace").rpartition(b".")
    header, _, payload = signed.partition(b".")
    try:
        key = find_key(_kid(header))
        numbers, content = _decode(signature), _decode(payload)
        if key is None or len(numbers) != 2 * _HALF:
            return None
        r, s = int.from_bytes(numbers[:_HALF], "big"), int.from_bytes(numbers[_HALF:], "big")
        key.public_key.verify(utils.encode_dss_signature(r, s), signed, _ECDSA)
    except (InvalidSignature, msgspec.MsgspecError, ValueError, RecursionError):
        return None  # what exactly is wrong is of use to a forger only
    return content


@functools.lru_cache(maxsize=16)
def _header(kid: str) -> bytes:
    """Return the header of what is signed with a key of that id."""
    return _encode(msgspec.json.encode({"typ": "JWT", "alg": ALGORITHM, "kid": kid}))


@functools.lru_cache(maxsize=64)
def _kid(header: bytes) -> str | None:
    """Return the id that a header names.

    Raises:
        MsgspecError, ValueError: it is none of ours; extensions must not be ignored (RFC 7515 section 4.1.11).
    """
    read = msgspec.json.decode(_decode(header), type=_Header)
    if read.alg != ALGORITHM or read.crit is not None or read.b64 is not None:
        raise ValueError
    return read.kid


def _encode(content: bytes) -> bytes:
    encoded = binascii.b2a_base64(content, newline=False)
    return encoded.translate(_TO_BASE64URL).rstrip(b"=")


def _decode(text: bytes) -> bytes:
    """Decode base64url without padding (RFC 7515 section 2).

    Raises:
        ValueError: it is not, or not in the one form that encoding gives.
    """
    content = binascii.a2b_base64(text.translate(_TO_BASE64) + b"=" * (-len(text) % 4))
    if _encode(content) != text:
        raise ValueError
    return content
