"""Where a ready instance runs: labels, room, preference, and that a full place keeps nobody else waiting."""

from __future__ import annotations

import pytest

from f0make.engine.placement import HERE, Place, PlacedScheduler
from f0make.scheduler import Demand


def scheduler(
    places: list[Place],
    labels: dict[int, list[str]] | None = None,
    has: dict[tuple[int, str], float] | None = None,
) -> PlacedScheduler:
    return PlacedScheduler(
        places,
        {},
        lambda node: (labels or {}).get(node, []),
        lambda node: HERE,
        lambda node, name: (has or {}).get((node, name), 0.0),
    )


def place(name: str, slots: int, *labels: str) -> Place:
    return Place(name, frozenset([name or "local", *labels]), slots)


def start(plan: PlacedScheduler, nodes: int, cpu: float = 1.0) -> list[tuple[int, str]]:
    """Push nodes 0, 1, … and start what fits: (node, place) in order."""
    for node in range(nodes):
        plan.push(node, idx=node)
    demands = {node: Demand(cpu) for node in range(nodes)}
    found = []
    while (node := plan.pop(demands)) is not None:
        found.append((node, plan.place_of(node)))
    return found


def test_this_machine_comes_first_then_the_idlest() -> None:
    plan = scheduler([place(HERE, 1), place("h1", 2), place("h2", 2)])
    assert [name for _, name in start(plan, 9)] == [HERE, "h2", "h1", "h2", "h1"]
    assert len(plan) == 4


def test_a_full_place_does_not_keep_others_waiting() -> None:
    labels = {node: ["gpu"] for node in range(100)}
    plan = scheduler([place(HERE, 1), place("h1", 1, "gpu")], labels)
    assert start(plan, 102) == [(0, "h1"), (100, HERE)]


def test_all_labels_of_one_place_are_asked_for() -> None:
    labels = {0: ["gpu", "big"], 1: ["local"], 2: ["h1"]}
    plan = scheduler([place(HERE, 4), place("h1", 4, "gpu"), place("h2", 4, "gpu", "big")], labels)
    assert dict(start(plan, 3)) == {0: "h2", 1: HERE, 2: "h1"}


def test_inputs_draw_a_step_to_the_host_that_has_them() -> None:
    plan = scheduler([place("h1", 2), place("h2", 2)], has={(0, "h1"): 3.0, (1, "h2"): 1.0})
    assert start(plan, 2) == [(0, "h1"), (1, "h2")]


def test_cores_are_counted_at_each_place_and_cut_to_it() -> None:
    plan = scheduler([place("h1", 2), place("h2", 8)])
    assert [name for _, name in start(plan, 3, cpu=8.0)] == ["h2", "h1"]


@pytest.mark.parametrize("hope", [True, False])
def test_who_is_stranded(hope: bool) -> None:
    gone = place("h1", 0, "gpu")
    gone.hope = hope
    plan = scheduler([place(HERE, 1), gone], {0: ["gpu"]})
    assert start(plan, 2) == [(1, HERE)]
    assert plan.stranded() == ([] if hope else [0])


def test_an_unfit_place_is_not_tried_again() -> None:
    plan = scheduler([place("h1", 1), place("h2", 1)])
    ((node, name), _) = start(plan, 2)
    assert plan.ban(node, name)
    plan.end(node)
    plan.push(node)
    assert plan.pop({node: Demand()}) is None
    other = "h2" if name == "h1" else "h1"
    assert not plan.ban(node, other) and node in plan.stranded()


def test_short_ones_wait_in_front_of_busy_places() -> None:
    first, second = place("h1", 1), place("h2", 2)
    first.ahead = second.ahead = 1
    plan = scheduler([first, second])
    start(plan, 6)
    demands = {node: Demand() for node in range(6)}
    ahead = [
        plan.place_of(n) for _ in range(3) if (n := plan.pop_ahead(0, demands, lambda node: True)) is not None
    ]
    assert sorted(ahead) == ["h1", "h2"] and plan.pop_ahead(0, demands, lambda node: True) is None
    assert plan.running == 5


def test_what_ends_makes_room() -> None:
    plan = scheduler([place("h1", 1)])
    ((node, _),) = start(plan, 2)
    plan.end(node)
    assert plan.pop({1: Demand()}) == 1
    plan.reset()
    assert (plan.running, len(plan)) == (0, 0) and start(plan, 1) == [(0, "h1")]


def test_what_the_budget_has_no_room_for_here_starts_elsewhere() -> None:
    plan = scheduler([place(HERE, 2), place("h1", 1)])
    plan.admit = lambda node, here: not here
    assert start(plan, 3) == [(0, "h1")]
    alone = scheduler([place(HERE, 2), place("h1", 1)], {0: ["local"]})
    alone.admit = lambda node, here: not here
    assert start(alone, 2) == [(1, "h1")]
