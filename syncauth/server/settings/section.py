"""
Reading typed settings out of one section of a TOML file, noting every fault under the setting's name.

A section is read setting by setting and then finished: what was not read is a misspelt or unknown setting. A setting
with a fault is read as its default, so that the rest is looked at as well. This module must never know which settings
exist.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Final

from syncauth.errors import InvalidConfig
from syncauth.server.settings.faults import Faults

_LONG: Final = 10**18
_WORD: Final = 40
"""Characters; a longer text in the place of a word is not repeated."""


def refusal(setting: str, why: str, remedy: str) -> InvalidConfig:
    """Return the error for a setting, named as the user writes it: `section.name`."""
    return InvalidConfig(
        f"the setting {setting} cannot be used", setting=setting, why=why, remedy=remedy
    )


class Section:
    """One table of a TOML file, or of none: then every setting has its default."""

    def __init__(self, name: str, values: object, faults: Faults) -> None:
        """Take the table as `tomllib` read it; what is no table is one fault, and read as an empty one.

        None stands for a required section that is not there.
        """
        self.name = name
        self._faults = faults
        self._known: list[str] = []
        self._whole = isinstance(values, dict)
        self._left: dict[str, Any] = dict(values) if isinstance(values, dict) else {}
        if values is None:
            faults.add(name, "the section is missing", f"Add [{name}]")
        elif not self._whole:
            faults.add(name, f"it is {_kind(values)}, not a table", f"Write it as [{name}]")

    def refuse(self, name: str | None, why: str, remedy: str) -> None:
        """Note a fault of one setting, or with None of the section itself."""
        if self._whole:
            self._faults.add(self._full(name), why, remedy)

    def sound(self, *names: str) -> bool:
        """Tell whether none of these settings has a fault: only then can they be compared with others."""
        return not any(self._faults.has(self._full(name)) for name in names)

    def text(self, name: str, default: str | None = None) -> str:
        """Read a text that is not empty; without a default it must be there."""
        value = self._take(name, default)
        if value is None:
            return ""
        if not isinstance(value, str) or not value.strip():
            self.refuse(name, f"it is {_kind(value)}", "Give it a text that is not empty")
            return default or ""
        return value

    def optional_text(self, name: str) -> str | None:
        """Read a text that is not empty, or None where the setting is absent."""
        self._known.append(name)
        return (self.text(name) or None) if name in self._left else None

    def path(self, name: str, folder: Path) -> Path | None:
        """Read the path of a file, relative to `folder`, or None where the setting is absent."""
        text = self.optional_text(name)
        if text is not None and "\0" in text:
            self.refuse(name, "it holds a character that no path has", "Give it the path of a file")
            return None
        return None if text is None else folder / text

    def secret(self, name: str, folder: Path) -> tuple[str, Path | None]:
        """Read where a secret is: `<name>_env`, an environment variable, or `<name>_file`, relative to `folder`.

        Empty and None where neither is given; both is a fault.
        """
        env, file = self.optional_text(f"{name}_env") or "", self.path(f"{name}_file", folder)
        if env and file is not None:
            remedy = f"Give exactly one of {name}_env and {name}_file"
            self.refuse(f"{name}_file", f"{name}_env is given as well", remedy)
        return env, file

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """Read one of the allowed words; the first is the default."""
        value = self._take(name, allowed[0])
        if value not in allowed:
            words = " or ".join(f'"{word}"' for word in allowed)
            short = isinstance(value, str) and len(value) <= _WORD
            told = f'"{value}"' if short else _kind(value)
            self.refuse(name, f"it is {told}", f"Give it {words}")
            return allowed[0]
        return str(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """Read true or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            self.refuse(name, f"it is {_kind(value)}", "Give it true or false, without quotes")
            return default
        return value

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """Read a whole number from `low` to `high`, both allowed."""
        value = self._take(name, default)
        allowed = f"The allowed range is {low} to {high}"
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, f"it is {_kind(value)}, not a whole number", allowed)
            return default
        if not low <= value <= high:
            # A number of thousands of digits is not written out.
            self.refuse(name, f"it is {value if abs(value) < _LONG else 'far outside'}", allowed)
            return default
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a list of texts without repetition; absent means empty."""
        value = self._take(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.refuse(name, f"it is {_kind(value)}", "Give it a list of texts")
            return ()
        if len(set(value)) != len(value):
            self.refuse(name, "it names something twice", "Name each once")
        return tuple(value)

    def scalars(self, name: str) -> tuple[str | int | bool, ...]:
        """Read a text, a whole number or a truth value, or a list of these."""
        value = self._take(name, [])
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, (str, int, bool)) for each in values):
            remedy = "Give a text, a whole number, true or false, or a list of these"
            self.refuse(name, "it is no value to compare with", remedy)
            return ()
        return tuple(values)

    def names(self) -> list[str]:
        """Return the names of the settings that have not been read, in the order of the file."""
        return list(self._left)

    def has(self, name: str) -> bool:
        """Whether a setting is there and has not been read."""
        return name in self._left

    def is_table(self, name: str) -> bool:
        """Whether a setting is there as a table of its own."""
        return isinstance(self._left.get(name), dict)

    def section(self, name: str, *, required: bool = False) -> Section:
        """Take the table under a name as a section of its own; absent means empty, unless it is required."""
        self._known.append(name)
        return Section(
            self._full(name), self._left.pop(name, None if required else {}), self._faults
        )

    def subsections(self) -> list[Section]:
        """Take every table within this one, in the order of the file."""
        return [self.section(name) for name in self.names()]

    def finish(self) -> None:
        """Note what was not read: settings that this section does not have."""
        for name in self._left:
            near = difflib.get_close_matches(name, self._known, 1)
            remedy = f"Did you mean {near[0]}?" if near else "Correct its name or remove it"
            self.refuse(name, "there is no such setting", remedy)
        self._left.clear()

    def _take(self, name: str, default: Any) -> Any:
        self._known.append(name)
        value = self._left.pop(name, default)
        if value is None:
            self.refuse(name, "it is missing", f"Add it to the section [{self.name}]")
        return value

    def _full(self, name: str | None) -> str:
        if name is None:
            return self.name
        return f"{self.name}.{name}" if self.name else name


def _kind(value: object) -> str:
    """Say what a TOML value is, without showing it: it may be a secret in the wrong place."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number", dict: "a table"}
    if isinstance(value, str):
        return "a text" if value.strip() else "an empty text"
    return kinds.get(type(value), "a list" if isinstance(value, list) else "a date or time")
