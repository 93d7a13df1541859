"""Type annotations as small lists that need no Python to understand: ``list[int]`` is ``["list", ["int"]]``.

Reading a module's source gives what is *written* (JSON-safe, so that it can be kept between runs): ``["ref", "t.Any", line]`` for a
name, ``["sub", "list", [T, …], line]`` for one with arguments, ``["union", [T, …]]``, ``["literal", [value, …]]``, ``["none"]``,
``["dots"]``, ``["unknown", text, line]``, and ``["any"]`` for no annotation. `code.resolve_name` follows names to what they
*mean*: ``["any"]``, ``["int"]``, ``["float"]``, ``["bool"]``, ``["str"]``, ``["path"]``, ``["none"]``, ``["decimal"]``, ``["date"]``, ``["datetime"]``,
``["time"]``, ``["timedelta"]``, ``["list", T]``, ``["set", T]``, ``["frozenset", T]``, ``["tuple", [T, …]]``, ``["tuple_of", T]``, ``["dict", K, V]``,
``["union", [T, …]]``, ``["literal", [value, …]]``, ``["enum", module, name, [[member, value], …]]``, and
``["unknown", text, place]`` for what is not understood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

Type = list[Any]

ANY: Type = ["any"]
NONE: Type = ["none"]


def parse_annotation(node: ast.expr | None, line: int = 0) -> Type:
    """What is written as an annotation; ``line`` is that of the text that it stands in, where it is quoted."""
    import ast

    if node is None:
        return ANY
    line = line or node.lineno
    if isinstance(node, ast.Constant):
        if node.value is None:
            return NONE
        if node.value is Ellipsis:
            return ["dots"]
        return _parse_text(node.value, line) if isinstance(node.value, str) else unknown(node, line)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return union([parse_annotation(node.left, line), parse_annotation(node.right, line)])
    if isinstance(node, ast.Subscript):
        name = dotted(node.value)
        arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name.rpartition(".")[2] == "Literal":
            return _literal(node, arguments, line)
        if name.rpartition(".")[2] == "Annotated":
            arguments = arguments[:1]
        return (
            ["sub", name, [parse_annotation(one, line) for one in arguments], line]
            if name
            else unknown(node, line)
        )
    name = dotted(node)
    return ["ref", name, line] if name else unknown(node, line)


def unknown(node: ast.expr, line: int) -> Type:
    """What is written there is no type."""
    import ast

    return ["unknown", ast.unparse(node)[:80], line]


def dotted(node: ast.expr) -> str:
    """``a.b.C`` as text; empty for anything that is no dotted name."""
    import ast

    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def is_class_variable(node: ast.expr) -> bool:
    """True for ``ClassVar[…]``, which is no parameter."""
    import ast

    return last_name(node.value if isinstance(node, ast.Subscript) else node) == "ClassVar"


def last_name(node: ast.expr) -> str:
    """``Optional`` of ``typing.Optional``; empty for what is no name."""
    import ast

    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def optional(kind: Type) -> Type:
    """``kind`` or None."""
    return union([kind, NONE])


def spell(kind: Type) -> str:
    """The type as a person writes it, for error messages."""
    name = kind[0]
    if name == "union":
        return " | ".join(spell(member) for member in kind[1])
    if name == "literal":
        return "one of " + ", ".join(str(value) for value in kind[1])
    if name == "tuple":
        return f"tuple[{', '.join(spell(member) for member in kind[1])}]"
    if name == "tuple_of":
        return f"tuple[{spell(kind[1])}, ...]"
    if name == "dict":
        return f"dict[{spell(kind[1])}, {spell(kind[2])}]"
    if name == "enum":
        return "one of " + ", ".join(str(value) for _, value in kind[3])
    if len(kind) == 2:
        return f"{name}[{spell(kind[1])}]"
    return {"path": "Path", "none": "None", "any": "Any"}.get(name, str(name))


def _parse_text(text: str, line: int) -> Type:
    """A quoted annotation."""
    import ast

    try:
        return parse_annotation(ast.parse(text.strip(), mode="eval").body, line)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ["unknown", repr(text)[:80], line]


def _literal(node: ast.expr, arguments: list[ast.expr], line: int) -> Type:
    import ast

    values: list[Any] = []
    for argument in arguments:
        try:
            value = ast.literal_eval(argument)
        except (ValueError, TypeError):
            return unknown(node, line)
        if not isinstance(value, (str, int, bool, type(None))):
            return unknown(node, line)
        values.append(value)
    return ["literal", values]


def union(members: list[Type]) -> Type:
    """One of ``members``; unions in it are taken apart."""
    flat: list[Type] = []
    for member in members:
        for kind in member[1] if member[0] == "union" else [member]:
            if kind not in flat:
                flat.append(kind)
    return flat[0] if len(flat) == 1 else ["union", flat]
