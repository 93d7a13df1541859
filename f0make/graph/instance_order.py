"""The order in which instances are walked: that of their steps, which `DependencyGraph` finds with toposort. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from f0make.graph.graph_order import Needs, in_order, topological

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.model import Instance


def instance_order(instances: Sequence[Instance], needs: Needs, barriers: Mapping[int, str]) -> list[int]:
    """Nodes (``instances``, then ``barriers``: node -> step) in an order in which each comes after all it ``needs``.

    Of two that could come next, the one with the lower ``idx`` of its step comes first, then the one that stands first in
    the recipe. Nodes on a cycle, and what needs them, are left out: a result shorter than ``needs`` means a cycle.
    """
    names = [instance.step.name for instance in instances] + list(barriers.values())
    idx = {i.step.name: i.step.idx for i in instances if i.step.idx}
    steps = _step_order(names, needs)
    if not idx and in_order(needs):
        return list(range(len(needs)))
    if steps is None or idx:
        ranks = [(idx.get(name, 0) if node < len(instances) else 0, node) for node, name in enumerate(names)]
        return topological(needs, ranks.__getitem__)
    place = {name: number for number, name in enumerate(steps)}
    ordered = sorted(range(len(needs)), key=lambda node: (place[names[node]], node))
    if all(names[other] != name or other < node for node, name in enumerate(names) for other in needs[node]):
        return ordered
    position = {node: number for number, node in enumerate(ordered)}
    return topological(needs, position.__getitem__)


def _step_order(names: Sequence[str], needs: Needs) -> list[str] | None:
    """The steps of nodes, each after all whose nodes its own need; None where only a walk over the nodes can tell.

    Two steps may need each other without a cycle: ``a[1]`` needs ``b[1]``, which needs ``a[2]``.
    """
    wanted: dict[str, dict[str, None]] = {name: {} for name in names}
    for name, nodes in zip(names, needs, strict=True):
        if nodes:
            wanted[name].update(dict.fromkeys([names[node] for node in nodes]))
    for name, others in wanted.items():
        others.pop(name, None)  # a step may read what its other instances make
    if not any(wanted.values()):
        return list(wanted)
    from f0make.dependency_graph import CycleError, DependencyGraph

    graph = DependencyGraph()
    for name, others in wanted.items():
        graph.add_task(name, others)
    try:
        return graph.get_task_order()
    except CycleError:
        return None
