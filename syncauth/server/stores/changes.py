"""
One change of a batch in the exact way's terms, and the judgement about all of them.

This module must never touch a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from syncauth.sansio.messages import Refused, Superseded
from syncauth.server.stores.batch import Group
from syncauth.server.stores.served import Served


@dataclass(frozen=True, slots=True)
class Change:
    """One change, with the HLC's stamp that counts and the life that an insert begins.

    `partition` is None where the device did not know it and no row of the life was found.
    """

    group: Group
    partition: Any
    key: tuple[Any, ...]
    entry: int
    stamp: str
    begins: str
    life: str | None
    values: Mapping[str, Any]
    deltas: Mapping[str, int]

    @property
    def table(self) -> Served:
        """The table that it is about."""
        return self.group.table


@dataclass(slots=True)
class Judgement:
    """What was not applied as sent, and the changes that a refusal is about."""

    superseded: list[Superseded] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    refused_changes: list[Change] = field(default_factory=list)
