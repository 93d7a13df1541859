"""How long the rest of the graph behind each node is predicted to take."""

from __future__ import annotations

from collections.abc import Callable

from f0make.graph.build_graph import Graph
from f0make.model import DEFAULT_SECONDS
from f0make.scheduler import bottom_levels


def levels(graph: Graph, seconds: Callable[[str], float | None]) -> list[float]:
    """For each node the predicted seconds of the longest chain that starts with it.

    ``seconds`` tells the last duration of an instance by its name. Where it knows none, the mean of the other
    instances of the step counts, then a default.
    """
    known: dict[str, list[float]] = {}
    found: list[float | None] = []
    for instance in graph.instances:
        last = seconds(instance.name)
        found.append(last)
        if last is not None:
            known.setdefault(instance.step.name, []).append(last)
    means = {step: sum(values) / len(values) for step, values in known.items()}
    filled = [
        means.get(i.step.name, DEFAULT_SECONDS) if s is None else s
        for i, s in zip(graph.instances, found, strict=True)
    ]
    return bottom_levels(graph.needed_by, graph.order, filled + [0.0] * len(graph.barriers))
