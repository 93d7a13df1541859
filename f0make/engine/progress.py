"""Where every node of a run's graph stands: its state, what it still waits for, and what can no longer be. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from f0make.engine.node_state import State
from f0make.graph.build_graph import Graph
from f0make.model import Instance


class Progress:
    """The states of the ``wanted`` nodes of ``graph``, and the queue of those that can be decided next."""

    def __init__(self, graph: Graph, wanted: set[int]) -> None:
        size = len(graph.needs)
        self.graph = graph
        self.wanted = wanted
        self.state = [State.WAITING] * size
        self.doom: dict[int, State] = {}
        """What becomes of nodes some need of which did not get there."""
        self.position = [0] * size
        """Node -> its place in the order of the graph."""
        for position, node in enumerate(graph.order):
            self.position[node] = position
        self.remaining = [
            sum(1 for n in needs if n in wanted) if node in wanted else 0
            for node, needs in enumerate(graph.needs)
        ]
        """Node -> how many of its needs are not settled."""
        self._released: set[int] = set()
        """Nodes whose dependents were told."""
        self._awaited: dict[int, list[int]] = {}
        """Maker that is under way again -> nodes that wait for it."""
        self._waiting_for: dict[int, int] = {}
        """Node -> how many such makers it waits for."""
        self._undecided: list[tuple[int, int]] = []
        self.look_again()

    def look_again(self) -> None:
        """Queue exactly the nodes that wait for nothing."""
        self._undecided = [
            (self.position[n], n)
            for n in self.wanted
            if self.state[n] is State.WAITING and not self.remaining[n]
        ]
        heapify(self._undecided)

    @property
    def undecided(self) -> bool:
        """Whether there is a node that could be decided now."""
        return bool(self._undecided)

    def queue(self, node: int) -> None:
        """``node`` can be decided."""
        heappush(self._undecided, (self.position[node], node))

    def next_undecided(self) -> int | None:
        """The first node in the order of the graph that can be decided, taken from the queue; None: there is none."""
        while self._undecided:
            _, node = heappop(self._undecided)
            if self.state[node] is State.WAITING and not self.remaining[node]:
                return node
        return None

    def is_instance(self, node: int) -> bool:
        """Whether ``node`` is an instance (else it is a barrier, which only orders others)."""
        return node < len(self.graph.instances)

    def wait_for_makers(self, node: int) -> bool:
        """Whether ``node`` must wait because something that it needs was settled, and is under way again."""
        busy = [n for n in self.graph.needs[node] if n in self.wanted and not self.state[n].settled]
        for maker in busy:
            self._awaited.setdefault(maker, []).append(node)
        if busy:
            self._waiting_for[node] = len(busy)
            self.state[node] = State.WAITING
        return bool(busy)

    def release(self, node: int) -> None:
        """Tell those that need ``node``, now settled: the second time only those that wait for it again."""
        for consumer in self._awaited.pop(node, ()):
            self._waiting_for[consumer] -= 1
            if not self.state[node].good:
                self.doom[consumer] = State.CANCELLED
            if not self._waiting_for[consumer]:
                del self._waiting_for[consumer]
                self.queue(consumer)
        if node in self._released:
            return
        self._released.add(node)
        state = self.state[node]
        for other in self.graph.needed_by[node]:
            if other not in self.wanted:
                continue
            self.remaining[other] -= 1
            if state is State.SKIPPED:
                self.doom.setdefault(other, State.SKIPPED)
            elif not state.good:
                self.doom[other] = State.CANCELLED
            if not self.remaining[other] and self.state[other] is State.WAITING:
                self.queue(other)

    def why_doomed(self, node: int) -> str:
        """The reason to tell of a node in `doom`."""
        skipped = self.doom[node] is State.SKIPPED
        return "it needs a skipped step" if skipped else "something that it needs failed"

    def unsettled(self) -> Iterator[int]:
        """The wanted instances of which nothing has become yet, in the order of the graph."""
        for node in sorted(self.wanted, key=self.position.__getitem__):
            if self.is_instance(node) and not self.state[node].settled:
                yield node

    def unsettled_instances(self) -> Iterator[Instance]:
        """The same as instances."""
        return (self.graph.instances[node] for node in self.unsettled())
