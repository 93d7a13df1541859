"""What a python step may be called with, read from the source of its function or class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from f0make.code.annotation import ANY, Type
from f0make.code.code_digest import CodeBase
from f0make.code.convert import Mismatch, convert
from f0make.code.missing_hints import suggestion
from f0make.code.module_shape import Field
from f0make.code.resolve_name import MAX_DEPTH, Definition, define, module_of, resolved
from f0make.errors import Problem, Where
from f0make.model import TEMPLATE_OPEN

BASE_CLASS = "BaseScriptlet"
CONTEXT = "ctx"
"""The parameter that f0make fills; no argument of a recipe may."""


@dataclass(slots=True)
class Signature:
    """The arguments that a step takes."""

    types: dict[str, Type] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    open: Type | None = None
    """The type of arguments that are not named; None when there are no others."""
    context: bool = False
    """A plain function with a parameter ``ctx``."""
    scriptlet: bool = False
    """A class derived from BaseScriptlet, rather than a plain function."""


UNCHECKED = Signature(open=ANY)
"""Of what the source does not tell: every argument is taken as written."""


def read_signature(base: CodeBase, module: str, function: str) -> Signature | Problem:
    """The signature of ``function`` in ``module``; a Problem (without place) when it is not there or no callable.

    ``module`` must have been found and be readable (see ``CodeBase.facts``).
    """
    found = base.shape(module)
    if found is None:
        return UNCHECKED
    source, shape = found
    if function not in shape.definitions and "__getattr__" in shape.definitions:
        return UNCHECKED
    definition = define(base, source, shape, function)
    if definition == "nothing":
        names = sorted(
            name for name, fact in shape.definitions.items() if fact["what"] in ("function", "class")
        )
        label = base.label(source)
        return Problem(f"{label} defines no '{function}'", hint=suggestion(function, names) or _listed(names))
    if not isinstance(definition, Definition) or definition.fact["what"] == "value":
        return UNCHECKED
    if definition.fact["what"] == "function":
        return _of_function(resolved(base, definition), function)
    if definition.fact["what"] == "import":
        return Problem(f"'{function}' in {base.label(source)} is a module, not a function or class")
    try:
        return _of_class(base, definition, function)
    except RecursionError:  # classes derived from each other in a circle: an error when it is imported
        return UNCHECKED


def convert_args(
    signature: Signature,
    args: dict[str, Any],
    where: Callable[[str], Where],
    *,
    rendered: bool = True,
) -> tuple[dict[str, Any], list[Problem]]:
    """``args`` as the signature asks for (JSON-safe, see ``rebuild``), and everything that is wrong with them.

    ``where`` gives the place of a key such as ``args.count`` or ``args.sizes[2]``. With ``rendered=False`` a
    value that holds a template is not looked at: it is checked when its instances are known.
    """
    typed: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in args.items():
        key = f"args.{name}"
        kind = signature.types.get(name, signature.open)
        if kind is None:
            message = f"unknown argument '{name}'"
            if name == CONTEXT and signature.context:
                message = "'ctx' is given by f0make, not by a recipe"
            hint = suggestion(name, signature.types) or _listed(list(signature.types))
            problems.append(Problem(message, where(key), key, hint))
        elif rendered or not has_template(value):
            try:
                typed[name] = convert(kind, value)
            except Mismatch as wrong:
                inner = key + wrong.key
                problems.append(Problem(wrong.message, where(inner), inner, wrong.hint))
    for name in signature.required:
        if name not in args:
            problems.append(
                Problem(f"the argument '{name}' is missing: it has no default", where("args"), "args")
            )
    return typed, problems


def has_template(value: Any) -> bool:
    """True when text in ``value`` holds a template."""
    if isinstance(value, list):
        return any(has_template(item) for item in value)
    if isinstance(value, dict):
        return any(has_template(item) for item in value.values())
    return isinstance(value, str) and TEMPLATE_OPEN in value


def _listed(names: list[str]) -> str:
    return f"known: {', '.join(names[:12])}" if names else "it takes none"


def _of_function(fields: list[Field], function: str) -> Signature | Problem:
    signature = Signature()
    for name, kind, needed, how in fields:
        if how == "kwargs":
            signature.open = kind
        elif name == CONTEXT:
            signature.context = True
        elif how == "positional" and needed:
            return Problem(
                f"'{function}' takes '{name}' by position only, and arguments are passed by name",
                hint=f"remove the / from the parameters of {function}",
            )
        elif how == "plain":
            signature.types[name] = kind
            if needed:
                signature.required.append(name)
    return signature


def _of_class(base: CodeBase, definition: Definition, function: str) -> Signature | Problem:
    if not _is_scriptlet(base, definition):
        return Problem(
            f"the class '{function}' is not derived from BaseScriptlet",
            hint="from scriptlets.core.base import BaseScriptlet",
        )
    fields = _params(base, definition)
    if fields is None:
        return Signature(open=ANY, scriptlet=True)
    types = {name: kind for name, kind, _, _ in fields}
    return Signature(types, [name for name, _, needed, _ in fields if needed], scriptlet=True)


def _bases(base: CodeBase, definition: Definition, names: list[str]) -> list[Definition | str]:
    """The definitions of base classes, given as dotted names in the module of ``definition``."""
    result: list[Definition | str] = []
    for dotted in names:
        head, _, rest = dotted.partition(".")
        found = define(base, definition.source, definition.shape, head) if head else "unknown"
        if isinstance(found, Definition) and rest:
            found = _attribute(base, found, rest)
        result.append(found)
    return result


def _attribute(base: CodeBase, found: Definition, rest: str) -> Definition | str:
    """``rest`` inside what a name stands for: a name in a module, or the Params of a class."""
    head, _, further = rest.partition(".")
    fact = found.fact
    inner: Definition | str = "unknown"
    if fact["what"] == "class" and head == "Params":
        fields = _params(base, found)
        if fields is not None:
            inner = Definition(
                found.source, found.shape, {"what": "class", "name": "", "fields": fields, "bases": []}
            )
    elif fact["what"] == "import":
        module = fact["module"]
        shape = base.shape(module)
        inner = define(base, *shape, head) if shape else "nothing"
        if inner == "nothing" and base.finder.locate(f"{module}.{head}"):
            inner = module_of(found.source, found.shape, f"{module}.{head}")
    return _attribute(base, inner, further) if further and isinstance(inner, Definition) else inner


def _is_scriptlet(base: CodeBase, definition: Definition, depth: int = 0) -> bool:
    """True when derived from BaseScriptlet, under whatever name, or from a class that cannot be seen."""
    fact = definition.fact
    names = [fact["name"], *(name.rpartition(".")[2] for name in fact["bases"])]
    if BASE_CLASS in names or depth > MAX_DEPTH:
        return True
    return any(
        parent == "unknown"
        or (
            isinstance(parent, Definition)
            and parent.fact["what"] == "class"
            and _is_scriptlet(base, parent, depth + 1)
        )
        for parent in _bases(base, definition, fact["bases"])
    )


def _params(base: CodeBase, definition: Definition, depth: int = 0) -> list[Field] | None:
    """The fields of the class's Params, or of the first base that has one; None when arguments are free."""
    fact = definition.fact
    if depth > MAX_DEPTH:
        return None
    if fact.get("params"):
        own = fact["params"]
        return _fields(base, definition, resolved(base, definition, own["fields"]), own["bases"])
    for parent in _bases(base, definition, fact.get("bases", [])):
        if isinstance(parent, Definition) and parent.fact["what"] == "class":
            found = _params(base, parent, depth + 1)
            if found is not None:
                return found
    return None


def _fields(
    base: CodeBase, definition: Definition, own: list[Field], bases: list[str], depth: int = 0
) -> list[Field] | None:
    """Fields with those of the base classes before them; None when a base cannot be seen."""
    fields: dict[str, Field] = {}
    for parent in reversed(_bases(base, definition, [name for name in bases if name not in _EMPTY_BASES])):
        if not isinstance(parent, Definition) or "fields" not in parent.fact or depth > MAX_DEPTH:
            return None
        inherited = _fields(base, parent, resolved(base, parent), parent.fact["bases"], depth + 1)
        if inherited is None:
            return None
        fields.update((item[0], item) for item in inherited)
    fields.update((item[0], item) for item in own)
    return list(fields.values())


_EMPTY_BASES = frozenset(
    {"object", "Protocol", "Generic", "NamedTuple", "TypedDict", "typing.NamedTuple", "typing.TypedDict"}
)
