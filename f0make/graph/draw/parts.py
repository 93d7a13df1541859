"""What every drawing is made from: nodes, edges, and the colour of each state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from f0make.visible import drawable


class Node(NamedTuple):
    """One box. ``status`` is a state of `f0make plan` or empty; ``note`` is the reason, shown on hover."""

    id: str
    label: str
    status: str = ""
    note: str = ""


Edge = tuple[str, str]
"""(id of what comes first, id of what needs it)."""

NodeLike = Node | tuple[str, str, str] | tuple[str, str, str, str]

COLOURS = {
    "current": ("#d9f2d9", "#2e7d32"),
    "run": ("#ffe0b2", "#e65100"),
    "restore": ("#d6e6ff", "#1f4e9e"),
    "skip": ("#eeeeee", "#757575"),
    "": ("#ffffff", "#444444"),
}
"""State of a plan -> (fill, line): dark text on each fill keeps a contrast of more than 7:1 (WCAG AAA)."""

OUTCOMES = {
    "failed": ("#ffcdd2", "#b71c1c"),
    "cancelled": ("#fff3c4", "#8d6e00"),
    "ran": ("#ffe0b2", "#e65100"),
    "restored": ("#d6e6ff", "#1f4e9e"),
    "skipped": ("#eeeeee", "#757575"),
    "current": ("#d9f2d9", "#2e7d32"),
}
"""What became of an instance in a run -> (fill, line), the gravest first."""


def as_nodes(nodes: Iterable[NodeLike]) -> list[Node]:
    """``nodes`` as `Node`, whichever way they were given."""
    return [node if isinstance(node, Node) else Node(*node) for node in nodes]


def colours(status: str) -> tuple[str, str]:
    """(fill, line) for ``status``; an unknown one is drawn plain."""
    return COLOURS.get(status) or OUTCOMES.get(status, COLOURS[""])


printable = drawable
