"""Text from a recipe to the type that an annotation asks for.

``null`` (also empty text) is None where None is allowed; where text is allowed as well, only ``null`` is. The
members of a union are tried in the order written. bool takes the words of YAML 1.1 in any case of letters.
Results are JSON-safe: see ``rebuild``.
"""

from __future__ import annotations

from typing import Any

from f0make.code.annotation import Type, spell
from f0make.code.rebuild import marked, shielded

TRUE = frozenset({"yes", "true", "on", "y", "1"})
FALSE = frozenset({"no", "false", "off", "n", "0"})


class Mismatch(Exception):
    """A value that is not of its type; ``key`` is the place inside the value (``[2]``, ``.name``)."""

    def __init__(self, message: str, key: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.key, self.hint = message, key, hint

    def inside(self, key: str) -> Mismatch:
        """The same, seen from the list or map that holds the value at ``key``."""
        return Mismatch(self.message, key + self.key, self.hint)


def convert(kind: Type, value: Any) -> Any:
    """``value`` (text, or lists and maps of text) as ``kind``. Raises Mismatch."""
    return _CONVERTERS[kind[0]](kind, value)


def _wrong(kind: Type, value: Any, wanted: str = "") -> Mismatch:
    what = "a list" if isinstance(value, list) else "a map" if isinstance(value, dict) else f"'{value}'"
    return Mismatch(f"{what} is not {wanted or spell(kind)}")


def _any(kind: Type, value: Any) -> Any:
    if isinstance(value, list):
        return [_any(kind, item) for item in value]
    if isinstance(value, dict):
        return shielded({key: _any(kind, item) for key, item in value.items()})
    return value


def _int(kind: Type, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(value if isinstance(value, str) else "")
    except ValueError:
        raise _wrong(kind, value, "an integer") from None


def _float(kind: Type, value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    try:
        return float(value if isinstance(value, str) else "")
    except ValueError:
        raise _wrong(kind, value, "a number") from None


def _bool(kind: Type, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if word not in TRUE and word not in FALSE:
        raise _wrong(kind, value, "yes or no")
    return word in TRUE


def _str(kind: Type, value: Any) -> str:
    if isinstance(value, (list, dict)):
        raise _wrong(kind, value, "one text")
    return str(value)


def _path(kind: Type, value: Any) -> dict[str, Any]:
    return marked("path", _str(kind, value))


def _none(kind: Type, value: Any) -> None:
    if value is not None and str(value).strip().lower() not in ("", "null", "none", "~"):
        raise _wrong(kind, value, "null")


def _list(kind: Type, value: Any) -> list[Any]:
    return _items(kind, [kind[1]], value)


def _set(kind: Type, value: Any) -> dict[str, Any]:
    unique: list[Any] = []
    for item in _items(kind, [kind[1]], value):
        if item not in unique:
            unique.append(item)
    return marked(kind[0], sorted(unique, key=repr))  # a set has no order: nor may its key in the cache


def _tuple(kind: Type, value: Any) -> dict[str, Any]:
    members = kind[1]
    if isinstance(value, list) and len(value) != len(members):
        raise Mismatch(f"{len(value)} items where {spell(kind)} has {len(members)}")
    return marked("tuple", _items(kind, members, value))


def _tuple_of(kind: Type, value: Any) -> dict[str, Any]:
    return marked("tuple", _items(kind, [kind[1]], value))


def _items(kind: Type, members: list[Type], value: Any) -> list[Any]:
    """The items of a list, each as its own member type (one member type: all of them)."""
    if not isinstance(value, list):
        raise _wrong(kind, value, f"a list ({spell(kind)})")
    result = []
    for index, item in enumerate(value):
        try:
            result.append(convert(members[index if len(members) > 1 else 0], item))
        except Mismatch as mismatch:
            raise mismatch.inside(f"[{index}]") from None
    return result


def _dict(kind: Type, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(kind, value, f"a map ({spell(kind)})")
    pairs = []
    for key, item in value.items():
        try:
            pairs.append((convert(kind[1], key), convert(kind[2], item)))
        except Mismatch as mismatch:
            raise mismatch.inside(f".{key}") from None
    if all(isinstance(key, str) for key, _ in pairs):
        return shielded(dict(pairs))
    return marked("dict", [[key, item] for key, item in pairs])


def _union(kind: Type, value: Any) -> Any:
    members = kind[1]
    if ["none"] in members:
        words = ("null",) if ["str"] in members or ["any"] in members else ("", "null", "none", "~")
        if value is None or (isinstance(value, str) and value.strip().lower() in words):
            return None
    others = sorted((member for member in members if member != ["none"]), key=lambda m: m[0] == "unknown")
    if len(others) == 1:
        return convert(others[0], value)
    for member in others:
        try:
            return convert(member, value)
        except Mismatch:
            if member[0] == "unknown":
                raise
            continue
    raise _wrong(kind, value)


def _literal(kind: Type, value: Any) -> Any:
    from f0make.code.missing_hints import suggestion

    for choice in kind[1]:
        if isinstance(value, type(choice)) and value == choice:
            return choice
    for choice in kind[1]:
        try:
            if convert([type(choice).__name__ if choice is not None else "none"], value) == choice:
                return choice
        except Mismatch:
            continue
    mismatch = _wrong(kind, value)
    mismatch.hint = suggestion(str(value), [str(choice) for choice in kind[1]])
    raise mismatch


def _enum(kind: Type, value: Any) -> dict[str, Any]:
    """A member by its value, as typer and pydantic have it."""
    from f0make.code.missing_hints import suggestion

    _, module, name, members = kind
    for _, own in members:
        try:
            if isinstance(value, (str, int, float)) and convert([type(own).__name__], value) == own:
                return marked("enum", [module, name, own])
        except Mismatch:
            continue
    mismatch = _wrong(kind, value)
    mismatch.hint = suggestion(str(value), [str(own) for _, own in members])
    by_name = [str(own) for member, own in members if member == value]
    if by_name:
        mismatch.hint = f"the value of {name}.{value} is {by_name[0]!r}"
    raise mismatch


def _iso(kind: Type, value: Any) -> dict[str, Any]:
    """A date, a time or both, in ISO 8601."""
    import datetime

    text = _str(kind, value).strip()
    which: dict[str, Any] = {"date": datetime.date, "datetime": datetime.datetime, "time": datetime.time}
    example = {"date": "2026-01-31", "datetime": "2026-01-31T12:00:00", "time": "12:00:00"}[kind[0]]
    try:
        if text[-1:] in ("Z", "z") and kind[0] != "date":
            text = f"{text[:-1]}+00:00"  # before Python 3.11 fromisoformat knows no Z
        found = which[kind[0]].fromisoformat(text)
    except ValueError:
        raise _wrong(kind, value, f"a {kind[0]} such as {example}") from None
    return marked(kind[0], found.isoformat())


def _timedelta(kind: Type, value: Any) -> dict[str, Any]:
    from f0make.recipe.scalars import to_duration

    try:
        return marked("timedelta", to_duration(_str(kind, value)))
    except ValueError as error:
        raise Mismatch(str(error)) from None


def _decimal(kind: Type, value: Any) -> dict[str, Any]:
    import decimal

    try:
        number = decimal.Decimal(_str(kind, value).strip())
    except decimal.InvalidOperation:
        raise _wrong(kind, value, "a decimal number") from None
    return marked("decimal", str(number))


def _unknown(kind: Type, value: Any) -> Any:
    raise Mismatch(
        f"the annotation {kind[1]!r} ({kind[2]}) is not understood, so no value can be given to it",
        hint="see the table of annotations in docs/recipes.md, or leave the annotation out to get the text",
    )


_CONVERTERS = {
    "enum": _enum,
    "date": _iso,
    "datetime": _iso,
    "time": _iso,
    "timedelta": _timedelta,
    "decimal": _decimal,
    "unknown": _unknown,
    "any": _any,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "str": _str,
    "path": _path,
    "none": _none,
    "list": _list,
    "set": _set,
    "frozenset": _set,
    "tuple": _tuple,
    "tuple_of": _tuple_of,
    "dict": _dict,
    "union": _union,
    "literal": _literal,
}
