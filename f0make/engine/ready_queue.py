"""Nodes that must run, the most urgent first, and those that do run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from f0make.engine.critical_path import levels
from f0make.engine.prefetch import Prefetch
from f0make.graph.build_graph import Graph
from f0make.model import Instance
from f0make.scheduler import Demand, Scheduler, demand_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.governor.base import Governing


class ReadyQueue:
    """A ``scheduler`` with the order of one graph.

    ``seconds`` tells the last duration of an instance by its name, ``resources`` what its next attempt asks for.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        governor: Governing,
        seconds: Callable[[str], float | None],
        resources: Callable[[Instance], Mapping[str, float | int]],
    ) -> None:
        self.scheduler = scheduler
        self._governor = governor
        self._seconds = seconds
        self._prefetch = Prefetch(seconds)
        self.resources = resources
        self.demands: dict[int, Demand] = {}
        """Node that must run, or runs -> what it takes."""

    def __len__(self) -> int:
        return len(self.scheduler)

    def lay_out(self, graph: Graph) -> None:
        """Forget what is ready and what runs: these are the nodes of ``graph`` from now on."""
        self._graph = graph
        self._levels: list[float] | None = None
        self.demands = {}
        self.ranked = any(i.priority or i.step.idx for i in graph.instances)
        """Somebody cares about the order: nothing starts before all that is ready is known."""
        self.scheduler.reset()

    @property
    def running(self) -> int:
        """How many run now."""
        return self.scheduler.running

    @property
    def room(self) -> bool:
        """Whether something waits though a slot is free."""
        return len(self.scheduler) > 0 and self.scheduler.running < self.scheduler.jobs

    def push(self, node: int, unsettled: Callable[[], Iterable[Instance]]) -> None:
        """``node`` must run; ``unsettled`` tells what else may have to."""
        if self._levels is None:
            self._levels = levels(self._graph, self._seconds)
        instance = self._graph.instances[node]
        demand = self.demands[node] = demand_of(self.resources(instance), self.scheduler.widest)
        self.scheduler.push(
            node,
            priority=instance.priority,
            level=self._governor.urgency(instance, self._levels[node], unsettled, self.scheduler.jobs),
            idx=instance.step.idx or 0,
            cores=demand.cpu,
        )

    def pop(self, ahead: int) -> int | None:
        """The most urgent node that there is room for, or a short one that may wait as one of ``ahead`` beyond the slots.

        It counts as running from now on.
        """
        found = self.scheduler.pop(self.demands)
        if found is None and ahead and not self.ranked:
            found = self.scheduler.pop_ahead(ahead, self.demands, self._may_wait)
        return found

    def _may_wait(self, node: int) -> bool:
        return self._prefetch.may_wait(self._graph.instances[node])

    def learn(self, instance: Instance, seconds: float) -> None:
        """``instance`` has taken ``seconds``."""
        self._prefetch.learn(instance, seconds)

    def end(self, node: int) -> None:
        """``node`` does not run any more."""
        self.scheduler.end(node)

    def carry(self, node: int, demand: Demand) -> None:
        """``node`` runs since before the graph grew, and takes ``demand``."""
        self.demands[node] = demand
        self.scheduler.begin(node, demand)
