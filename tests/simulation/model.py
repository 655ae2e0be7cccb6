"""
What the table must hold after a history of writes, computed without syncauth's code.

Every key is inserted once. A row is there unless somebody deleted it; a column has the value of the write with the
highest stamp; a counter has its first value and the sum of all that was added.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class ModelRow:
    """One row's history, as far as it still counts."""

    likes: int
    columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    deleted: bool = False


class Model:
    """The table."""

    def __init__(self) -> None:
        self._rows: dict[str, ModelRow] = {}

    def insert(self, key: str, stamp: str, title: str, body: str, likes: int) -> None:
        """A device inserted a row."""
        self._rows[key] = ModelRow(likes, {"title": (stamp, title), "body": (stamp, body)})

    def update(self, key: str, stamp: str, column: str, value: str) -> None:
        """A device set a column."""
        columns = self._rows[key].columns
        columns[column] = max(columns[column], (stamp, value))

    def add(self, key: str, delta: int) -> None:
        """A device added to the counter."""
        self._rows[key].likes += delta

    def delete(self, key: str) -> None:
        """A device deleted a row."""
        self._rows[key].deleted = True

    def rows(self) -> list[tuple[str, str, str, int]]:
        """Return the table in the order of its key."""
        return [
            (key, row.columns["title"][1], row.columns["body"][1], row.likes)
            for key, row in sorted(self._rows.items())
            if not row.deleted
        ]
