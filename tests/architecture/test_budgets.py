"""Nothing grows beyond what one can read in one go, and every module says what it is for."""

from __future__ import annotations

import ast

from tests.support.source import files, package_files, shown

MODULE_LINES = 400
FUNCTION_LINES = 60


def test_modules_are_short() -> None:
    """No Python file, tests included, has more than 400 lines."""
    long = {
        shown(path): count
        for path in files(".py")
        if (count := len(path.read_text("utf-8").splitlines())) > MODULE_LINES
    }

    assert long == {}


def test_functions_are_short() -> None:
    """No function, tests included, has more than 60 lines, its docstring counted."""
    long = {}
    for path in files(".py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    long[f"{shown(path)}:{node.name}"] = lines

    assert long == {}


def test_modules_tell_their_purpose() -> None:
    """Every module of the package opens with a docstring."""
    silent = [
        shown(path)
        for path in package_files()
        if ast.get_docstring(ast.parse(path.read_text("utf-8"))) is None
    ]

    assert silent == []


def test_tests_say_what_must_hold() -> None:
    """Every test has a docstring; fixtures and helpers are told by their names."""
    silent = [
        f"{shown(path)}:{node.name}"
        for path in files(".py")
        if path.name.startswith("test_")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and ast.get_docstring(node) is None
    ]

    assert silent == []
