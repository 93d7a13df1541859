"""Which ready instance goes next, and whether there is room for it. Pure but for `monitor`.

List scheduling by critical path (Graham 1969; Topcuoglu et al. 2002 call the measure "upward rank"): of the
ready instances the one that starts the longest remaining chain goes first, by recorded durations where there
are any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush

from f0make.fast_dataclass import dataclass, field
from f0make.model import DEFAULT_SECONDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.governor.process_usage import Tree

LOOK_AHEAD = 64
"""How many ready instances are tried when the first does not fit beside what runs."""


def bottom_levels(
    needed_by: Sequence[Sequence[int]], order: Sequence[int], seconds: Sequence[float]
) -> list[float]:
    """For each node the length in seconds of the longest chain that starts with it."""
    levels = [0.0] * len(needed_by)
    for node in reversed(order):
        levels[node] = seconds[node] + max((levels[other] for other in needed_by[node]), default=0.0)
    return levels


@dataclass(slots=True)
class Demand:
    """What one instance takes while it runs."""

    cpu: float = 1.0
    named: Mapping[str, float] = field(default_factory=dict)
    """Every resource but cpu, by name; mem and disk in bytes."""


def demand_of(resources: Mapping[str, float | int], jobs: float) -> Demand:
    """The demand of an instance; more cores than ``jobs`` are cut to all of them, so that it can run at all."""
    return Demand(
        min(float(resources.get("cpu", 1)), jobs), {n: float(v) for n, v in resources.items() if n != "cpu"}
    )


@dataclass(slots=True)
class Slot:
    """One line of a schedule: when an instance is predicted to start and end, seconds from the beginning."""

    name: str
    start: float
    end: float


@dataclass(slots=True)
class Schedule:
    """A predicted course of a run."""

    slots: list[Slot]
    makespan: float
    """Seconds."""
    energy_kwh: float | None = None
    """By the model of docs/energy.md, or by what was measured before."""
    carbon_g: float | None = None

    @property
    def order(self) -> list[str]:
        """Names in the order in which they start."""
        return [slot.name for slot in self.slots]

    def __str__(self) -> str:
        lines = [f"{slot.start:8.1f} s  {slot.name}  ({slot.end - slot.start:.1f} s)" for slot in self.slots]
        lines.append(f"{self.makespan:8.1f} s  end")
        if self.energy_kwh is not None:
            lines.append(f"{self.energy_kwh:.3g} kWh, {self.carbon_g or 0.0:.3g} g CO2e")
        return "\n".join(lines)


class Scheduler:
    """Ready instances in order of urgency, and the room that running ones leave.

    ``jobs``: instances at one time, and cores in use; ``limits``: by resource name.
    """

    def __init__(self, jobs: int = 1, limits: Mapping[str, float] | None = None) -> None:
        self.jobs = jobs
        self.widest: float = jobs
        """Cores that one instance can have."""
        self.limits = dict(limits or {})
        self._cores = min(float(jobs), self.limits.pop("cpu", float(jobs)))
        self.admit: Callable[[int, bool], bool] | None = None
        """Asked about a ready node that has room, on this machine or not: whether the budget lets it start now."""
        self.admit_ahead: Callable[[int], bool] | None = None
        """The same about one that is to wait in front of a busy slot; with ``admit`` alone none does."""
        self.so_far: Callable[[float], dict[str, float | None]] | None = None
        """Tells watts (with so many cores in use) and kWh, while something meters them."""
        self._watched: tuple[float, Tree] | None = None
        self._ready: list[tuple[Any, int]] = []
        self._running: dict[int, Demand] = {}
        self._cpu = 0.0
        self._named: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._ready)

    def resize(self, jobs: int) -> None:
        """There is room for ``jobs`` instances now, each of which takes one slot, whatever it declares."""
        self.jobs = jobs
        self._cores = float("inf")

    @property
    def running(self) -> int:
        """How many run now."""
        return len(self._running)

    def push(
        self, node: int, *, priority: int = 0, level: float = 0.0, idx: int = 0, cores: float = 1.0
    ) -> None:
        """``node`` is ready; higher ``priority``, then the longer chain ahead, then lower ``idx`` goes first.

        Of those that are equal in all that, the one that takes more ``cores``: with narrow ones last, cores fall
        idle sooner.
        """
        heappush(self._ready, ((-priority, -level, idx, -cores, node), node))

    def fits(self, demand: Demand) -> bool:
        """Whether ``demand`` fits beside what runs. With nothing running anything does."""
        if not self._running:
            return True
        if len(self._running) >= self.jobs or self._cpu + demand.cpu > self._cores + 1e-9:
            return False
        return all(
            self._named.get(name, 0.0) + asked <= self.limits[name]
            for name, asked in demand.named.items()
            if name in self.limits
        )

    def pop(self, demands: Mapping[int, Demand]) -> int | None:
        """The most urgent ready node that fits, now counted as running; None when none does."""
        if len(self._running) >= self.jobs:
            return None
        passed: list[tuple[Any, int]] = []
        found = None
        # With nothing running, what does not fit now never will: then every one is tried.
        while self._ready and (len(passed) < LOOK_AHEAD or not self._running):
            entry = heappop(self._ready)
            if self.fits(demands[entry[1]]) and (self.admit is None or self.admit(entry[1], True)):
                found = entry[1]
                break
            passed.append(entry)
        for entry in passed:
            heappush(self._ready, entry)
        if found is not None:
            self.begin(found, demands[found])
        return found

    def pop_ahead(
        self, ahead: int, demands: Mapping[int, Demand], short: Callable[[int], bool]
    ) -> int | None:
        """The most urgent ready node, when all slots are busy with one-core instances and ``short`` says that it
        may wait in front of a slot, ``ahead`` of them at most. It counts as running; None when it must not.
        """
        busy = len(self._running)
        if (
            not self._ready
            or not self.jobs <= busy < self.jobs + ahead
            or self.limits
            or (self.admit is not None and self.admit_ahead is None)
        ):
            return None
        node = self._ready[0][1]
        demand = demands[node]
        if demand.cpu != 1.0 or self._cpu != busy or not short(node):
            return None
        if self.admit_ahead is not None and not self.admit_ahead(node):
            return None
        heappop(self._ready)
        self.begin(node, demand)
        return node

    def begin(self, node: int, demand: Demand) -> None:
        """``node`` runs now."""
        self._running[node] = demand
        self._cpu += demand.cpu
        for name, asked in demand.named.items():
            self._named[name] = self._named.get(name, 0.0) + asked

    def end(self, node: int) -> None:
        """``node`` does not run any more."""
        demand = self._running.pop(node)
        self._cpu -= demand.cpu
        for name, asked in demand.named.items():
            self._named[name] -= asked

    def reset(self) -> None:
        """Forget what is ready and what runs (the numbers of nodes are about to change)."""
        self._ready.clear()
        self._running.clear()
        self._named.clear()
        self._cpu = 0.0

    def schedule(self, steps: Iterable[Mapping[str, Any]], resources: Mapping[str, Any]) -> Schedule:
        """The predicted course of ``steps`` within ``resources`` ({"cpu": 2, "mem": "2GB"}).

        A step is a mapping with ``name`` and, if it has them, ``depends_on``, ``resources``, ``priority``,
        ``idx``, ``seconds`` (a known duration) and ``energy_kwh`` (known, else modelled). ``resources`` may
        name a ``country``. Simulates the very rules of a run. Raises CycleError for steps that need each other
        and ValueError for an unknown dependency, country or a wrong size.
        """
        from f0make.graph.graph_order import dependents, topological
        from f0make.recipe.scalars import to_country, to_resource

        resources = dict(resources)
        country = resources.pop("country", None)
        if country is not None:
            to_country(str(country))

        def amounts(given: Mapping[str, Any]) -> dict[str, float]:
            return {name: float(to_resource(name, str(value))) for name, value in given.items()}

        listed = list(steps)
        needs = _needs(listed)
        needed_by = dependents(needs)
        seconds = [float(step.get("seconds") or DEFAULT_SECONDS) for step in listed]
        levels = bottom_levels(needed_by, topological(needs), seconds)
        limits = amounts(resources)
        plan = Scheduler(max(1, int(limits.pop("cpu", self.jobs))), limits)
        demands = {
            n: demand_of(amounts(step.get("resources") or {}), plan.jobs) for n, step in enumerate(listed)
        }

        def push(node: int) -> None:
            step = listed[node]
            plan.push(
                node,
                priority=int(step.get("priority") or 0),
                level=levels[node],
                idx=int(step.get("idx") or 0),
                cores=demands[node].cpu,
            )

        waiting = [len(wanted) for wanted in needs]
        for node, count in enumerate(waiting):
            if not count:
                push(node)
        now, ends, slots = 0.0, list[tuple[float, int]](), list[Slot]()
        while len(plan) or ends:
            begun = plan.pop(demands) if len(plan) else None
            if begun is not None:
                slots.append(Slot(listed[begun]["name"], now, now + seconds[begun]))
                heappush(ends, (now + seconds[begun], begun))
                continue
            now, ended = heappop(ends)
            plan.end(ended)
            for other in needed_by[ended]:
                waiting[other] -= 1
                if not waiting[other]:
                    push(other)
        cpu_seconds = [seconds[n] * demands[n].cpu for n in range(len(listed))]
        kwh = _energy(now, cpu_seconds, [step.get("energy_kwh") for step in listed])
        from f0make.electricity.intensity import intensity

        return Schedule(slots, now, kwh, kwh * intensity(country))

    def monitor(self) -> dict[str, float | int | None]:
        """What f0make and its steps use now: CPU in percent of one core since the last call (the first one takes
        a twentieth of a second), memory in bytes with shared pages divided, running instances.

        ``power_w`` and ``energy_kwh`` (so far) are None while nothing meters them.
        """
        import os
        import time

        from f0make.governor import process_usage

        before = self._watched
        if before is None:
            before = time.monotonic(), process_usage.tree(os.getpid(), memory=False)
            time.sleep(0.05)
        tree, now = process_usage.tree(os.getpid()), time.monotonic()
        self._watched = now, tree
        spent = sum(max(0.0, cpu - before[1].cpu.get(pid, 0.0)) for pid, cpu in tree.cpu.items())
        cores = spent / max(now - before[0], 1e-3)
        metered = self.so_far(cores) if self.so_far is not None else {"power_w": None, "energy_kwh": None}
        return {"cpu": 100 * cores, "mem": tree.total_mem, "running": self.running, **metered}


def _needs(steps: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """For each of ``steps`` the numbers of those that it depends on. Raises CycleError and ValueError."""
    from f0make.dependency_graph import DependencyGraph

    number = {step["name"]: n for n, step in enumerate(steps)}
    graph = DependencyGraph()
    for step in steps:
        for name in step.get("depends_on", ()):
            if name not in number:
                raise ValueError(f"step {step['name']!r} depends on {name!r}, which is no step")
        graph.add_task(step["name"], step.get("depends_on", ()))
    graph.check()
    return [[number[name] for name in step.get("depends_on", ())] for step in steps]


def _energy(seconds: float, cpu_seconds: Iterable[float], known: Iterable[Any]) -> float:
    """The kWh of this machine idling for ``seconds``, and of each step: as ``known``, else by its CPU seconds."""
    from f0make.governor import energy_model

    power = energy_model.here()
    kwh = power.joules(seconds, 0.0) / energy_model.JOULES_PER_KWH
    for cpu, measured in zip(cpu_seconds, known, strict=True):
        kwh += power.kwh(cpu) if measured is None else float(measured)
    return kwh
