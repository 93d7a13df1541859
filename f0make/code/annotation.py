"""Type annotations as small lists that need no Python to understand: ``list[int]`` is ``["list", ["int"]]``.

The forms (JSON-safe, so that they can be kept between runs):
``["any"]``, ``["int"]``, ``["float"]``, ``["bool"]``, ``["str"]``, ``["path"]``, ``["none"]``, ``["list", T]``,
``["set", T]``, ``["frozenset", T]``, ``["tuple", [T, …]]``, ``["tuple_of", T]``, ``["dict", K, V]``,
``["union", [T, …]]``, ``["literal", [value, …]]``. Whatever is not understood is ``["any"]``: text stays text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

Type = list[Any]

ANY: Type = ["any"]
NONE: Type = ["none"]

_SCALARS = {"int": "int", "float": "float", "bool": "bool", "str": "str", "None": "none", "NoneType": "none"}
_PATHS = {"Path", "PurePath", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"}
_LISTS = {"list", "List", "Sequence", "MutableSequence", "Iterable", "Collection", "Reversible"}
_SETS = {
    "set": "set",
    "Set": "set",
    "MutableSet": "set",
    "AbstractSet": "set",
    "frozenset": "frozenset",
    "FrozenSet": "frozenset",
}
_MAPS = {"dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "DefaultDict", "defaultdict"}
_WRAPPERS = {"Annotated", "Final", "Required", "NotRequired", "InitVar", "ReadOnly"}


def parse_annotation(node: ast.expr | None) -> Type:
    """The type that an annotation stands for."""
    import ast

    if node is None:
        return ANY
    if isinstance(node, ast.Constant):
        if node.value is None:
            return NONE
        return _parse_text(node.value) if isinstance(node.value, str) else ANY
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([parse_annotation(node.left), parse_annotation(node.right)])
    if isinstance(node, ast.Subscript):
        arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return _generic(last_name(node.value), arguments)
    return _plain(last_name(node))


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
    return _union([kind, NONE])


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
    if len(kind) == 2:
        return f"{name}[{spell(kind[1])}]"
    return {"path": "Path", "none": "None", "any": "Any"}.get(name, str(name))


def _parse_text(text: str) -> Type:
    """A quoted annotation."""
    import ast

    try:
        return parse_annotation(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError):
        return ANY


def _plain(name: str) -> Type:
    if name in _SCALARS:
        return [_SCALARS[name]]
    if name in _PATHS:
        return ["path"]
    if name in _LISTS:
        return ["list", ANY]
    if name in _SETS:
        return [_SETS[name], ANY]
    if name in _MAPS:
        return ["dict", ANY, ANY]
    return ["tuple_of", ANY] if name in ("tuple", "Tuple") else ANY


def _generic(name: str, arguments: list[ast.expr]) -> Type:
    import ast

    if name == "Literal":
        return _literal(arguments)
    if name in _WRAPPERS:
        return parse_annotation(arguments[0])
    kinds = [parse_annotation(argument) for argument in arguments]
    if name == "Optional":
        return optional(kinds[0])
    if name == "Union":
        return _union(kinds)
    if name in ("tuple", "Tuple"):
        if len(arguments) == 2 and isinstance(arguments[1], ast.Constant) and arguments[1].value is Ellipsis:
            return ["tuple_of", kinds[0]]
        return ["tuple", kinds]
    if name in _LISTS:
        return ["list", kinds[0]]
    if name in _SETS:
        return [_SETS[name], kinds[0]]
    if name in _MAPS and len(kinds) == 2:
        return ["dict", *kinds]
    return ["path"] if name == "PathLike" else ANY


def _literal(arguments: list[ast.expr]) -> Type:
    import ast

    values: list[Any] = []
    for argument in arguments:
        try:
            value = ast.literal_eval(argument)
        except (ValueError, TypeError):
            return ANY
        if not isinstance(value, (str, int, bool, type(None))):
            return ANY
        values.append(value)
    return ["literal", values]


def _union(members: list[Type]) -> Type:
    flat: list[Type] = []
    for member in members:
        for kind in member[1] if member[0] == "union" else [member]:
            if kind not in flat:
                flat.append(kind)
    return flat[0] if len(flat) == 1 else ["union", flat]
