"""
Whether a request was sent by a page of another site, for calls that may be decided by a cookie.

A browser adds the cookies of a site to requests that pages of others make. What it says about where a request comes
from no page can forge: `Sec-Fetch-Site` (W3C Fetch Metadata) and `Origin` (RFC 6454 section 7). The order in which they
are looked at is that of `http.CrossOriginProtection` of Go. This module must never look at a cookie.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from syncauth.server.accounts.answers import Denied

CROSS_SITE = Denied(
    403, "CrossSiteRequest", "pages of this site may not sign in here: see login.trusted_origins"
)


def is_cross_site(headers: Mapping[str, str], trusted_origins: Collection[str]) -> bool:
    """Tell whether a page of another origin, which the team does not trust, has sent the request.

    A request without either header is not from a browser of our days, and carries no cookie but its sender's own.
    Hosts alone are compared where there is `Origin` only: behind a proxy the scheme is not known.
    """
    origin = headers.get("origin", "").lower()
    if origin and origin in trusted_origins:
        return False
    site = headers.get("sec-fetch-site", "")
    if site:
        return site not in {"same-origin", "none"}
    if not origin:
        return False
    try:
        return urlsplit(origin).netloc != headers.get("host", "").lower()
    except ValueError:
        return True
