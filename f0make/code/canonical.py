"""A digest of Python source by its syntax tree: equal for equal code, whatever its layout.

``ast.dump`` will not do: what it prints differs between versions of Python, and the digest has to be the same
on a machine with another one. The walk here takes every node's fields by name, leaves out the ones that are
empty (newer versions add empty fields), the positions, and what only repeats the layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

SKIPPED_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
"""Fields that follow from the position of a node (ctx) or from spelling (the u in u'text', type comments)."""

ALWAYS_FIELDS = frozenset({("Constant", "value"), ("MatchSingleton", "value")})
"""Fields in which None is a value of the program rather than a part left out."""


def tree_digest(tree: ast.AST) -> str:
    """SHA-256 (hex) of ``tree``, the same on every supported version of Python."""
    import ast
    import hashlib

    hasher = hashlib.sha256()
    # An explicit stack: a sum of a thousand terms is a tree a thousand nodes deep.
    stack: list[Any] = [tree]
    node_type, closing = ast.AST, _Closing()
    while stack:
        item = stack.pop()
        if item is closing:
            hasher.update(b")")
        elif isinstance(item, _Field):
            hasher.update(b"." + item.name.encode())
        elif isinstance(item, node_type):
            hasher.update(b"(" + type(item).__name__.encode())
            stack.append(closing)
            for name in reversed(item._fields):
                value = _field(item, name)
                if value is not None or (type(item).__name__, name) in ALWAYS_FIELDS:
                    stack += (value, _Field(name))
        elif isinstance(item, list):
            hasher.update(b"[")
            stack.append(closing)
            stack.extend(reversed(item))
        else:
            hasher.update(_scalar(item))
    return hasher.hexdigest()


class _Closing:
    """Marks the end of a node or of a list on the stack."""

    __slots__ = ()


class _Field:
    """Marks the start of a field on the stack."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def _field(node: Any, name: str) -> Any:
    """The value of a field as it counts; None for one that does not."""
    if name in SKIPPED_FIELDS:
        return None
    value: Any = getattr(node, name, None)
    if name == "values" and type(node).__name__ == "JoinedStr":
        return _merged(value)
    if name == "format_spec" and value is not None and not _merged(getattr(value, "values", [value])):
        return None
    return None if isinstance(value, list) and not value else value


def _merged(values: list[Any]) -> list[Any]:
    """The parts of an f-string with neighbouring pieces of text joined: versions of Python cut them differently."""
    import ast

    result: list[Any] = []
    for value in values:
        if not isinstance(value, ast.Constant):
            result.append(value)
        elif result and isinstance(result[-1], ast.Constant):
            result[-1] = ast.Constant(str(result[-1].value) + str(value.value))
        elif value.value:
            result.append(value)
    return result


def _scalar(value: Any) -> bytes:
    """A leaf with its type (1, 1.0 and True differ) and its length, so that no two sequences read the same."""
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes):
        data = value
    elif isinstance(value, int):
        data = format(value, "x").encode()  # decimal text of huge numbers is limited by the interpreter
    else:
        data = repr(value).encode()
    return b"%s %d:%s" % (type(value).__name__.encode(), len(data), data)
