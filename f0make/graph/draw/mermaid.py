"""Text for Mermaid, which GitHub, GitLab and many wikis draw."""

from __future__ import annotations

from collections.abc import Iterable

from f0make.graph.draw.parts import COLOURS, Edge, NodeLike, as_nodes, printable

SPECIAL = frozenset('"#&<>`\\;%$')
"""Characters that Mermaid, its Markdown or the HTML below it read as more than themselves inside quotes."""


def escaped(text: str) -> str:
    """``text`` for a quoted label: special characters as Mermaid's `#code;` entities, newlines as breaks."""
    shown = printable(text).replace("\t", " ")
    return "".join("<br/>" if c == "\n" else f"#{ord(c)};" if c in SPECIAL else c for c in shown)


def mermaid(nodes: Iterable[NodeLike], edges: Iterable[Edge]) -> str:
    """The graph as a Mermaid flowchart."""
    boxes = as_nodes(nodes)
    ids = {node.id: f"n{number}" for number, node in enumerate(boxes)}
    lines = ["flowchart LR"]
    lines += [f'  {ids[node.id]}["{escaped(node.label)}"]' for node in boxes]
    lines += [f"  {ids[first]} --> {ids[then]}" for first, then in edges]
    for status, (fill, line) in COLOURS.items():
        members = [ids[node.id] for node in boxes if status and node.status == status]
        if members:
            lines.append(f"  classDef {status} fill:{fill},stroke:{line},color:#000")
            lines.append(f"  class {','.join(members)} {status}")
    return "\n".join(lines) + "\n"
