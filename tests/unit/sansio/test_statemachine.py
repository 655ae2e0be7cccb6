"""The wrapper around transitions forbids its sharp edges."""

import enum

import pytest

from syncauth.errors import InvalidState
from syncauth.sansio.statemachine import Table, Transition


class Light(enum.Enum):
    RED = "red"
    GREEN = "green"


class Push(enum.Enum):
    GO = "go"
    HALT = "halt"


EDGES = (
    Transition(Push.GO, Light.RED, Light.GREEN),
    Transition(Push.HALT, Light.GREEN, Light.RED),
)


def test_a_trigger_moves_along_its_edge() -> None:
    """`fire` returns the new state and stays in it."""
    machine = Table("light", Light, Push, EDGES).machine(Light.RED)

    assert machine.fire(Push.GO) is Light.GREEN
    assert machine.state is Light.GREEN


def test_asking_for_the_target_moves_nothing() -> None:
    """`target_of` is a look-up."""
    table = Table("light", Light, Push, EDGES)
    machine = table.machine(Light.RED)

    assert table.target_of(Light.RED, Push.GO) is Light.GREEN
    assert machine.state is Light.RED


def test_an_illegal_trigger_raises_and_moves_nothing() -> None:
    """I13: the error names machine, state and trigger."""
    machine = Table("light", Light, Push, EDGES).machine(Light.RED)

    with pytest.raises(InvalidState) as caught:
        machine.fire(Push.HALT)

    assert (caught.value.machine, caught.value.state, caught.value.trigger) == (
        "light",
        "red",
        "halt",
    )
    assert machine.state is Light.RED


def test_two_edges_with_one_trigger_and_source_are_rejected() -> None:
    """Transitions would take the first one in silence."""
    twice = (*EDGES, Transition(Push.GO, Light.RED, Light.RED))

    with pytest.raises(ValueError, match="two edges for go in red"):
        Table("light", Light, Push, twice)


def test_a_trigger_without_an_edge_is_rejected() -> None:
    """A trigger that can never be fired is a mistake in the table."""
    with pytest.raises(ValueError, match="triggers without an edge: halt"):
        Table("light", Light, Push, EDGES[:1])


def test_there_is_no_bypass_into_a_state() -> None:
    """`auto_transitions` is off: the model has no `to_…` methods."""
    machine = Table("light", Light, Push, EDGES).machine(Light.RED)

    assert not [name for name in dir(machine._model) if name.startswith("to_")]


def test_the_diagram_is_drawn_from_the_table() -> None:
    """Every edge stands in the Mermaid text."""
    drawn = Table("light", Light, Push, EDGES).mermaid()

    assert drawn == (
        "stateDiagram-v2\n    [*] --> red\n    red --> green: go\n    green --> red: halt\n"
    )
