"""
The only door to `transitions`: a table of states and triggers, and a machine that obeys it.

`transitions` has sharp edges, each seen: a callback that raises leaves the state already moved; a
trigger fired inside a callback re-enters; callbacks found by name ignore a typo; of two edges with
the same trigger and source the first wins in silence; `auto_transitions` gives every state a `to_…`
bypass; an unknown trigger raises `AttributeError`. So this wrapper takes no callbacks at all,
rejects duplicates when the table is made, switches `auto_transitions` off, and turns an illegal
trigger into `InvalidState` with nothing changed (I13).

This module must never know what any machine is about.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from transitions import Machine

from syncauth.errors import InvalidState

State = TypeVar("State", bound=enum.Enum)
Trigger = TypeVar("Trigger", bound=enum.Enum)


@dataclass(frozen=True, slots=True)
class Transition(Generic[State, Trigger]):
    """One edge: in `source`, `trigger` leads to `target`."""

    trigger: Trigger
    source: State
    target: State


class Table(Generic[State, Trigger]):
    """The complete and only description of a machine."""

    def __init__(
        self,
        name: str,
        states: type[State],
        triggers: type[Trigger],
        edges: Iterable[Transition[State, Trigger]],
    ) -> None:
        """Check the edges.

        `ValueError` for two with the same source and trigger, or a trigger without edge.
        """
        self.name = name
        self.states = states
        self.triggers = triggers
        self.edges = tuple(edges)
        self._reject_mistakes()
        self._machine = self._build(_Model(), next(iter(states)))

    def target_of(self, state: State, trigger: Trigger) -> State:
        """Return where `trigger` leads from `state`, moving nothing; raises `InvalidState`."""
        found = self._machine.get_transitions(trigger.value, state)
        if not found:
            raise InvalidState(machine=self.name, state=state.value, trigger=trigger.value)
        return self.states[str(found[0].dest)]

    def allows(self, state: State, trigger: Trigger) -> bool:
        """Tell whether `trigger` has an edge from `state`."""
        return bool(self._machine.get_transitions(trigger.value, state))

    def machine(self, initial: State) -> StateMachine[State, Trigger]:
        """Make a machine that stands in `initial`."""
        model = _Model()
        self._build(model, initial)
        return StateMachine(self, model)

    def mermaid(self) -> str:
        """Draw the table as a Mermaid state diagram, edges of the same two states on one line."""
        first = next(iter(self.states))
        lines = ["stateDiagram-v2", f"    [*] --> {first.value}"]
        merged: dict[tuple[State, State], list[str]] = {}
        for edge in self.edges:
            merged.setdefault((edge.source, edge.target), []).append(edge.trigger.value)
        for (source, target), names in merged.items():
            lines.append(f"    {source.value} --> {target.value}: {', '.join(names)}")
        return "\n".join(lines) + "\n"

    def _reject_mistakes(self) -> None:
        seen: set[tuple[State, Trigger]] = set()
        for edge in self.edges:
            if (edge.source, edge.trigger) in seen:
                message = f"{self.name}: two edges for {edge.trigger.value} in {edge.source.value}"
                raise ValueError(message)
            seen.add((edge.source, edge.trigger))
        idle = [each.value for each in self.triggers if each not in {t for _, t in seen}]
        if idle:
            message = f"{self.name}: triggers without an edge: {', '.join(idle)}"
            raise ValueError(message)

    def _build(self, model: _Model, initial: State) -> Machine:
        return Machine(
            model=model,
            states=self.states,
            initial=initial,
            auto_transitions=False,
            transitions=[
                {"trigger": edge.trigger.value, "source": edge.source, "dest": edge.target}
                for edge in self.edges
            ],
        )


class StateMachine(Generic[State, Trigger]):
    """A machine in one of its states; made by `Table.machine`."""

    def __init__(self, table: Table[State, Trigger], model: _Model) -> None:
        """Bind the table and the model that `transitions` moves."""
        self.table = table
        self._model = model

    @property
    def state(self) -> State:
        """The present state."""
        return self.table.states(self._model.state)

    def fire(self, trigger: Trigger) -> State:
        """Move along the edge of `trigger` and return the new state.

        Raises `InvalidState`, moving nothing.
        """
        self.table.target_of(self.state, trigger)
        self._model.trigger(trigger.value)
        return self.state

    def __repr__(self) -> str:
        """Show where the machine stands."""
        return f"<{self.table.name} machine: {self.state.value}>"


class _Model:
    """What `transitions` decorates with `state` and `trigger`."""

    state: enum.Enum
    trigger: Callable[[str], bool]
