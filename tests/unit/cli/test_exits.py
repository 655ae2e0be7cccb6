"""Every error has an exit code, by who must act."""

from __future__ import annotations

import pytest

from syncauth import errors
from syncauth.cli.exits import Exit, code_of, gravest

GROUPS = {
    errors.UsageError: Exit.USAGE,
    errors.AuthError: Exit.PERSON,
    errors.UnreachableError: Exit.UNREACHABLE,
    errors.ProtocolError: Exit.UNREACHABLE,
    errors.SyncError: Exit.PERSON,
    errors.StorageError: Exit.STORAGE,
}


@pytest.mark.parametrize("group", GROUPS)
def test_groups_have_their_codes(group: type[errors.SyncAuthError]) -> None:
    """Whatever is below a group ends with its code, but for a server that may not be used."""
    kinds = {group, *group.__subclasses__()} - {errors.InsecureServer}

    for kind in kinds:
        assert code_of(kind.__new__(kind)) is GROUPS[group]
    assert code_of(errors.InsecureServer("no")) is Exit.USAGE
    assert set(GROUPS) == set(errors.SyncAuthError.__subclasses__())


def test_gravest_comes_first() -> None:
    """Storage before a person before the network; nothing is all well."""
    assert gravest([Exit.UNREACHABLE, Exit.PERSON, Exit.STORAGE]) is Exit.STORAGE
    assert gravest([Exit.UNREACHABLE, Exit.OK, Exit.PERSON]) is Exit.PERSON
    assert gravest([Exit.OK, Exit.UNREACHABLE]) is Exit.UNREACHABLE
    assert gravest([]) is Exit.OK
