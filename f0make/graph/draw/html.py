"""The graph as one self-contained page: the drawing, what the colours mean, and a table that can be searched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from html import escape

from f0make.graph.draw.parts import COLOURS, Edge, NodeLike, as_nodes, printable
from f0make.graph.draw.policy import policy
from f0make.graph.draw.svg import svg

STYLE = """
body{font:14px sans-serif;margin:1.5em;color:#222}h1{font-size:1.3em}
.drawing{overflow:auto;border:1px solid #ccc;max-height:75vh}
.key span{display:inline-block;margin-right:1em;padding:2px 8px;border:1px solid;border-radius:5px}
table{border-collapse:collapse;margin-top:1em}td,th{text-align:left;padding:2px 12px 2px 0;vertical-align:top}
td{white-space:pre-wrap}input{margin-top:1em;width:24em;max-width:100%}
"""

SCRIPT = """
document.getElementById("find").addEventListener("input",function(){var t=this.value.toLowerCase();
document.querySelectorAll("tbody tr").forEach(function(r){
r.style.display=r.textContent.toLowerCase().includes(t)?"":"none"})});
"""


STYLE += "".join(
    f".state-{status}{{background:{fill};border-color:{line}}}\n"
    for status, (fill, line) in COLOURS.items()
    if status
)


def html(nodes: Iterable[NodeLike], edges: Iterable[Edge], title: str = "f0make") -> str:
    """The page; it loads nothing from anywhere."""
    boxes = as_nodes(nodes)
    shown = escape(printable(title))
    counts = Counter(node.status for node in boxes if node.status)
    key = "".join(
        f'<span class="state-{status}">{counts[status]} {status}</span>'
        for status in COLOURS
        if counts[status]
    )
    rows = "".join(
        f"<tr><td>{escape(printable(node.label))}</td><td>{escape(node.status)}</td>"
        f"<td>{escape(printable(node.note))}</td></tr>\n"
        for node in boxes
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">{policy(STYLE, SCRIPT)}<title>{shown}</title>\n'
        f'<style>{STYLE}</style></head>\n<body>\n<h1>{shown}</h1>\n<p class="key">{key}</p>\n'
        f'<div class="drawing">\n{svg(boxes, edges, inline=True)}</div>\n'
        '<input id="find" type="search" placeholder="find" aria-label="find">\n'
        "<table><thead><tr><th>name</th><th>state</th><th>reason</th></tr></thead>\n"
        f"<tbody>\n{rows}</tbody></table>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
