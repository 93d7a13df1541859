"""The graph as JSON, for other programs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any

from f0make.graph.draw.parts import Edge, NodeLike, as_nodes


def as_json(
    nodes: Iterable[NodeLike], edges: Iterable[Edge], more: dict[str, dict[str, Any]] | None = None
) -> str:
    """``{"nodes": [{"name", "status", "reason", …}], "edges": [{"from", "to"}]}`` in ASCII, names as labels.

    ``more`` maps a node's id to further fields of it.
    """
    boxes = as_nodes(nodes)
    names = {node.id: node.label for node in boxes}
    body = {
        "nodes": [
            {"name": node.label, "status": node.status, "reason": node.note, **(more or {}).get(node.id, {})}
            for node in boxes
        ],
        "edges": [{"from": names[first], "to": names[then]} for first, then in edges],
    }
    text = io.StringIO()
    json.dump(body, text, indent=1)  # `dumps` would hold every bracket as a text of its own
    return text.getvalue() + "\n"
