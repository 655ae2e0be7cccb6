"""
Reading typed settings out of one section of a TOML file, naming the setting in every refusal.

A section is read setting by setting and then finished: what was not read is a misspelt or unknown
setting and is refused. This module must never know which settings exist.
"""

from __future__ import annotations

from typing import Any

from syncauth.errors import InvalidConfig


def refusal(setting: str, why: str, remedy: str) -> InvalidConfig:
    """Return the error for a setting, named as the user writes it: `section.name`."""
    return InvalidConfig(
        f"the setting {setting} cannot be used", setting=setting, why=why, remedy=remedy
    )


class Section:
    """One table of a TOML file, or of none: then every setting has its default."""

    def __init__(self, name: str, values: object) -> None:
        """Take the table as `tomllib` read it.

        Raises:
            InvalidConfig: it is not a table.
        """
        if not isinstance(values, dict):
            why = f"it is {_kind(values)}, not a table"
            raise refusal(name, why, f"Write it as [{name}]")
        self.name = name
        self._left: dict[str, Any] = dict(values)

    def text(self, name: str, default: str | None = None) -> str:
        """Read a text that is not empty; without a default it must be there."""
        value = self._take(name, default)
        if not isinstance(value, str) or not value.strip():
            raise self._refuse(name, f"it is {_kind(value)}", "Give it a text that is not empty")
        return value

    def optional_text(self, name: str) -> str | None:
        """Read a text that is not empty, or None where the setting is absent."""
        return self.text(name) if name in self._left else None

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """Read one of the allowed words; the first is the default."""
        value = self._take(name, allowed[0])
        if value not in allowed:
            words = " or ".join(f'"{word}"' for word in allowed)
            raise self._refuse(name, f"it is {value!r}", f"Give it {words}")
        return str(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """Read true or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self._refuse(
                name, f"it is {_kind(value)}", "Give it true or false, without quotes"
            )
        return value

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """Read a whole number from `low` to `high`, both allowed."""
        value = self._take(name, default)
        allowed = f"The allowed range is {low} to {high}"
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._refuse(name, f"it is {_kind(value)}, not a whole number", allowed)
        if not low <= value <= high:
            raise self._refuse(name, f"it is {value}", allowed)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a list of texts without repetition; absent means empty."""
        value = self._take(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self._refuse(name, f"it is {_kind(value)}", "Give it a list of texts")
        if len(set(value)) != len(value):
            raise self._refuse(name, "it names something twice", "Name each once")
        return tuple(value)

    def names(self) -> list[str]:
        """Return the names of the settings that have not been read, in the order of the file."""
        return list(self._left)

    def has(self, name: str) -> bool:
        """Whether a setting is there and has not been read."""
        return name in self._left

    def is_table(self, name: str) -> bool:
        """Whether a setting is there as a table of its own."""
        return isinstance(self._left.get(name), dict)

    def table(self, name: str) -> object:
        """Take what stands under a name, to be read as a section of its own; absent means empty."""
        return self._left.pop(name, {})

    def subsections(self) -> list[Section]:
        """Read every table within this one, in the order of the file."""
        taken = [Section(f"{self.name}.{name}", value) for name, value in self._left.items()]
        self._left.clear()
        return taken

    def finish(self) -> None:
        """Refuse what was not read.

        Raises:
            InvalidConfig: a setting that this section does not have.
        """
        for name in self._left:
            raise self._refuse(name, "there is no such setting", "Correct its name or remove it")

    def _take(self, name: str, default: Any) -> Any:
        value = self._left.pop(name, default)
        if value is None:
            raise self._refuse(name, "it is missing", f"Add it to the section [{self.name}]")
        return value

    def _refuse(self, name: str, why: str, remedy: str) -> InvalidConfig:
        return refusal(f"{self.name}.{name}" if self.name else name, why, remedy)


def _kind(value: object) -> str:
    """Say what a TOML value is, without showing it: it may be a secret in the wrong place."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number", dict: "a table"}
    if isinstance(value, str):
        return "a text" if value.strip() else "an empty text"
    return kinds.get(type(value), "a list" if isinstance(value, list) else "a date or time")
