"""
Stamps, lives, and the merge of one row's columns.

A *stamp* is the text of 16 hexadecimal digits of an HLC and the 16 of a device id; stamps compare
as text. A *life* has the same form, `lives` is one life followed by its aliases, separated by
single spaces. Both sides merge by these functions where a row meets newer columns; SQL does the
same set-wise for all other rows (`instr(lives, life)` is `same_life`). This module must never read
a clock.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from syncauth.errors import InvalidMessage

STAMP_LENGTH: Final = 32

_DIGITS: Final = 16
_STAMP: Final = re.compile(r"[0-9a-f]{32}")
_overrides_decoder: Final = msgspec.json.Decoder(dict[str, str])
_many_overrides_decoder: Final = msgspec.json.Decoder(list[dict[str, str]])
_overrides_encoder: Final = msgspec.json.Encoder(order="sorted")


def make_stamp(hlc: int, device: str) -> str:
    """Return the stamp (or the life) of an HLC and a device id of 16 hexadecimal digits."""
    return f"{hlc:016x}{device}"


def hlc_of(stamp: str) -> int:
    """Return the HLC of a stamp or life."""
    return int(stamp[:_DIGITS], 16)


def device_of(stamp: str) -> str:
    """Return the device id of a stamp or life."""
    return stamp[_DIGITS:]


def check_stamp(stamp: object) -> str:
    """Return a stamp or life that came from outside.

    Raises `InvalidMessage` unless it has the form of one.
    """
    if isinstance(stamp, str) and _STAMP.fullmatch(stamp):
        return stamp
    what = "a stamp is not 32 hexadecimal digits"
    raise InvalidMessage(what, remedy="Check that both sides speak syncauth.v1")


def check_lives(lives: object) -> str:
    """Return lives that came from outside.

    Raises `InvalidMessage` unless they have the form of lives.
    """
    if isinstance(lives, str):
        for life in lives.split(" "):
            check_stamp(life)
        return lives
    return check_stamp(lives)


def life_of(lives: str) -> str:
    """Return the life itself, without its aliases."""
    return lives[:STAMP_LENGTH]


def same_life(lives: str, life: str) -> bool:
    """Whether a life is the one of a row, be it by an alias."""
    return life in lives.split(" ")


def join_lives(one: str, other: str) -> str:
    """Return the lives of a row that two devices began.

    The smallest stays, all others are its aliases.

    The order of arrival makes no difference, nor does joining twice.
    """
    return " ".join(sorted({*one.split(" "), *other.split(" ")}))


@dataclass(frozen=True, slots=True)
class RowStamps:
    """When each column of a row was written: `base`, unless `overrides` has a stamp of its own."""

    base: str
    overrides: Mapping[str, str]

    @classmethod
    def read(cls, base: str, overrides: str | None) -> RowStamps:
        """Take the form that is stored and sent: `overrides` as JSON or None.

        Raises:
            InvalidMessage: it is not a JSON object of texts.
        """
        if overrides is None:
            return cls(base, {})
        try:
            return cls(base, _overrides_decoder.decode(overrides))
        except msgspec.DecodeError as error:
            what = "the stamps of a row cannot be read"
            raise InvalidMessage(what, why=str(error)) from error

    def of(self, column: str) -> str:
        """Return the stamp of a column."""
        return self.overrides.get(column, self.base)

    @property
    def newest(self) -> str:
        """Return the stamp of the column written last."""
        return max(self.base, *self.overrides.values()) if self.overrides else self.base

    def overrides_text(self) -> str | None:
        """Return the overrides as JSON with sorted names, or None where there are none."""
        if not self.overrides:
            return None
        return _overrides_encoder.encode(self.overrides).decode()


def newest_overrides(texts: Sequence[str]) -> list[str]:
    """Return the newest stamp of each of many rows' overrides, all read at once.

    Raises:
        InvalidMessage: one of them is not a JSON object of texts, or an empty one.
    """
    try:
        found = _many_overrides_decoder.decode(f"[{','.join(texts)}]")
        return [max(overrides.values()) for overrides in found]
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        what = "the stamps of a row cannot be read"
        raise InvalidMessage(what, why=str(error)) from error


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome for one row.

    Columns to be taken over, columns that lost, and the stamps from now on.
    """

    winners: tuple[str, ...]
    losers: tuple[str, ...]
    stamps: RowStamps


def merge(current: RowStamps, incoming: Mapping[str, str], columns: Collection[str]) -> Merged:
    """Merge written columns into a row: the newer stamp wins, and of equal ones the incoming.

    `incoming` maps each written column to the stamp of the write; `columns` are all columns of the
    row. Once every column has a stamp of its own, the oldest of them becomes the base.
    """
    winners = tuple(name for name, stamp in incoming.items() if stamp >= current.of(name))
    losers = tuple(name for name in incoming if name not in winners)
    overrides = {**current.overrides, **{name: incoming[name] for name in winners}}
    base = current.base
    if columns and all(name in overrides for name in columns):
        base = min(overrides[name] for name in columns)
    kept = {name: stamp for name, stamp in overrides.items() if stamp != base}
    return Merged(winners, losers, RowStamps(base, kept))
