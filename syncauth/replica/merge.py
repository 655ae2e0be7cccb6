"""
One row that is written on both sides: the server's state with the pending entries laid over it.

This is a rehearsal of what the server will do with the entries that it has not seen yet, by the same rules:

    insert    on a living row whose life it ends, or on no row: a new life, all columns are the local ones;
              on a living row of another life: the two become one, columns by stamp
    update    on the life that it names: columns by stamp, deltas are added; else superseded
    delete    of the life that it names: the row is gone; else superseded

Nothing here reads or writes a file. This module must never compare a life with a clock: only the stamps that
merging uses are bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from syncauth.replica.entries import Entry
from syncauth.rows.stamps import RowStamps, join_lives, life_of, make_stamp, same_life


@dataclass(frozen=True, slots=True)
class Remote:
    """The server's state of a row: `lives` is None unless it is living, `stamps` those of its columns."""

    lives: str | None
    stamps: RowStamps | None = None


@dataclass(slots=True)
class Outcome:
    """What becomes of the row here, and of its entries.

    `known` is what the table of known rows holds from now on (None: nothing), `present` whether the app sees the
    row. Columns in `kept` stay as they are here, all others are the server's plus `deltas`; `all_kept` says that
    the whole row is the local one. `dropped` are unsent entries that are superseded, `cleared` the columns that
    others have lost, `turned` maps an unsent insert to the columns of the update that it becomes.
    """

    known: str | None
    present: bool
    kept: set[str] = field(default_factory=set)
    all_kept: bool = False
    deltas: dict[str, int] = field(default_factory=dict)
    dropped: list[Entry] = field(default_factory=list)
    cleared: dict[int, set[str]] = field(default_factory=dict)
    turned: dict[int, tuple[str, ...]] = field(default_factory=dict)


class Overlay:
    """Lays entries over the server's state of one row, in their order."""

    def __init__(
        self, remote: Remote, *, device: str, bound: int, columns: Sequence[str], known: str | None
    ) -> None:
        """Begin with the server's state.

        `bound` is the highest HLC with which this device's own stamps may win, since the server cuts what lies
        further ahead; `known` the lives that an entry without a life of its own means.
        """
        self._device = device
        self._bound = bound
        self._columns = columns
        self._named = None if known is None else life_of(known)
        self._lives = remote.lives
        self._stamps: dict[str, str] = {}
        if remote.stamps is not None:
            self._stamps = {name: remote.stamps.of(name) for name in columns}
        self._result = Outcome(known=remote.lives, present=False)

    def lay(self, entries: Sequence[Entry]) -> Outcome:
        """Apply all entries and return the outcome."""
        steps = {"insert": self._insert, "update": self._update, "delete": self._delete}
        for entry in entries:
            steps[entry.kind](entry)
        self._result.present = self._lives is not None
        return self._result

    def _stamp(self, entry: Entry) -> str:
        return make_stamp(min(entry.hlc, self._bound), self._device)

    def _insert(self, entry: Entry) -> None:
        own = make_stamp(entry.hlc, self._device)
        result = self._result
        stamp = self._stamp(entry)
        ends = (
            entry.life is not None
            and self._lives is not None
            and same_life(self._lives, entry.life)
        )
        if self._lives is None or ends:
            self._lives = own
            result.all_kept, result.kept, result.deltas = True, set(self._columns), {}
            self._stamps = dict.fromkeys(self._columns, stamp)
        else:
            won = self._win(self._columns, stamp)
            if entry.batch is None:
                # Nobody has heard of the life that this insert would begin, so it is an edit of the living one.
                result.turned[entry.entry] = won
                return
            self._lives = join_lives(self._lives, own)
        if entry.batch is not None:
            result.known = self._lives
            self._named = life_of(
                self._lives
            )  # what is cut later means the row as it is known then

    def _update(self, entry: Entry) -> None:
        life = entry.life or self._named
        if self._lives is None or life is None or not same_life(self._lives, life):
            self._supersede(entry)
            return
        won = self._win(entry.columns, self._stamp(entry))
        lost = set(entry.columns) - set(won)
        if lost and entry.batch is None:
            self._result.cleared[entry.entry] = lost
        for name, delta in entry.deltas.items():
            if (
                name not in self._result.kept
            ):  # a kept counter already contains what was counted here
                self._result.deltas[name] = self._result.deltas.get(name, 0) + delta

    def _delete(self, entry: Entry) -> None:
        life = entry.life or self._named
        if self._lives is None or life is None or not same_life(self._lives, life):
            self._supersede(entry)
            return
        self._lives = None
        self._result.all_kept, self._result.kept, self._result.deltas = False, set(), {}

    def _win(self, columns: Sequence[str], stamp: str) -> tuple[str, ...]:
        won = tuple(name for name in columns if stamp >= self._stamps.get(name, ""))
        self._result.kept.update(won)
        for name in won:
            self._stamps[name] = stamp
            self._result.deltas.pop(name, None)
        return won

    def _supersede(self, entry: Entry) -> None:
        if entry.batch is None:
            self._result.dropped.append(entry)
