"""The graph of a run as an SVG: instances where they are few, else steps; coloured by what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from f0make.graph.draw.parts import OUTCOMES, Edge, Node
from f0make.graph.draw.svg import svg

if TYPE_CHECKING:
    from f0make.graph.build_graph import Graph

MOST_INSTANCES = 150
MOST_STEPS = 300


def drawing(graph: Graph, wanted: Iterable[int], states: Mapping[str, str]) -> tuple[str, str]:
    """(SVG, or nothing when it would be too large; a sentence about what is drawn)."""
    listed = sorted(wanted)
    instances = [n for n in listed if n < len(graph.instances)]
    if len(instances) <= MOST_INSTANCES:
        return svg(*_instances(graph, listed, states), inline=True), "A box for each instance."
    nodes, edges = _steps(graph, listed, states)
    if len(nodes) <= MOST_STEPS:
        return svg(nodes, edges, inline=True), f"A box for each step, of {len(instances):,} instances."
    return "", f"{len(nodes):,} steps with {len(instances):,} instances are too many to be drawn."


def _instances(graph: Graph, wanted: list[int], states: Mapping[str, str]) -> tuple[list[Node], list[Edge]]:
    present = set(wanted)
    nodes = []
    for index in wanted:
        if index in graph.barriers:
            nodes.append(Node(str(index), f"every {graph.barriers[index]}"))
        else:
            name = graph.instances[index].name
            nodes.append(Node(str(index), name, states.get(name, "")))
    return nodes, [(str(o), str(i)) for i in wanted for o in graph.needs[i] if o in present]


def _steps(graph: Graph, wanted: list[int], states: Mapping[str, str]) -> tuple[list[Node], list[Edge]]:
    step_of = {n: graph.barriers.get(n) or graph.instances[n].step.name for n in wanted}
    counts: dict[str, Counter[str]] = {}
    for index in wanted:
        if index not in graph.barriers:
            status = states.get(graph.instances[index].name, "")
            counts.setdefault(step_of[index], Counter())[status] += 1
    nodes = []
    for step, found in counts.items():
        gravest = next((status for status in OUTCOMES if found[status]), "")
        words = ", ".join(f"{found[status]:,} {status}" for status in OUTCOMES if found[status])
        nodes.append(Node(step, f"{step}\n{words}" if words else step, gravest))
    edges = dict.fromkeys((step_of[o], step_of[i]) for i in wanted for o in graph.needs[i] if o in step_of)
    return nodes, [edge for edge in edges if edge[0] != edge[1] and edge[0] in counts and edge[1] in counts]
