"""Recipes that are already maps and lists in Python, brought into the form of read ones."""

from __future__ import annotations

from collections.abc import Mapping

from f0make.recipe.document import Document, StepSource
from f0make.recipe.yaml_node import Entries, Items, Node, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def from_plain(recipe: Mapping[str, Any]) -> Document:
    """``recipe`` as a document without places. Numbers, booleans and None become what YAML writes for them."""
    root = _node(recipe)
    document = Document(root)
    if isinstance(root, Entries):
        steps = root.entries.get("steps")
        if isinstance(steps, Items):
            document.steps = [StepSource(node=item) for item in steps.items]
    return document


def _node(value: Any) -> Node:
    if isinstance(value, Mapping):
        return Entries({str(key): _node(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return Items([_node(item) for item in value])
    if value is None:
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    return Text(str(value), plain=False)
