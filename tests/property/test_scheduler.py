"""Order, room and prediction: the rules that a run and `Scheduler.schedule` share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.dependency_graph import CycleError
from f0make.graph.graph_order import dependents, topological
from f0make.scheduler import Demand, Scheduler, bottom_levels, demand_of


def test_the_longest_chain_goes_first() -> None:
    steps = [
        {"name": "short", "seconds": 1},
        {"name": "head", "seconds": 1},
        {"name": "tail", "seconds": 5, "depends_on": ["head"]},
    ]
    plan = Scheduler().schedule(steps, resources={"cpu": 1, "mem": "2GB"})
    assert plan.order == ["head", "tail", "short"]
    assert plan.makespan == 7
    assert "tail" in str(plan)


def test_priority_beats_the_chain_and_idx_breaks_ties() -> None:
    steps = [{"name": "b", "idx": 2}, {"name": "a", "idx": 1}, {"name": "urgent", "priority": 5, "idx": 9}]
    assert Scheduler().schedule(steps, {"cpu": 1}).order == ["urgent", "a", "b"]


def test_of_two_equal_orders_the_one_that_leaves_cores_idle_sooner() -> None:
    narrow = [{"name": f"n{n}", "seconds": 1} for n in range(3)]
    steps = [*narrow, {"name": "wide", "seconds": 1, "resources": {"cpu": 2}}]
    plan = Scheduler().schedule(steps, {"cpu": 2})
    assert plan.makespan == 3 and plan.order[0] == "wide"
    assert sum(slot.end == 3 for slot in plan.slots) == 1, "one core is idle in the last second"


def test_memory_keeps_steps_apart() -> None:
    steps = [{"name": f"s{n}", "resources": {"mem": "1500MB"}, "seconds": 1} for n in range(4)]
    assert Scheduler().schedule(steps, {"cpu": 4, "mem": "3GB"}).makespan == 2
    assert Scheduler().schedule(steps, {"cpu": 4, "mem": "2GB"}).makespan == 4


def test_wrong_steps_are_refused() -> None:
    with pytest.raises(CycleError):
        Scheduler().schedule([{"name": "a", "depends_on": ["a"]}], {})
    with pytest.raises(ValueError, match="no step"):
        Scheduler().schedule([{"name": "a", "depends_on": ["b"]}], {})


def test_alone_anything_fits_and_more_cores_than_there_are_become_all() -> None:
    scheduler = Scheduler(2, {"mem": 10})
    big = Demand(2, {"mem": 100})
    assert scheduler.fits(big)
    scheduler.begin(1, Demand(1))
    assert not scheduler.fits(big)
    assert demand_of({"cpu": 64}, 2).cpu == 2


@given(st.lists(st.tuples(st.floats(0.1, 4), st.integers(1, 6)), min_size=1, max_size=30), st.integers(1, 4))
def test_limits_hold_at_every_moment_of_a_schedule(steps: list[tuple[float, int]], cores: int) -> None:
    listed = [
        {"name": str(n), "seconds": seconds, "resources": {"gpu": gpu}}
        for n, (seconds, gpu) in enumerate(steps)
    ]
    plan = Scheduler().schedule(listed, {"cpu": cores, "gpu": 6})
    assert sorted(plan.order) == sorted(str(n) for n in range(len(steps)))
    for slot in plan.slots:
        together = [s for s in plan.slots if s.start <= slot.start < s.end]
        assert len(together) <= cores
        assert sum(steps[int(s.name)][1] for s in together) <= 6


@given(st.lists(st.lists(st.integers(0, 19), max_size=3), min_size=1, max_size=20))
def test_levels_are_the_longest_way_to_an_end(raw: list[list[int]]) -> None:
    needs = [[n for n in wanted if n < node] for node, wanted in enumerate(raw)]
    needed_by = dependents(needs)
    seconds = [float(n % 3 + 1) for n in range(len(needs))]
    levels = bottom_levels(needed_by, topological(needs), seconds)

    def longest(node: int) -> float:
        return seconds[node] + max((longest(other) for other in needed_by[node]), default=0.0)

    assert levels == [longest(node) for node in range(len(needs))]


def test_monitor_is_a_snapshot_of_this_process() -> None:
    seen = Scheduler().monitor()
    assert seen["mem"] and seen["running"] == 0
