"""What one parse of a module yields, in plain values that can be kept between runs.

A :class:`Shape` is a function of the file's bytes alone, so it is remembered by their digest, and a run in
which no module changed parses none.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from f0make.code.annotation import (
    ANY,
    NONE,
    Type,
    dotted,
    is_class_variable,
    last_name,
    optional,
    parse_annotation,
)

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

FORMAT = 4
"""Raise it when the meaning of a remembered shape changes: older ones are then parsed anew."""

Import = tuple[int, str, list[str], bool]
"""(level, module, names, unconditional): ``from ..a import b`` is ``(2, "a", ["b"], …)``, ``import a.b`` is
``(0, "a.b", [], …)``. Unconditional: a statement of the module's own body, so importing the module runs it."""

Field = tuple[str, Type, bool, str]
"""(name, type, required, kind); kind is ``plain``, ``positional``, ``args`` or ``kwargs``."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The facts about one module's text."""

    digest: str
    """Of the syntax tree."""
    imports: list[Import]
    exports: list[str]
    """Text found in ``__all__``."""
    definitions: dict[str, dict[str, Any]]
    """Top-level names. ``what`` is ``function`` (with ``fields``, ``sets``), ``class`` (``name``, ``bases``, ``params``, ``fields``, ``sets``),
    ``import`` (``level``, ``module``, ``name``) or ``value`` (``type``: what is written there, where it may be a type)."""
    stars: list[tuple[int, str]]
    """``from X import *`` at the top level: (level, module)."""

    def as_plain(self) -> list[Any]:
        """The shape as lists and maps, for :meth:`from_plain`."""
        return [FORMAT, self.digest, self.imports, self.exports, self.definitions, self.stars]

    @classmethod
    def from_plain(cls, plain: Any) -> Shape | None:
        """What :meth:`as_plain` gave; None when it is of another format or no such thing."""
        if not isinstance(plain, (list, tuple)) or len(plain) != 6 or plain[0] != FORMAT:
            return None
        return cls(*plain[1:])


def read_shape(source: bytes) -> Shape:
    """Parse ``source``. Raises SyntaxError (also for bytes that are no text) and RecursionError."""
    import ast
    import warnings

    from f0make.code.canonical import tree_digest

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes in the user's code: not f0make's to report
            tree = ast.parse(source)
    except ValueError as error:  # null bytes, an unknown encoding
        raise SyntaxError(str(error)) from None
    imports, exports = _imports(tree)
    definitions: dict[str, dict[str, Any]] = {}
    stars: list[tuple[int, str]] = []
    for node in _flattened(tree.body):
        _define(node, definitions, stars)
    return Shape(tree_digest(tree), imports, exports, definitions, stars)


def _imports(tree: ast.Module) -> tuple[list[Import], list[str]]:
    """Every import anywhere in the module, also those by literal name, and the texts of ``__all__``."""
    import ast

    own = {id(node) for node in tree.body}
    imports: list[Import] = []
    exports: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, [], id(node) in own) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            imports.append((node.level, node.module or "", names, id(node) in own))
        elif isinstance(node, ast.Call) and last_name(node.func) in ("import_module", "__import__"):
            imports += _literal_import(node)
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) and id(node) in own:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if (
                any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)
                and node.value
            ):
                exports += [
                    c.value
                    for c in ast.walk(node.value)
                    if isinstance(c, ast.Constant) and isinstance(c.value, str)
                ]
    return imports, exports


def _literal_import(call: ast.Call) -> list[Import]:
    """``import_module("a.b")``, ``import_module(".b", __package__)``, ``__import__("a")``."""
    import ast

    first = call.args[0] if call.args else None
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str) or not first.value:
        return []
    name = first.value.lstrip(".")
    return [(len(first.value) - len(name), name, [], False)]


