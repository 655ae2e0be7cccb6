"""
How the user of another issuer is named: as an identity, as a session, and as something that was denied.

Whoever comes with a token of another issuer has no session here. What stands in its place names the user and
(issuer, subject), so that whoever asks for the status of a session is answered about both. It also says how often
the user had been logged out: what was opened before the last time is over. What is asked of a store about subjects
stands here, too. This module must never touch one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from syncauth.server.settings.issuers import PROVIDERS

CUSTOM_TOKEN: Final = "custom-token"  # noqa: S105 - the provider's name in App Services
FOREIGN: Final = PROVIDERS
"""The types of identities that tokens of other issuers prove. Whatever holds of one type holds of all."""

_PREFIX: Final = "subject:"  # no id of a session has a colon


@dataclass(frozen=True, slots=True)
class DeniedSubject:
    """A subject of an issuer that is kept out, since when (wall clock)."""

    issuer: str
    subject: str
    since: float


def subject_name(issuer: str, subject: str) -> str:
    """Return the name of the identity, unique within each of `FOREIGN`."""
    return msgspec.json.encode([issuer, subject]).decode()


def subject_key(name: str) -> bytes:
    """Return the hash under which a name is kept where the name itself must not stay."""
    return hashlib.sha256(name.encode()).digest()


def subject_session(user_id: str, name: str, logouts: int = 0) -> str:
    """Return what stands in the place of a session's id, for a user who was logged out so many times."""
    return f"{_PREFIX}{user_id}:{logouts}:{name}"


def read_subject_session(session_id: str) -> tuple[str, str, int] | None:
    """Return user id, name and logouts of what `subject_session` made; None for the id of a session."""
    if not session_id.startswith(_PREFIX):
        return None
    user_id, logouts, name = session_id.removeprefix(_PREFIX).split(":", 2)
    return user_id, name, int(logouts)


def is_same_subject(session_id: str, other: str) -> bool:
    """Tell whether both stand for one user and subject, before and after a logout."""
    one, two = read_subject_session(session_id), read_subject_session(other)
    return one is not None and two is not None and one[:2] == two[:2]


class SubjectStore(Protocol):
    """What an account store keeps of the subjects of other issuers; see `AccountStore`."""

    def session_of_subject(self, user_id: str, name: str) -> str:
        """Return what stands for a session that the subject begins now as this user; see `subject_session`."""
        ...

    def deny_subject(self, issuer: str, subject: str, now: float) -> tuple[str, ...]:
        """Keep (issuer, subject) out, known or not, and end the sessions it opened with its tokens.

        Returns the ids of those sessions and what stands for one of its own: sockets that bear one
        of these are to be cut. A second denial changes nothing.
        """
        ...

    def allow_subject(self, issuer: str, subject: str) -> bool:
        """Let a subject in again that was denied, or whose user was removed; False if neither was."""
        ...

    def denied_subjects(self) -> tuple[DeniedSubject, ...]:
        """Return all that are denied, by issuer and subject; not those of users who were removed."""
        ...
