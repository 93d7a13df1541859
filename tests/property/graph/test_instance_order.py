"""Instances are walked in the order of their steps, which toposort gives; and whatever the steps look like, needs come first."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.graph.graph_order import topological
from f0make.graph.instance_order import instance_order
from f0make.model import Instance, Step


def instances(steps: list[int], idx: dict[int, int] | None = None) -> list[Instance]:
    made = {step: Step(f"s{step}", file="r.yaml", marks={}, idx=(idx or {}).get(step)) for step in steps}
    return [Instance(f"s{step}[n={n}]", made[step], {"n": str(n)}, [], []) for n, step in enumerate(steps)]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[int], list[list[int]], dict[int, str]]:
    """(The step of each instance, what each node needs, barriers)."""
    count = draw(st.integers(1, 20))
    steps = draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    order = list(range(count))
    random.Random(draw(st.integers(0, 999))).shuffle(order)
    needs: list[list[int]] = [[] for _ in range(count)]
    for place, node in enumerate(order):
        if place:
            needs[node] = draw(st.lists(st.sampled_from(order[:place]), max_size=3, unique=True))
    barriers = {}
    last = order[-1]
    if not needs[last] and steps.count(steps[last]) == 1 and count > 1:
        other = next((s for s in steps if s != steps[last]), None)
        if other is not None:
            barriers[count] = f"s{other}"
            needs[last] = [count]
            needs.append([n for n in range(count) if steps[n] == other])
    return steps, needs, barriers


@given(worlds(), st.dictionaries(st.integers(0, 5), st.integers(-3, 3)))
def test_what_is_needed_comes_first(
    world: tuple[list[int], list[list[int]], dict[int, str]], idx: dict[int, int]
) -> None:
    steps, needs, barriers = world
    order = instance_order(instances(steps, idx), needs, barriers)
    assert sorted(order) == list(range(len(needs)))
    position = {node: place for place, node in enumerate(order)}
    assert all(position[other] < position[node] for node, wanted in enumerate(needs) for other in wanted)


@given(worlds(), st.integers(0, 19), st.integers(0, 19))
def test_nodes_on_a_cycle_are_left_out(
    world: tuple[list[int], list[list[int]], dict[int, str]], first: int, second: int
) -> None:
    steps, needs, barriers = world
    first, second = first % len(steps), second % len(steps)
    needs[first], needs[second] = [*needs[first], second], [*needs[second], first]
    order = instance_order(instances(steps), needs, barriers)
    assert len(order) < len(needs)
    assert set(order) == set(topological(needs))


@pytest.mark.parametrize(
    ("steps", "needs", "idx", "expected"),
    [
        ([0, 1, 2], [[], [0], []], {}, [0, 1, 2]),  # the recipe's order where that is one
        ([2, 0, 1], [[1], [], []], {}, [1, 2, 0]),  # else the layers of the steps
        ([0, 0, 1, 1], [[2], [3], [], []], {}, [2, 3, 0, 1]),
        ([0, 1, 0, 1], [[], [0], [1], [2]], {}, [0, 1, 2, 3]),  # steps that need each other, and no cycle
        ([0, 1], [[], []], {0: 2, 1: 1}, [1, 0]),
    ],
)
def test_of_two_that_could_come_next(
    steps: list[int], needs: list[list[int]], idx: dict[int, int], expected: list[int]
) -> None:
    assert instance_order(instances(steps, idx), needs, {}) == expected


def test_the_steps_of_a_graph_are_ordered_by_toposort(monkeypatch: pytest.MonkeyPatch) -> None:
    import toposort

    asked: list[dict[int, set[int]]] = []
    real = toposort.toposort
    monkeypatch.setattr(toposort, "toposort", lambda data: asked.append(dict(data)) or real(data))
    assert instance_order(instances([1, 0, 0]), [[1], [], []], {}) == [1, 2, 0]
    assert asked == [{0: {1}, 1: set()}]
