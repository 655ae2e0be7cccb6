"""What is in this repository, for tests that judge it: files, modules, imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_MADE_BY_TOOLS = {"build", "dist", "__pycache__", "htmlcov"}
_HIDDEN_AND_OURS = {".ci", ".github", ".gitignore", ".editorconfig"}


def files(suffix: str = "") -> Iterator[Path]:
    """Yield every file of the repository whose name ends with `suffix`, none made by tools."""
    for path in sorted(ROOT.rglob(f"*{suffix}")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in _HIDDEN_AND_OURS for part in parts)
        made = any(part in _MADE_BY_TOOLS or part.endswith(".egg-info") for part in parts)
        if path.is_file() and not hidden and not made:
            yield path


def shown(path: Path) -> str:
    """Name a file as a reader of the repository does."""
    return path.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Import:
    """`module` imports `name` (or, `from` it, `member`)."""

    module: str
    name: str
    member: str | None = None

    @property
    def library(self) -> str:
        """The first part of what is imported."""
        return self.name.partition(".")[0]


def package_files() -> list[Path]:
    """Return the modules of the package."""
    return [path for path in files(".py") if path.relative_to(ROOT).parts[0] == "syncauth"]


def module_name(path: Path) -> str:
    """Return the dotted name of a module of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports() -> Iterator[Import]:
    """Yield every import of the package, also those inside functions and for annotations only."""
    for path in package_files():
        module = module_name(path)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from (Import(module, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                yield from (Import(module, node.module, alias.name) for alias in node.names)
