"""The graph as SVG, without the help of another program."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from f0make.graph.draw.layout import LINE, PAD, place
from f0make.graph.draw.parts import Edge, NodeLike, as_nodes, colours, printable


def svg(nodes: Iterable[NodeLike], edges: Iterable[Edge], inline: bool = False) -> str:
    """A drawing that stands by itself; ``inline`` leaves out what only a file of its own needs."""
    boxes = as_nodes(nodes)
    arrows = list(dict.fromkeys(edges))
    places, width, height = place(boxes, arrows)
    at = {node.id: box for node, box in zip(boxes, places, strict=True)}
    head = "" if inline else '<?xml version="1.0" encoding="UTF-8"?>\n'
    lines = [
        f'{head}<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}"'
        f' viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="12">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto"><path d="M0 0L8 4L0 8z" fill="#888"/></marker></defs>',
        '<g fill="none" stroke="#888">',
    ]
    for first, then in arrows:
        a, b = at[first], at[then]
        x1, y1, x2, y2 = a.x + a.width, a.y + a.height / 2, b.x, b.y + b.height / 2
        bend = max(24.0, (x2 - x1) / 2)
        lines.append(
            f'<path d="M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}" '
            'marker-end="url(#tip)"/>'
        )
    lines.append("</g>")
    for node, box in zip(boxes, places, strict=True):
        fill, line = colours(node.status)
        title = printable(": ".join(part for part in (node.label, node.status, node.note) if part))
        lines.append(
            f'<g class="node {escape(node.status)}"><title>{escape(title)}</title>'
            f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="5"'
            f' fill="{fill}" stroke="{line}"/>'
        )
        for number, text in enumerate(box.lines):
            lines.append(
                f'<text x="{box.x + PAD:g}" y="{box.y + LINE * (number + 1):g}" xml:space="preserve">'
                f"{escape(text)}</text>"
            )
        lines.append("</g>")
    lines.append("</svg>")
    return "\n".join(lines) + "\n"
