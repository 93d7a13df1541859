"""Where a ready instance runs, when there is more than this machine. Pure.

What the scheduler knows of a place is its name, its slots and its labels. Instances that may run at the same
places share a queue, so that one whose places are full keeps nobody else waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from f0make.scheduler import LOOK_AHEAD, Demand, Scheduler

HERE = ""
"""The name of this machine among places."""


@dataclass(slots=True)
class Place:
    """Somewhere steps can run."""

    name: str
    labels: frozenset[str]
    slots: int = 0
    """0 while it is not known, or not reachable."""
    ahead: int = 0
    """How many short instances it takes beyond its slots."""
    hope: bool = True
    """It is there, or may yet be."""
    running: int = 0
    cpu: float = 0.0

    def takes(self, labels: Collection[str]) -> bool:
        """Whether it has all of ``labels``."""
        return self.labels.issuperset(labels)

    def fits(self, cpu: float) -> bool:
        """Whether ``cpu`` cores fit beside what runs there; with nothing running anything does."""
        return self.running < self.slots and (not self.running or self.cpu + cpu <= self.slots + 1e-9)


@dataclass(slots=True)
class _Queue:
    """Ready instances that ask for the same labels, the most urgent first."""

    labels: tuple[str, ...]
    heap: list[tuple[Any, int]] = field(default_factory=list)


class PlacedScheduler(Scheduler):
    """A scheduler over ``places``.

    ``labels`` gives those that a node asks for; ``where`` the place of a node that runs already; ``likes`` how
    much of its inputs a place has.
    """

    def __init__(
        self,
        places: Sequence[Place],
        limits: Mapping[str, float],
        labels: Callable[[int], Sequence[str]],
        where: Callable[[int], str],
        likes: Callable[[int, str], float],
    ) -> None:
        super().__init__(0, limits)
        self.places = {place.name: place for place in places}
        self._labels, self._where, self._likes = labels, where, likes
        self._queues: dict[tuple[str, ...], _Queue] = {}
        self._at: dict[int, tuple[str, float]] = {}
        self._unfit: dict[int, set[str]] = {}
        self.suits: Callable[[int, str], bool | None] = lambda node, place: True
        """Whether a place can run a node; None: that is not known yet."""
        self.widest = float("inf")
        self.changed()

    def __len__(self) -> int:
        return sum(len(queue.heap) for queue in self._queues.values())

    def changed(self) -> None:
        """The slots of places are others now."""
        self.jobs = sum(place.slots for place in self.places.values())
        self._cores = float("inf")

    def push(
        self, node: int, *, priority: int = 0, level: float = 0.0, idx: int = 0, cores: float = 1.0
    ) -> None:
        """``node`` is ready."""
        key = tuple(sorted(set(self._labels(node))))
        queue = self._queues.setdefault(key, _Queue(key))
        heappush(queue.heap, ((-priority, -level, idx, -cores, node), node))

    def pop(self, demands: Mapping[int, Demand]) -> int | None:
        """The most urgent ready node that fits somewhere, now counted as running there (see `place_of`)."""
        for queue in sorted((q for q in self._queues.values() if q.heap), key=lambda q: q.heap[0][0]):
            free = [p for p in self.places.values() if p.running < p.slots and p.takes(queue.labels)]
            if not free:
                continue
            found = self._first(queue, free, demands)
            if found is not None:
                return found
        return None

    def _first(self, queue: _Queue, free: list[Place], demands: Mapping[int, Demand]) -> int | None:
        passed: list[tuple[Any, int]] = []
        found: tuple[int, Place] | None = None
        while queue.heap and (len(passed) < LOOK_AHEAD or not self._running):
            entry = heappop(queue.heap)
            node = entry[1]
            place = self._admitted(node, free, demands[node]) if self._within(demands[node]) else None
            if place is not None:
                found = node, place
                break
            passed.append(entry)
        for entry in passed:
            heappush(queue.heap, entry)
        if found is None:
            return None
        self._begin(*found, demands[found[0]])
        return found[0]

    def _admitted(self, node: int, free: list[Place], demand: Demand) -> Place | None:
        """The place for ``node`` at which the budget lets it start: what this machine has no room for may run elsewhere."""
        place = self._choose(node, free, demand)
        if place is None or self.admit is None or self.admit(node, place.name == HERE):
            return place
        if place.name != HERE:
            return None
        place = self._choose(node, [p for p in free if p.name != HERE], demand)
        return place if place is not None and self.admit(node, False) else None

    def _choose(self, node: int, free: list[Place], demand: Demand) -> Place | None:
        unfit = self._unfit.get(node, ())
        fitting = [
            p
            for p in free
            if p.name not in unfit and p.fits(min(demand.cpu, p.slots)) and self.suits(node, p.name)
        ]
        if len(fitting) < 2:
            return fitting[0] if fitting else None
        # This machine has every input; a host that has more of them needs less to be sent.
        return max(
            fitting, key=lambda p: (p.name == HERE, self._likes(node, p.name), -p.running / p.slots, p.name)
        )

    def _within(self, demand: Demand) -> bool:
        return not self._running or all(
            self._named.get(name, 0.0) + asked <= self.limits[name]
            for name, asked in demand.named.items()
            if name in self.limits
        )

    def pop_ahead(
        self, ahead: int, demands: Mapping[int, Demand], short: Callable[[int], bool]
    ) -> int | None:
        """A ready node that may wait in front of a busy place; ``ahead`` counts for this machine."""
        if self.limits or self.admit is not None:
            return None
        room = [
            p
            for p in self.places.values()
            if p.slots <= p.running < p.slots + (p.ahead if p.name != HERE else ahead)
            and p.slots
            and p.cpu == p.running
        ]
        room.sort(key=lambda p: p.running / p.slots)
        for place in room:
            tops = [q for q in self._queues.values() if q.heap and place.takes(q.labels)]
            for queue in sorted(tops, key=lambda q: q.heap[0][0]):
                node = queue.heap[0][1]
                if (
                    demands[node].cpu != 1.0
                    or place.name in self._unfit.get(node, ())
                    or not short(node)
                    or not self.suits(node, place.name)
                ):
                    continue
                heappop(queue.heap)
                self._begin(node, place, demands[node])
                return node
        return None

    def begin(self, node: int, demand: Demand) -> None:
        """``node`` runs already, where it was put."""
        self._begin(node, self.places[self._where(node)], demand)

    def _begin(self, node: int, place: Place, demand: Demand) -> None:
        super().begin(node, demand)
        cpu = min(demand.cpu, max(place.slots, 1))
        self._at[node] = place.name, cpu
        place.running += 1
        place.cpu += cpu

    def end(self, node: int) -> None:
        """``node`` does not run any more."""
        super().end(node)
        name, cpu = self._at.pop(node)
        self.places[name].running -= 1
        self.places[name].cpu -= cpu

    def place_of(self, node: int) -> str:
        """The name of the place that a running node was put at."""
        return self._at[node][0]

    def ban(self, node: int, name: str) -> bool:
        """Never put ``node`` at the place again; whether any other could take it."""
        self._unfit.setdefault(node, set()).add(name)
        return bool(self._hopeful(node))

    def _hopeful(self, node: int) -> list[Place]:
        labels, unfit = self._labels(node), self._unfit.get(node, ())
        able = [p for p in self.places.values() if p.hope and p.takes(labels) and p.name not in unfit]
        return [p for p in able if self.suits(node, p.name) is not False]

    def stranded(self) -> list[int]:
        """Ready nodes that no place can take any more."""
        return [node for q in self._queues.values() for _, node in q.heap if not self._hopeful(node)]

    def reset(self) -> None:
        """Forget what is ready and what runs."""
        super().reset()
        self._queues.clear()
        self._at.clear()
        self._unfit.clear()
        for place in self.places.values():
            place.running, place.cpu = 0, 0.0
