"""A validated entry of `steps`: from what the schema let through to `Step`, and to and from plain data."""

from __future__ import annotations

from collections.abc import Callable

from f0make.model import Foreach, Mark, PathDecl, Step, Success
from f0make.recipe.keys import STEP_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

_CHANGING = (dict, list)

_FIELDS = frozenset(Step.__slots__)

Packed: TypeAlias = "tuple[dict[str, Any], dict[str, Mark]]"
"""A step as marshal can write it: fields, and marks relative to the step's first line."""


def build_fields(values: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `Step` (without file and marks) for a conformed entry of `steps`, in plain data."""
    fields = {key: _plain(key, value) for key, value in values.items()}
    fields.setdefault("name", "")
    fields.setdefault("type", "shell" if "run" in values else "python" if "module" in values else "gather")
    return fields


def _plain(key: str, value: Any) -> Any:
    build = _BUILDERS.get(key)
    if build is not None:
        return build(value)
    return as_list(value) if STEP_KEYS[key].listed else value


def make_step(fields: dict[str, Any], file: str, marks: dict[str, Mark]) -> Step:
    """The `Step` for `build_fields`' result, with which it shares nothing that can change."""
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in fields.items():
        if key == "inputs" or key == "outputs":
            values[key] = [PathDecl(*path) for path in value]
        elif key == "foreach":
            values[key] = [
                Foreach(variables, kind, _copy(source), after, path, columns, optional)
                for variables, kind, source, after, path, columns, optional in value
            ]
        elif key == "success":
            values[key] = Success(list(value[0]), value[1], list(value[2]))
        else:
            into = values if key in _FIELDS else extra
            into[key] = _copy(value) if type(value) in _CHANGING else value
    return Step(file=file, marks=marks, extra=extra, **values)


def pack_step(fields: dict[str, Any], marks: dict[str, Mark], offset: int) -> Packed:
    """A step for the cache, its marks relative to line ``offset``."""
    return fields, {
        key: (first - offset, column, last - offset) for key, (first, column, last) in marks.items()
    }


def unpack_step(packed: Packed, file: str, offset: int) -> Step:
    """The step of `pack_step`, now beginning below line ``offset``."""
    fields, marks = packed
    moved = {key: (first + offset, column, last + offset) for key, (first, column, last) in marks.items()}
    return make_step(fields, file, moved)


def _copy(value: Any) -> Any:
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    if type(value) is list:
        return [_copy(item) for item in value]
    return value


Declared: TypeAlias = "tuple[str, str, str | None, bool, bool, bool, bool]"
"""The arguments of PathDecl."""


def as_list(value: Any) -> list[Any]:
    """``value`` if it is a list, a list of it otherwise."""
    return value if isinstance(value, list) else [value]


def variables_of(key: str) -> tuple[str, ...]:
    """The variables that a key of `foreach` binds: "id, read" binds two."""
    return tuple(part.strip() for part in key.split(","))


def _paths(value: Any, key: str) -> list[Declared]:
    """The arguments of PathDecl for each path of `inputs` or `outputs`, in the order written."""
    if isinstance(value, str):
        return [(value, key, None, False, False, False, False)]
    # Not two named inputs, one of them a file called `yes`.
    if key == "inputs" and _is_glob(value):
        return [_path({**value, "optional": value["optional"] == "yes"}, key, None, False)]
    if isinstance(value, list):
        return [_path(item, f"{key}[{n}]", None, False) for n, item in enumerate(value) if item is not None]
    paths = []
    for name, under in value.items():
        if isinstance(under, list):
            paths += [
                _path(item, f"{key}.{name}[{n}]", name, False)
                for n, item in enumerate(under)
                if item is not None
            ]
        else:
            paths.append(_path(under, f"{key}.{name}", name, True))
    return paths


def _is_glob(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"glob", "optional"}
        and value["optional"] in ("yes", "no")
    )


def _path(value: Any, key: str, group: str | None, single: bool) -> Declared:
    if isinstance(value, str):
        return (value, key, group, single, False, False, False)
    if "glob" in value:
        return (value["glob"], f"{key}.glob", group, single, False, False, value.get("optional", False))
    text = value.get("path", "")
    return (
        *(text, f"{key}.path", group, single),
        *(value.get("temp", False), value.get("protected", False), False),
    )


def _foreach(
    name: str, source: Any
) -> tuple[tuple[str, ...], str, list[Any], str | None, str, tuple[str, ...], bool]:
    """The arguments of Foreach for one entry."""
    variables = variables_of(name)
    key = f"foreach.{name}"
    if isinstance(source, list):
        rows = source if len(variables) == 1 else [_row(row) for row in source]
        return (variables, "list", rows, None, key, (), False)
    kind = next((kind for kind in ("glob", "table", "range") if kind in source), "glob")
    return (
        variables,
        kind,
        [source.get(kind, "")],
        source.get("after"),
        key,
        tuple(as_list(source.get("key", ()) or [])),
        source.get("optional", False),
    )


def _row(row: Any) -> Any:
    """A row for several variables may be written `a, 1`; a template is left to be evaluated first."""
    if isinstance(row, str) and "${{" not in row:
        return [part.strip() for part in row.split(",")]
    return row


def _success(value: dict[str, Any]) -> tuple[list[Any], Any, list[Any]]:
    """The arguments of Success."""
    return (
        as_list(value.get("ctx_has_keys", [])),
        value.get("not_empty", False),
        as_list(value.get("exit_codes", [])),
    )


_BUILDERS: dict[str, Callable[[Any], Any]] = {
    "allow": lambda value: {kind: as_list(paths) for kind, paths in value.items()},
    "inputs": lambda value: _paths(value, "inputs"),
    "outputs": lambda value: _paths(value, "outputs"),
    "foreach": lambda value: [_foreach(name, source) for name, source in value.items()],
    "success": _success,
}
"""What brings keys with a form of their own into that of Step's field."""