def _flattened(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, those inside if, try, with and loops included."""
    import ast

    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node
            continue
        yield node
        for name in ("body", "orelse", "finalbody"):
            yield from _flattened(getattr(node, name, []))
        for handler in getattr(node, "handlers", []):
            yield from _flattened(handler.body)


def _sets(definition: ast.AST) -> list[str]:
    """Context keys that the definition sets by a literal name: ``ctx.set("key", …)``, also ``self.ctx.set``."""
    import ast

    keys = set()
    for node in ast.walk(definition):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        first = node.args[0]
        if (
            node.func.attr == "set"
            and last_name(node.func.value) == "ctx"
            and isinstance(first, ast.Constant)
        ):
            keys.add(first.value)
    return sorted(key for key in keys if isinstance(key, str))


def _define(node: ast.stmt, definitions: dict[str, dict[str, Any]], stars: list[tuple[int, str]]) -> None:
    import ast

    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        definitions[node.name] = {"what": "function", "fields": _parameters(node.args), "sets": _sets(node)}
    elif isinstance(node, ast.ClassDef):
        definitions[node.name] = {**_class(node), "sets": _sets(node)}
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            if alias.name == "*":
                stars.append((node.level, node.module or ""))
                continue
            origin = {"what": "import", "level": node.level, "module": node.module or "", "name": alias.name}
            definitions[alias.asname or alias.name] = origin
    elif isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            module = alias.name if alias.asname else name
            definitions[name] = {"what": "import", "level": 0, "module": module, "name": ""}
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for leaf in ast.walk(target):
                if isinstance(leaf, ast.Name):
                    definitions[leaf.id] = {"what": "value"}
        kind = _written_type(node.value)
        if kind is not None and len(targets) == 1 and isinstance(targets[0], ast.Name):
            definitions[targets[0].id]["type"] = kind
    elif sys.version_info >= (3, 12) and isinstance(node, ast.TypeAlias) and not node.type_params:
        definitions[node.name.id] = {"what": "value", "type": parse_annotation(node.value)}


def _written_type(value: ast.expr | None) -> Type | None:
    """The type that ``Name = value`` may give a name to; None where ``value`` is surely none."""
    import ast

    if isinstance(value, ast.Call):
        name = last_name(value.func)
        if name in ("NewType", "TypeAliasType") and len(value.args) == 2:
            return parse_annotation(value.args[1])
        return ANY if name in ("TypeVar", "ParamSpec") else None
    if isinstance(value, ast.Constant) and not isinstance(value.value, str):
        return None
    if isinstance(value, (ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.Constant)):
        return parse_annotation(value)
    return None


def _members(node: ast.ClassDef) -> list[list[Any]]:
    """What may be members of an enum: ``[name, "value", 3]``, ``[name, "auto"]``, or ``[name, "other"]`` for what no recipe can write."""
    import ast

    found: list[list[Any]] = []
    for item in node.body:
        if (
            not isinstance(item, ast.Assign)
            or len(item.targets) != 1
            or not isinstance(item.targets[0], ast.Name)
        ):
            continue
        name = item.targets[0].id
        if name.startswith("_"):
            continue
        value: Any = "other"
        if isinstance(item.value, ast.Call) and last_name(item.value.func) == "auto":
            value = "auto"
        else:
            try:
                literal = ast.literal_eval(item.value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                literal = None
            if isinstance(literal, (str, int, float)):
                found.append([name, "value", literal])
                continue
        found.append([name, value])
    return found


def _class(node: ast.ClassDef) -> dict[str, Any]:
    import ast

    own: dict[str, ast.stmt] = {}
    for item in node.body:
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            own[item.name] = item
    params = own.get("Params")
    return {
        "what": "class",
        "name": node.name,
        "bases": [_dotted(base) for base in node.bases],
        "params": (
            {"fields": _fields(params), "bases": [_dotted(base) for base in params.bases]}
            if isinstance(params, ast.ClassDef)
            else None
        ),
        "fields": _fields(node),
        "members": _members(node),
    }


def _dotted(node: ast.expr) -> str:
    """`dotted`; ``Generic[T]`` counts as ``Generic``."""
    import ast

    return dotted(node.value if isinstance(node, ast.Subscript) else node)


def _fields(node: ast.ClassDef) -> list[Field]:
    """The annotated names of a class, and its plain ones (which have a default and no type)."""
    import ast

    fields: dict[str, Field] = {}
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            if not is_class_variable(item.annotation):
                kind = _with_default(parse_annotation(item.annotation), item.value)
                fields[item.target.id] = (item.target.id, kind, _is_required(item.value), "plain")
        elif isinstance(item, ast.Assign):
            for target in item.targets:
                if isinstance(target, ast.Name) and not target.id.startswith("_"):
                    fields[target.id] = (target.id, ANY, False, "plain")
    return list(fields.values())


def _is_required(value: ast.expr | None) -> bool:
    """True without a default; ``field(repr=False)`` gives none either."""
    import ast

    if isinstance(value, ast.Call) and last_name(value.func) in ("field", "Field"):
        return not value.args and not any(k.arg in ("default", "default_factory") for k in value.keywords)
    return value is None


def _with_default(kind: Type, value: ast.expr | None) -> Type:
    """``x: int = None`` means that None is fine."""
    import ast

    return (
        optional(kind)
        if isinstance(value, ast.Constant) and value.value is None and kind not in (ANY, NONE)
        else kind
    )


def _parameters(arguments: ast.arguments) -> list[Field]:
    fields: list[Field] = []
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults += arguments.defaults
    pairs = [
        *zip(positional, defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    for index, (argument, default) in enumerate(pairs):
        kind = _with_default(parse_annotation(argument.annotation), default)
        how = "positional" if index < len(arguments.posonlyargs) else "plain"
        fields.append((argument.arg, kind, default is None, how))
    for extra, how in ((arguments.vararg, "args"), (arguments.kwarg, "kwargs")):
        if extra:
            fields.append((extra.arg, parse_annotation(extra.annotation), False, how))
    return fields
