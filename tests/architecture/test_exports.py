"""The public names are those of `__all__`, no more and no fewer."""

from __future__ import annotations

from types import ModuleType

import syncauth


def test_all_lists_every_public_name() -> None:
    """`__all__` is sorted and holds every name that is neither private nor a module."""
    public = {
        name
        for name, value in vars(syncauth).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }

    assert list(syncauth.__all__) == sorted(syncauth.__all__, key=str.casefold)
    assert set(syncauth.__all__) == public
    assert {"App", "Credentials", "new_id"} <= public


def test_public_names_are_documented() -> None:
    """Whatever is exported says what it is."""
    silent = [name for name in syncauth.__all__ if not getattr(syncauth, name).__doc__]

    assert silent == []
