"""`f0make graph`: the graph as a drawing, coloured by what a run would do."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from f0make.cli.arguments import FORMATS
from f0make.cli.streams import write_bytes, write_file
from f0make.cli.verbs.lookahead import look
from f0make.errors import F0makeError, UsageError
from f0make.options import RunOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from f0make.graph.build_graph import Graph
    from f0make.graph.draw.parts import Edge, Node
    from f0make.plan.decide import Planned
    from f0make.session import Session

Drawn = tuple["list[Node]", "list[Edge]", "dict[str, dict[str, Any]]"]
"""Nodes, edges, and further fields of nodes by id."""

SEVERITY = ("run", "restore", "skip", "current")
"""A step has the first of these states that one of its instances has."""


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print the drawing, or write it to the file of `-o`."""
    recipe = extras["recipe"]
    form = form_of(extras)
    nodes, edges, more = _drawn(recipe, options, bool(extras.get("steps")))
    data = _drawing(form, nodes, edges, more, recipe)
    if extras.get("output") is not None:
        write_file(extras["output"], data, "graph", recipe)
    else:
        write_bytes(data)
    return 0


def _drawn(recipe: str, options: RunOptions, by_steps: bool) -> Drawn:
    """What is to be drawn; the session is gone then, which leaves its room to the drawing."""
    from f0make.cli.reporters.plain import Plain

    with look(options, Plain(), recipe, options.targets, placed=False) as (session, entries):
        planned = {entry.instance.name: entry for entry in entries}
        nodes, edges, more = (by_step if by_steps else by_instance)(session.graph, planned)
        add_pending(session, nodes, edges, by_steps)
    return nodes, edges, more


def kept(graph: Graph, planned: Mapping[str, Planned]) -> list[int]:
    """Nodes of the planned instances, and the barriers that one of them needs."""
    found = [index for index, instance in enumerate(graph.instances) if instance.name in planned]
    return found + sorted(
        {other for index in found for other in graph.needs[index] if other in graph.barriers}
    )


def by_instance(graph: Graph, planned: Mapping[str, Planned]) -> Drawn:
    """A node for each planned instance, and one for each barrier (all instances of a step at once)."""
    from f0make.graph.draw.parts import Node

    keep = kept(graph, planned)
    nodes, more = [], {}
    for index in keep:
        if index in graph.barriers:
            nodes.append(Node(str(index), f"every {graph.barriers[index]}"))
            continue
        instance = graph.instances[index]
        entry = planned[instance.name]
        nodes.append(Node(str(index), instance.name, entry.status, entry.reason))
        more[str(index)] = {
            "step": instance.step.name,
            "inputs": instance.inputs,
            "outputs": [output.path for output in instance.outputs],
        }
    present = set(keep)
    edges = [(str(other), str(index)) for index in keep for other in graph.needs[index] if other in present]
    return nodes, edges, more


def by_step(graph: Graph, planned: Mapping[str, Planned]) -> Drawn:
    """A node for each step that has planned instances."""
    from f0make.graph.draw.parts import Node

    keep = kept(graph, planned)
    step_of = {index: graph.barriers.get(index) or graph.instances[index].step.name for index in keep}
    members: dict[str, list[str]] = {}
    for index in keep:
        if index not in graph.barriers:
            members.setdefault(step_of[index], []).append(planned[graph.instances[index].name].status)
    nodes, more = [], {}
    for step, states in members.items():
        status = next((state for state in SEVERITY if state in states), "")
        note = ", ".join(f"{states.count(state)} {state}" for state in SEVERITY if state in states)
        nodes.append(Node(step, step, status, note))
        more[step] = {"instances": len(states)}
    edges = dict.fromkeys(
        (step_of[other], step_of[index]) for index in keep for other in graph.needs[index] if other in step_of
    )
    drawn = [edge for edge in edges if edge[0] != edge[1] and edge[0] in members]
    return nodes, drawn, more


def add_pending(session: Session, nodes: list[Node], edges: list[Edge], by_steps: bool) -> None:
    """Draw the steps whose instances are not known yet, behind what they wait for."""
    from f0make.graph.draw.parts import Node

    present = {node.id for node in nodes}
    for step, after in session.pending.items():
        before = [after] if by_steps else [str(index) for index in session.graph.by_step.get(after, [])]
        if present.intersection(before):
            name = f"pending {step}"
            nodes.append(Node(name, step, "", f"known once {after} has run"))
            edges += [(other, name) for other in before if other in present]


_BY_EXTENSION = {
    "": "dot",
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".json": "json",
    ".svg": "svg",
    ".html": "html",
    ".htm": "html",
    ".png": "png",
}
GRAPHVIZ_MOST = 10_000
"""Nodes and edges that it is asked about at all: of more it makes nothing in this time, and gigabytes in memory."""
GRAPHVIZ_SECONDS = 6.0
"""How long graphviz may lay out a graph: it takes minutes for thousands of nodes, and our own layout does not."""


def form_of(extras: Mapping[str, Any]) -> str:
    """The format: the option, else by the extension of the file to write, else dot. Raises UsageError."""
    for form in FORMATS:
        if extras.get(form):
            return form
    output = str(extras.get("output") or "")
    extension = os.path.splitext(output)[1].lower()
    if extension not in _BY_EXTENSION:
        known = ", ".join(e for e in _BY_EXTENSION if e)
        raise UsageError(
            f"graph -o {output}: {extension!r} says no format (known: {known}; or say --svg, --html, …)"
        )
    if extension == ".png" and shutil.which("dot") is None:
        raise UsageError(
            f"graph -o {output}: a PNG is drawn by graphviz's `dot`, which is not here; write a .svg instead"
        )
    return _BY_EXTENSION[extension]


def _drawing(
    form: str, nodes: list[Node], edges: list[Edge], more: dict[str, dict[str, Any]], title: str
) -> bytes:
    """The bytes of the drawing, text in UTF-8."""
    if form == "json":
        from f0make.graph.draw.as_json import as_json

        return as_json(nodes, edges, more).encode("ascii")
    if form == "mermaid":
        from f0make.graph.draw.mermaid import mermaid

        return mermaid(nodes, edges).encode()
    if form == "html":
        from f0make.graph.draw.html import html

        return html(nodes, edges, title).encode()
    from f0make.graph.draw.dot import dot

    text = dot(nodes, edges).encode()
    if form == "dot":
        return text
    drawn = _by_graphviz(form, text) if len(nodes) + len(edges) <= GRAPHVIZ_MOST else None
    if drawn is not None:
        return drawn
    if form == "png":
        raise F0makeError("graph: this graph is too large for graphviz; write a .svg instead")
    from f0make.graph.draw.svg import svg

    return svg(nodes, edges).encode()


def _by_graphviz(form: str, text: bytes) -> bytes | None:
    """What graphviz draws of dot text; None where it is not there or takes too long. Raises F0makeError."""
    program = shutil.which("dot")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, f"-T{form}"], input=text, capture_output=True, check=False, timeout=GRAPHVIZ_SECONDS
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        why = done.stderr.decode("utf-8", "backslashreplace").strip().partition("\n")[0]
        raise F0makeError(f"graph: {program} failed: {why or f'exit code {done.returncode}'}")
    return done.stdout
