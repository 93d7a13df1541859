"""Steps that wait in front of busy workers, inside a budget: what let them in still holds when they start."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from f0make.governor import admit
from f0make.governor.budget import Budget
from f0make.governor.energy_model import PowerModel
from f0make.governor.governor import Governor
from f0make.governor.observation import LOOK_EVERY
from f0make.model import Instance, Step
from f0make.store.log_index import Stats
from tests.support.f0 import F0

JOBS = 3


def instance(name: str) -> Instance:
    step = Step(name=name, file="r.yaml", marks={})
    return Instance(name=name, step=step, variables={}, inputs=[], outputs=[], resources={})


class World:
    """A governor whose clock stands still, over a history of ``stats`` by instance, and a backend that it asks."""

    def __init__(self, budget: Budget, stats: dict[str, Stats]) -> None:
        self.now = 0.0
        self.withdrawn = 0
        self.governor = Governor(
            budget,
            cast("Any", SimpleNamespace(stats=stats.get, step_stats=lambda name: [])),
            PowerModel(0.0, 0.0, "nothing"),
            0.0,
            jobs=JOBS,
            cores=JOBS,
            began=0.0,
            note=lambda text: None,
            clock=lambda: self.now,
        )
        self.under_way: list[str] = []

    def offer(self, name: str) -> bool:
        """Start it, or let it wait in front of a busy worker, if the governor allows."""
        ahead = len(self.under_way) >= JOBS
        known = instance(name)
        if not (self.governor.admits_ahead(known) if ahead else self.governor.admits(known)):
            return False
        self.governor.started(known, name)
        self.under_way.append(name)
        return True

    def withdraw(self) -> None:
        self.withdrawn += 1

    def look(self) -> int:
        """How often steps have been taken back so far."""
        self.governor.look(self)
        return self.withdrawn


@given(st.lists(st.floats(0.05, 2.0), min_size=1, max_size=3 * JOBS), st.floats(5, 100))
def test_whichever_run_together_the_limit_holds(cores: list[float], percent: float) -> None:
    used = {str(n): each for n, each in enumerate(cores)}
    world = World(Budget(cpu=percent), {name: Stats(0.01, each * 0.01) for name, each in used.items()})
    for name in used:
        world.offer(name)
    assert world.under_way
    if len(world.under_way) > 1:
        together = sorted((used[name] for name in world.under_way), reverse=True)[:JOBS]
        assert sum(together) <= JOBS * percent / 100 + 1e-6


def test_the_most_that_any_few_come_to() -> None:
    assert admit.most([1.0, 5.0, 2.0], 2) == 7.0
    assert admit.most([1.0, 5.0, 2.0], None) == admit.most([1.0, 5.0, 2.0], 9) == 8.0
    assert admit.most([1.0, 5.0], 0) == 0.0


def quick(count: int) -> dict[str, Stats]:
    return {str(n): Stats(0.01, 0.01) for n in range(count)}


def test_what_waits_behind_something_long_is_taken_back_and_nothing_more_waits() -> None:
    world = World(Budget(time=100.0), quick(9))
    assert [world.offer(str(n)) for n in range(JOBS + 2)] == [True] * (JOBS + 2)
    assert world.look() == 0 and world.governor.patience() == LOOK_EVERY
    world.now = LOOK_EVERY
    assert not world.offer("8")
    assert world.look() == 1
    assert world.look() == 1, "once is enough"


def test_what_waits_when_the_budget_ends_is_taken_back() -> None:
    world = World(Budget(time=10.0), quick(9))
    world.now = 8.9
    assert all(world.offer(str(n)) for n in range(JOBS + 1))
    world.now = 8.95
    assert world.look() == 0
    world.governor._began = -2.0  # As if the budget had ended this early.
    assert world.look() == 1


def test_nothing_waits_when_little_time_is_left() -> None:
    world = World(Budget(time=10.0), quick(9))
    world.now = 9.5
    assert [world.offer(str(n)) for n in range(JOBS + 1)] == [*[True] * JOBS, False]


def test_steps_that_turn_out_long_let_nothing_start_beyond_the_time(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: s\n    foreach:\n      n:\n        range: 1..6\n    inputs: in\n    outputs: o/${{ n }}\n"
        "    run: |\n      echo ${{ n }} ${{ attempt }} >> begun\n"
        "      if test -e slow; then sleep 3; fi\n      touch ${{ outputs }}\n"
    )
    f0.write("in", "1")
    f0.run("-j2")
    f0.write("begun", "")
    f0.write("in", "2")
    f0.write("slow", "")
    first = f0.run("-j2", "--max-time=2500ms", "--no-cache", code=3).summary
    begun = f0.read("begun").splitlines()
    assert len(begun) == first["ran"] == 2 and first["cancelled"] == 4, "two more would start after 3 s"
    (f0.workspace / "slow").unlink()
    assert f0.run("-j2", "--max-time=100s", "--no-cache").summary["ran"] == 4
    assert sorted(f0.read("begun").splitlines()) == [f"{n} 1" for n in range(1, 7)]
