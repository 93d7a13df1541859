"""Text for graphviz's `dot`."""

from __future__ import annotations

from collections.abc import Iterable

from f0make.graph.draw.parts import Edge, NodeLike, as_nodes, colours, printable


def quoted(text: str) -> str:
    r"""``text`` as a quoted string of dot that reads back as ``text`` both as an id and as a label.

    Only ``\"`` is an escape to dot's lexer; the escapes of labels (``\n``, ``\\``, ``\N``) and HTML entities
    are interpreted later. So a backslash is always doubled: an id then never ends in a lone one, which would
    swallow the closing quote.
    """
    text = printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + text.replace("\t", " ") + '"'


def dot(nodes: Iterable[NodeLike], edges: Iterable[Edge], name: str = "f0make") -> str:
    """The graph as dot text; arrows go from what comes first to what needs it.

    Ids are the labels where those are unique, so that the text reads well and other tools find the names.
    """
    boxes = as_nodes(nodes)
    by_label = len({quoted(node.label) for node in boxes}) == len(boxes)
    ids = {node.id: quoted(node.label if by_label else node.id) for node in boxes}
    lines = [
        f"digraph {quoted(name)} {{",
        '  graph [rankdir=LR, charset="UTF-8"];',
        '  node [shape=box, style="rounded,filled", fillcolor="#ffffff", fontname="sans-serif"];',
    ]
    for node in boxes:
        attributes = []
        if not by_label or "&" in node.label:
            attributes.append(f"label={quoted(node.label.replace('&', '&amp;'))}")
        if node.status:
            fill, line = colours(node.status)
            attributes.append(f'fillcolor="{fill}", color="{line}"')
        if node.note:
            attributes.append(f"tooltip={quoted(node.note.replace('&', '&amp;'))}")
        lines.append(f"  {ids[node.id]}" + (f" [{', '.join(attributes)}];" if attributes else ";"))
    lines += [f"  {ids[first]} -> {ids[then]};" for first, then in edges]
    lines.append("}")
    return "\n".join(lines) + "\n"
