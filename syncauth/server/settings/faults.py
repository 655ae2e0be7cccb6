"""
All faults of one configuration, gathered while it is read, so that an operator mends them in one go.

Of each setting only the first fault is kept: what is found later about it follows from the first. This module must
never know which settings exist.
"""

from __future__ import annotations

from collections.abc import Iterable

from syncauth.errors import ConfigFault, InvalidConfig


def refusal_of(faults: Iterable[ConfigFault], path: str = "") -> InvalidConfig:
    """Return one error for all these faults, of which there is at least one, in the order of their lines.

    Its text has a line `path:line: setting: why. remedy` for each.
    """
    ordered = sorted(faults, key=lambda fault: fault.line or 0)
    text = "\n".join(told(fault, path) for fault in ordered)
    return InvalidConfig(text, setting=ordered[0].setting or "--config", faults=ordered)


def told(fault: ConfigFault, path: str = "") -> str:
    """Return a fault as one line."""
    line = "" if fault.line is None else str(fault.line)
    place = ":".join(part for part in (path, line) if part)
    words = ": ".join(part for part in (place, fault.setting, fault.why) if part)
    return f"{words}. {fault.remedy}" if fault.remedy else words


class Faults:
    """What has been found wrong so far."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._found: dict[str, ConfigFault] = {}

    def add(self, setting: str, why: str, remedy: str) -> None:
        """Note a fault, unless the setting has one already."""
        self._found.setdefault(setting, ConfigFault(setting, why, remedy))

    def take(self, error: InvalidConfig) -> None:
        """Note the faults of an error that was raised."""
        for fault in error.faults:
            self._found.setdefault(fault.setting, fault)

    def has(self, setting: str) -> bool:
        """Tell whether a fault of this setting is known."""
        return setting in self._found

    def all(self) -> tuple[ConfigFault, ...]:
        """Return the faults in the order in which they were found."""
        return tuple(self._found.values())

    def check(self) -> None:
        """Refuse the configuration if there is any fault.

        Raises:
            InvalidConfig: with all faults.
        """
        if self._found:
            raise refusal_of(self._found.values())
