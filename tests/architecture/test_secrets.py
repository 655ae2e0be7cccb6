"""What holds the text of a token or a password cannot print it (I10)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.support.source import module_name, package_files

TELLING = re.compile(r"(^|_)(token|password|secret)$|^(access|refresh)_(token|text)$")
PLAIN = {"str", "bytes", "str | None", "bytes | None"}


def test_texts_of_tokens_and_passwords_are_hidden() -> None:
    """A field that holds such a text is a `Secret`, or its class shows it in no `repr`."""
    shown = {
        f"{module}: {owner.name}.{field.target.id}"
        for module, owner in _classes()
        for field in owner.body
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and TELLING.search(field.target.id)
        and ast.unparse(field.annotation) in PLAIN
        and not _is_hidden(owner, field)
    }

    assert shown == set()


def _classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for path in package_files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield module_name(path), node


def _is_hidden(owner: ast.ClassDef, field: ast.AnnAssign) -> bool:
    own_repr = any(
        isinstance(each, ast.FunctionDef) and each.name == "__repr__" for each in owner.body
    )
    left_out = field.value is not None and "repr=False" in ast.unparse(field.value)
    return own_repr or left_out
