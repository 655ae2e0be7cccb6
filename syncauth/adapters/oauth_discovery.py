"""
Where the endpoints of an issuer are: told by its metadata, or by hand.

Metadata are OpenID Connect Discovery 1.0 or RFC 8414. They count only if they name exactly the
issuer that was asked, and tokens go only over https, or to loopback. This module must never do I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final
from urllib.parse import urlsplit

import msgspec

from syncauth.adapters.oauth_answers import Answer, Malformed, decode_json
from syncauth.config import check_server, is_loopback
from syncauth.errors import InsecureServer, InvalidConfig

LONGEST_URL: Final = 2000


@dataclass(frozen=True, slots=True)
class OAuthEndpoints:
    """The addresses of one issuer; "" where it has none.

    `iss_in_redirect` tells that every redirect to the app names the issuer (RFC 9207), so that one
    without it is refused.
    """

    token_endpoint: str
    authorization_endpoint: str = ""
    device_authorization_endpoint: str = ""
    revocation_endpoint: str = ""
    userinfo_endpoint: str = ""
    jwks_uri: str = ""
    iss_in_redirect: bool = False


class _Metadata(msgspec.Struct, frozen=True):
    issuer: str
    token_endpoint: str = ""
    authorization_endpoint: str = ""
    device_authorization_endpoint: str = ""
    revocation_endpoint: str = ""
    userinfo_endpoint: str = ""
    jwks_uri: str = ""
    authorization_response_iss_parameter_supported: bool = False


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Return where the metadata may be: OpenID Connect's place, then that of RFC 8414 section 3."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    origin = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
    )


def read_endpoints(answer: Answer, issuer: str) -> OAuthEndpoints:
    """Read metadata, and check them.

    Raises:
        Malformed: they have not the shape, or are those of another issuer.
        InsecureServer: an endpoint is where tokens must not go.
    """
    told = decode_json(answer, _Metadata)
    if told.issuer != issuer:
        raise Malformed("the metadata are those of another issuer than the one configured")
    if not told.token_endpoint:
        raise Malformed("the metadata name no token endpoint")
    endpoints = OAuthEndpoints(
        token_endpoint=told.token_endpoint,
        authorization_endpoint=told.authorization_endpoint,
        device_authorization_endpoint=told.device_authorization_endpoint,
        revocation_endpoint=told.revocation_endpoint,
        userinfo_endpoint=told.userinfo_endpoint,
        jwks_uri=told.jwks_uri,
        iss_in_redirect=told.authorization_response_iss_parameter_supported,
    )
    try:
        check_endpoints(endpoints, issuer)
    except InvalidConfig as error:
        raise Malformed(f"an endpoint of the metadata cannot be used: {error.what}") from None
    return endpoints


def check_endpoints(endpoints: OAuthEndpoints, issuer: str) -> None:
    """Accept addresses as safe as the issuer's own.

    Raises:
        InvalidConfig: one is no address.
        InsecureServer: one is plain http and not loopback, or plain http below an https issuer, or
            a loopback issuer names another machine.
    """
    for each in fields(endpoints):
        url = getattr(endpoints, each.name)
        if isinstance(url, str) and url:
            check_endpoint(url, issuer)


def check_endpoint(url: str, issuer: str) -> None:
    """Check one address; raises as `check_endpoints`."""
    place = url.partition("?")[0]  # RFC 6749 section 3.1 allows a query
    if len(url) > LONGEST_URL:
        raise InvalidConfig("an endpoint is too long", setting="endpoints", remedy="Shorten it")
    check_server(place)
    own, there = urlsplit(issuer), urlsplit(place)
    remedy = "Ask whoever runs the issuer"
    if own.scheme == "https" and there.scheme != "https":
        why = "the issuer is https, one of its endpoints http"
        raise InsecureServer("an endpoint of the issuer was refused", why=why, remedy=remedy)
    if is_loopback(own.hostname or "") and not is_loopback(there.hostname or ""):
        why = "a loopback issuer names another machine"
        raise InsecureServer("an endpoint of the issuer was refused", why=why, remedy=remedy)
