"""Places for boxes: one column for each depth of the graph, few crossings between neighbours. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from f0make.graph.draw.parts import Edge, Node, printable
from f0make.graph.graph_order import dependents, layers

CHARACTER = 7.4
"""Width in pixels allowed for one character of a 12 px sans-serif label; wide scripts get twice that."""
LINE, PAD, GAP_X, GAP_Y = 16, 10, 56, 14
SWEEPS = 4
"""Passes of the barycentre rule (Sugiyama, Tagawa and Toda 1981); more than a few hardly help."""


class Box(NamedTuple):
    """Where a node lies, in pixels from the top left corner."""

    x: float
    y: float
    width: float
    height: float
    lines: list[str]


def label_lines(label: str) -> list[str]:
    """``label`` as the lines that are drawn."""
    return printable(label).replace("\t", " ").split("\n")


def text_width(text: str) -> float:
    """A safe upper bound of the width of ``text`` in pixels."""
    return sum(CHARACTER if ord(c) < 0x1100 else 2 * CHARACTER for c in text)


def sweep(columns: list[list[int]], neighbours: Sequence[Sequence[int]]) -> None:
    """Order each column by the mean position of each node's ``neighbours``; nodes without any keep theirs."""
    position = {node: place for column in columns for place, node in enumerate(column)}
    for column in columns:
        weight = {}
        for node in column:
            around = [position[other] for other in neighbours[node]]
            weight[node] = sum(around) / len(around) if around else float(position[node])
        column.sort(key=lambda node: (weight[node], position[node]))
        position.update({node: place for place, node in enumerate(column)})


def place(nodes: Sequence[Node], edges: Sequence[Edge]) -> tuple[list[Box], float, float]:
    """A box for each node, and the width and height of the whole drawing."""
    number = {node.id: index for index, node in enumerate(nodes)}
    needs: list[list[int]] = [[] for _ in nodes]
    for first, then in edges:
        needs[number[then]].append(number[first])
    needed_by = dependents(needs)
    columns = layers(needs)
    drawn = {node for column in columns for node in column}
    if len(drawn) < len(nodes):  # a cycle has no depth; draw it all the same
        columns.append([index for index in range(len(nodes)) if index not in drawn])
    for turn in range(SWEEPS):
        sweep(columns if turn % 2 == 0 else columns[::-1], needs if turn % 2 == 0 else needed_by)
    boxes = [Box(0, 0, 0, 0, [])] * len(nodes)
    x = float(PAD)
    bottom = 0.0
    for column in columns:
        texts = {index: label_lines(nodes[index].label) for index in column}
        width = max(text_width(line) for lines in texts.values() for line in lines) + 2 * PAD
        y = float(PAD)
        for index in column:
            height = LINE * len(texts[index]) + PAD
            boxes[index] = Box(x, y, width, height, texts[index])
            y += height + GAP_Y
        bottom = max(bottom, y)
        x += width + GAP_X
    return boxes, max(x - GAP_X, 0) + PAD, bottom
