"""The tree of errors is drawn as it is."""

from __future__ import annotations

import re

from syncauth import errors


def test_the_drawn_tree_is_the_class_tree() -> None:
    """The docstring of `syncauth.errors` shows every class under its base, and no other."""
    drawn, path = set(), []
    for indent, name in re.findall(r"^([│├└─ ]*)(\w+)$", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent) // 4
        path[depth:] = [name]
        drawn.add((path[depth - 1] if depth else "Exception", name))
    real = {
        (each.__base__.__name__, name)
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, Exception)
    }

    assert drawn == real
