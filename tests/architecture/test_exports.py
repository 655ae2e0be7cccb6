"""The public names are those of `__all__`, no more and no fewer."""

from __future__ import annotations

from types import ModuleType

import syncauth


def test_all_lists_every_public_name() -> None:
    """`__all__` holds every name that is not private, and of the modules `blocking` alone."""
    public = {
        name
        for name, value in vars(syncauth).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }

    assert set(syncauth.__all__) == public | {"blocking"}
    assert len(syncauth.__all__) == len(set(syncauth.__all__))


def test_public_names_are_documented() -> None:
    """Whatever is exported says what it is."""
    silent = [name for name in syncauth.__all__ if not getattr(syncauth, name).__doc__]

    assert silent == []
