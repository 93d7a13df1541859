"""Order, layers and cycles of a graph given as lists of indexes. Pure; linear in nodes plus edges.

toposort is the authority on order and layers (see dependency_graph.py) but takes O(layers x nodes), half a
minute for a chain of 10,000; these walks count in-degrees instead (Kahn 1962), and a property test proves
that both agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


Needs = Sequence[Sequence[int]]
"""For each node the nodes it needs; an edge may be listed twice."""


def dependents(needs: Needs) -> list[list[int]]:
    """For each node the nodes that need it, in ascending order."""
    found: list[list[int]] = [[] for _ in needs]
    for node, wanted in enumerate(needs):
        for other in wanted:
            found[other].append(node)
    return found


def topological(needs: Needs, rank: Callable[[int], Any] | None = None) -> list[int]:
    """Nodes in an order in which each comes after all it needs; of two free ones the lower ``rank`` first.

    Nodes on a cycle, and what needs them, are left out: a result shorter than ``needs`` means a cycle.
    """
    waiting = [len(wanted) for wanted in needs]
    needed_by = dependents(needs)
    rank = rank or (lambda node: node)
    free = [(rank(node), node) for node, count in enumerate(waiting) if not count]
    heapify(free)
    order = []
    while free:
        _, node = heappop(free)
        order.append(node)
        for other in needed_by[node]:
            waiting[other] -= 1
            if not waiting[other]:
                heappush(free, (rank(other), other))
    return order


def in_order(needs: Needs) -> bool:
    """Whether every node comes after all it needs already: then `topological` without ranks changes nothing."""
    return all(other < node for node, wanted in enumerate(needs) for other in wanted)


def layers(needs: Needs) -> list[list[int]]:
    """Nodes by depth: layer 0 needs nothing, layer n needs something in layer n-1. Cycles are left out."""
    depth = [0] * len(needs)
    found: list[list[int]] = []
    for node in topological(needs):
        level = max((depth[other] + 1 for other in needs[node]), default=0)
        depth[node] = level
        if level == len(found):
            found.append([])
        found[level].append(node)
    return [sorted(layer) for layer in found]


def find_cycle(needs: Needs) -> list[int] | None:
    """One real cycle, each node needing the next and the last needing the first; None if there is none.

    It starts at its lowest node, so that the same graph always gives the same report.
    """
    ordered = set(topological(needs))
    if len(ordered) == len(needs):
        return None
    # What is left is on a cycle or needs one; following any unresolved need must come back to itself.
    node = next(n for n in range(len(needs)) if n not in ordered)
    path: list[int] = []
    position: dict[int, int] = {}
    while node not in position:
        position[node] = len(path)
        path.append(node)
        node = next(other for other in needs[node] if other not in ordered)
    cycle = path[position[node] :]
    start = cycle.index(min(cycle))
    return cycle[start:] + cycle[:start]


def find_cycles(needs: Needs, most: int = 20) -> list[list[int]]:
    """Cycles that share no node, up to ``most``, as `find_cycle` gives them: enough to mend them all."""
    rest = [list(wanted) for wanted in needs]
    found: list[list[int]] = []
    while len(found) < most and (cycle := find_cycle(rest)) is not None:
        found.append(cycle)
        gone = set(cycle)
        rest = [
            [] if node in gone else [n for n in wanted if n not in gone] for node, wanted in enumerate(rest)
        ]
    return found


def closure(needs: Needs, roots: Sequence[int]) -> set[int]:
    """``roots`` and everything they need, directly or not."""
    found = set(roots)
    stack = list(found)
    while stack:
        for other in needs[stack.pop()]:
            if other not in found:
                found.add(other)
                stack.append(other)
    return found
