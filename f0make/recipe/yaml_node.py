"""What a recipe file is made of once read: text, lists and maps, each with its true place."""

from __future__ import annotations

from f0make.model import Mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Node:
    """A node and its place; ``line``, ``column`` and ``last`` (line) count from 1, 0 means unknown."""

    __slots__ = ("column", "last", "line")
    what = "a node"

    def __init__(self, line: int = 0, column: int = 0, last: int = 0) -> None:
        self.line = line
        self.column = column
        self.last = last

    @property
    def mark(self) -> Mark:
        """The place as `Step.marks` keeps it."""
        return (self.line, self.column, self.last)


class Text(Node):
    """A scalar; StrictYAML knows no other type than text."""

    __slots__ = ("plain", "text")
    what = "text"

    def __init__(self, text: str, line: int = 0, column: int = 0, last: int = 0, plain: bool = True) -> None:
        self.text = text
        self.line = line
        self.column = column
        self.last = last
        self.plain = plain
        """False in quotes and in blocks, where being empty is meant."""


class Items(Node):
    """A list."""

    __slots__ = ("items",)
    what = "a list"

    def __init__(self, items: list[Node], line: int = 0, column: int = 0, last: int = 0) -> None:
        super().__init__(line, column, last)
        self.items = items


class Entries(Node):
    """A map; ``keys`` has the place (line, column) of each key, ``entries`` its value."""

    __slots__ = ("entries", "keys")
    what = "a map"

    def __init__(self, entries: dict[str, Node], line: int = 0, column: int = 0, last: int = 0) -> None:
        super().__init__(line, column, last)
        self.entries = entries
        self.keys: dict[str, tuple[int, int]] = {}


class Broken(Node):
    """A node that broke a rule of StrictYAML, which has been reported: nothing more is said about it."""

    __slots__ = ()
    what = "something that is not allowed"


def pack(node: Node) -> Any:
    """``node`` as plain tuples, lists and maps that marshal can write."""
    place = (node.line, node.column, node.last)
    if isinstance(node, Text):
        return (0, node.text, *place, node.plain)
    if isinstance(node, Items):
        return (1, [pack(item) for item in node.items], *place)
    if isinstance(node, Entries):
        return (2, {key: pack(value) for key, value in node.entries.items()}, *place, node.keys)
    raise ValueError("a broken node cannot be packed")


def unpack(packed: Any) -> Node:
    """The opposite of `pack`."""
    kind, value, line, column, last, *rest = packed
    if kind == 0:
        return Text(value, line, column, last, rest[0])
    if kind == 1:
        return Items([unpack(item) for item in value], line, column, last)
    node = Entries({key: unpack(item) for key, item in value.items()}, line, column, last)
    node.keys = rest[0]
    return node


def plain(node: Node) -> Any:
    """``node`` as text, lists and maps without places."""
    if isinstance(node, Text):
        return node.text
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    if isinstance(node, Entries):
        return {key: plain(value) for key, value in node.entries.items()}
    return ""


def shift(node: Node, lines: int) -> None:
    """Move ``node`` and all below it down by ``lines``."""
    node.line += lines
    node.last += lines
    if isinstance(node, Items):
        for item in node.items:
            shift(item, lines)
    elif isinstance(node, Entries):
        node.keys = {key: (line + lines, column) for key, (line, column) in node.keys.items()}
        for item in node.entries.values():
            shift(item, lines)
