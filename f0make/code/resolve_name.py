"""What a name in a module stands for, followed through imports and aliases, and what its annotations mean by that.

Only sources are read. A name of the standard library's that types are made with (``typing``, ``pathlib``, ``datetime``, …) is known by the module that
it is imported from, so ``import typing as t`` and ``from pathlib import Path as P`` are understood, and a workspace's own ``List`` is its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from f0make.code.annotation import ANY, NONE, Type, spell, union
from f0make.code.code_digest import CodeBase, absolute_name
from f0make.code.find_module import Source
from f0make.code.module_shape import Field, Shape

MAX_DEPTH = 20
"""How many imports, aliases and base classes are followed: far more than real code has, and an end to circles."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A name with the module that really defines it."""

    source: Source
    shape: Shape
    fact: dict[str, Any]


_TYPING = ("typing", "typing_extensions", "collections.abc", "collections", "builtins", "types")
_BUILTINS = {
    "int": ["int"],
    "float": ["float"],
    "bool": ["bool"],
    "str": ["str"],
    "object": ANY,
    "list": ["list", ANY],
    "set": ["set", ANY],
    "frozenset": ["frozenset", ANY],
    "dict": ["dict", ANY, ANY],
    "tuple": ["tuple_of", ANY],
}
_LISTS = frozenset({"List", "Sequence", "MutableSequence", "Iterable", "Collection", "Reversible"})
_SETS = {"Set": "set", "MutableSet": "set", "AbstractSet": "set", "FrozenSet": "frozenset"}
_MAPS = frozenset({"Dict", "Mapping", "MutableMapping", "OrderedDict", "DefaultDict", "defaultdict"})
_WRAPPERS = frozenset({"Annotated", "Final", "Required", "NotRequired", "ReadOnly"})
_PATHS = frozenset({"Path", "PurePath", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"})
_ENUMS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"})
_STANDARD: dict[tuple[str, str], Type] = {
    **{("typing", name): ["list", ANY] for name in _LISTS},
    **{("typing", name): [kind, ANY] for name, kind in _SETS.items()},
    **{("typing", name): ["dict", ANY, ANY] for name in _MAPS},
    **{("typing", name): kind for name, kind in _BUILTINS.items()},
    **{("pathlib", name): ["path"] for name in _PATHS},
    **{("datetime", name): [name] for name in ("date", "datetime", "time", "timedelta")},
    ("typing", "Tuple"): ["tuple_of", ANY],
    ("typing", "Any"): ANY,
    ("typing", "Text"): ["str"],
    ("typing", "LiteralString"): ["str"],
    ("typing", "AnyStr"): ["str"],
    ("typing", "NoneType"): NONE,
    ("decimal", "Decimal"): ["decimal"],
    ("os", "PathLike"): ["path"],
}
"""(module, name) -> what it means without arguments; all that one imports types from counts as ``typing``."""
_KNOWN = frozenset({*_TYPING, "pathlib", "datetime", "decimal", "os", "enum", "dataclasses"})
"""Modules whose names are known by themselves: their source is not looked into."""


def define(base: CodeBase, source: Source, shape: Shape, name: str, depth: int = 0) -> Definition | str:
    """Follow ``name`` through imports to its definition; ``nothing`` when the module has no such name,
    ``unknown`` when it comes from where no source can be read."""
    fact = shape.definitions.get(name)
    if depth > MAX_DEPTH:
        return "unknown"
    if fact is None:
        return _from_stars(base, source, shape, name, depth)
    if fact["what"] != "import":
        return Definition(source, shape, fact)
    target = absolute_name(source, fact["level"], fact["module"])
    if not fact["name"]:
        return module_of(source, shape, fact["module"])
    found = base.shape(target)
    result = define(base, *found, fact["name"], depth + 1) if found else "nothing"
    if result == "nothing":
        submodule = f"{target}.{fact['name']}"
        return module_of(source, shape, submodule) if base.finder.locate(submodule) else "unknown"
    return result


def module_of(source: Source, shape: Shape, name: str) -> Definition:
    """A name that stands for the module ``name``."""
    return Definition(source, shape, {"what": "import", "module": name})


def _from_stars(base: CodeBase, source: Source, shape: Shape, name: str, depth: int) -> Definition | str:
    answer: Definition | str = "nothing"
    for level, module in shape.stars:
        found = base.shape(absolute_name(source, level, module))
        result = define(base, *found, name, depth + 1) if found else "unknown"
        if isinstance(result, Definition):
            return result
        if result == "unknown":
            answer = result
    return answer


def resolved(base: CodeBase, definition: Definition, fields: list[Field] | None = None) -> list[Field]:
    """``fields`` (by default those of ``definition``) with what their annotations mean in its module."""
    resolver = _Resolver(base)
    return [
        (
            name,
            kind if kind == ANY else resolver.meaning(kind, definition.source, definition.shape),
            needed,
            how,
        )
        for name, kind, needed, how in (definition.fact["fields"] if fields is None else fields)
    ]


class _Resolver:
    def __init__(self, base: CodeBase) -> None:
        self.base = base

    def meaning(self, kind: Type, source: Source, shape: Shape, depth: int = 0) -> Type:
        """What ``kind``, written in the module ``shape``, means."""
        if kind[0] == "union":
            return union([self.meaning(member, source, shape, depth) for member in kind[1]])
        if kind[0] == "ref":
            return self._name(kind, kind[1], source, shape, depth)
        if kind[0] == "sub":
            return self._generic(kind, source, shape, depth)
        if kind[0] in ("unknown", "dots"):
            return self._unknown(kind[1] if len(kind) > 1 else "...", kind, source)
        return kind

    def _unknown(self, text: str, kind: Type, source: Source) -> Type:
        line = f":{kind[-1]}" if len(kind) > 1 else ""
        return ["unknown", text, f"{self.base.label(source)}{line}"]

    def _name(self, kind: Type, name: str, source: Source, shape: Shape, depth: int) -> Type:
        standard = self._standard(name, source, shape)
        if standard is not None:
            meant = _STANDARD.get(standard)
            return meant if meant is not None else self._unknown(name, kind, source)
        found = self._find(name, source, shape)
        if isinstance(found, Definition) and depth < MAX_DEPTH:
            fact = found.fact
            if fact["what"] == "value" and "type" in fact:
                meant = self.meaning(fact["type"], found.source, found.shape, depth + 1)
                return self._unknown(name, kind, source) if meant[0] == "unknown" else meant
            if fact["what"] == "class":
                members = self._members(found, depth)
                if members:
                    return ["enum", found.source.name, fact["name"], members]
        return self._unknown(name, kind, source)

    def _generic(self, kind: Type, source: Source, shape: Shape, depth: int) -> Type:
        _, name, arguments, _ = kind
        standard = self._standard(name, source, shape)
        if standard is None:
            return self._unknown(spell_written(kind), kind, source)
        module, last = standard
        if module == "dataclasses" and last == "InitVar":
            module, last = "typing", "Final"
        kinds = [ANY if one == ["dots"] else self.meaning(one, source, shape, depth) for one in arguments]
        for one in kinds:
            if one[0] == "unknown":
                return one
        if module == "os" and last == "PathLike":
            return ["path"]
        if module != "typing" or not kinds:
            return self._unknown(spell_written(kind), kind, source)
        return _made(last, kinds, arguments) or self._unknown(spell_written(kind), kind, source)

    def _standard(self, name: str, source: Source, shape: Shape) -> tuple[str, str] | None:
        """(module, name) of what the standard library offers for types; None for what is the workspace's own."""
        head, _, rest = name.partition(".")
        fact = shape.definitions.get(head)
        if fact is None:
            if not rest and head in _BUILTINS:
                return "typing", head
            for level, module in shape.stars:
                if not level and module in _KNOWN and (_canonical(module), head) in _STANDARD:
                    return _canonical(module), head
            return None
        if fact["what"] != "import" or fact.get("level"):
            return None
        full = ".".join(part for part in (fact["module"], fact["name"], rest) if part)
        module, _, last = full.rpartition(".")
        return (_canonical(module), last) if module in _KNOWN else None

    def _find(self, name: str, source: Source, shape: Shape) -> Definition | str:
        head, *rest = name.split(".")
        found = define(self.base, source, shape, head)
        for part in rest:
            if not isinstance(found, Definition) or found.fact["what"] != "import":
                return "unknown"
            inside = self.base.shape(found.fact["module"])
            if inside is None:
                return "unknown"
            found = define(self.base, *inside, part)
        return found

    def _members(self, found: Definition, depth: int) -> list[list[Any]]:
        """(name, value) of an enum's members, where the class is one and all of them can be written in a recipe."""
        kind = self._enum_kind(found, depth)
        members: list[list[Any]] = []
        for name, how, *value in found.fact["members"] if kind else ():
            if how == "other":
                return []
            members.append([name, value[0] if value else _automatic(kind, name, members)])
        return members

    def _enum_kind(self, found: Definition, depth: int) -> str:
        """Which of the standard library's enums a class is derived from; empty for none."""
        if found.fact["what"] != "class" or depth > MAX_DEPTH:
            return ""
        for name in found.fact["bases"]:
            standard = self._standard(name, found.source, found.shape) if name else None
            if standard is not None and standard[0] == "enum" and standard[1] in _ENUMS:
                return standard[1]
            parent = self._find(name, found.source, found.shape) if name else "unknown"
            if isinstance(parent, Definition) and (kind := self._enum_kind(parent, depth + 1)):
                return kind
        return ""


def _canonical(module: str) -> str:
    return "typing" if module in _TYPING else module


def _automatic(kind: str, name: str, before: list[list[Any]]) -> Any:
    """The value of ``auto()``."""
    if kind == "StrEnum":
        return name.lower()
    numbers = [value for _, value in before if isinstance(value, int)]
    if kind in ("Flag", "IntFlag"):
        return 1 << max(numbers).bit_length() if numbers else 1
    return max(numbers) + 1 if numbers else 1


def _made(name: str, kinds: list[Type], written: list[Type]) -> Type | None:
    """``name[kinds]`` for a name of ``typing`` or a builtin; None for what is not understood."""
    if name in _WRAPPERS:
        return kinds[0]
    if name == "Optional":
        return union([kinds[0], NONE])
    if name == "Union":
        return union(kinds)
    if name in ("tuple", "Tuple"):
        dots = [one == ["dots"] for one in written]
        if any(dots):
            return ["tuple_of", kinds[0]] if dots == [False, True] else None
        return ["tuple", kinds]
    if (name in _LISTS or name == "list") and len(kinds) == 1:
        return ["list", kinds[0]]
    if (name in _SETS or name in ("set", "frozenset")) and len(kinds) == 1:
        return [_SETS.get(name, name), kinds[0]]
    return ["dict", *kinds] if (name in _MAPS or name == "dict") and len(kinds) == 2 else None


def spell_written(kind: Type) -> str:
    """A type as it is written in a source, shortened."""
    if kind[0] == "ref":
        return str(kind[1])
    if kind[0] == "sub":
        return f"{kind[1]}[{', '.join(map(spell_written, kind[2]))}]"[:80]
    if kind[0] == "union":
        return " | ".join(map(spell_written, kind[1]))
    return "..." if kind[0] == "dots" else str(kind[1]) if kind[0] == "unknown" else spell(kind)
