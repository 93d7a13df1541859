"""Argument values that JSON has no form for, written as marked maps and read back where the step is called.

``Path("a")`` is kept as ``{"!path": "a"}``, ``(1, 2)`` as ``{"!tuple": [1, 2]}``, sets as ``{"!set": […]}`` and
``{"!frozenset": […]}``, dates, times and decimal numbers as text, a member
of an enum as ``{"!enum": [module, name, value]}``, a map whose keys are not all text as ``{"!dict": [[key, value], …]}``. A map of the
user's that looks like one of these is kept as ``{"!map": {…}}``. So keys, records and bundles hold plain
values, and the caller of the step needs no knowledge of its annotations. Read by the interpreter of each step: nothing
is imported that a workspace could shadow, but where a value asks for it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MARK = "!"


def marked(kind: str, value: Any) -> dict[str, Any]:
    """``value`` marked as a ``kind``."""
    return {MARK + kind: value}


def shielded(value: dict[str, Any]) -> dict[str, Any]:
    """A plain map, protected from being read as a marked value."""
    return marked("map", value) if _mark(value) else value


def rebuild(value: Any) -> Any:
    """The value that a step is called with. Raises ValueError for a mark that does not exist."""
    if isinstance(value, list):
        return [rebuild(item) for item in value]
    if not isinstance(value, dict):
        return value
    mark = _mark(value)
    if not mark:
        return {key: rebuild(item) for key, item in value.items()}
    content = value[mark]
    if mark == "!map":
        return {key: rebuild(item) for key, item in content.items()}
    if mark == "!dict":
        return {rebuild(key): rebuild(item) for key, item in content}
    if mark in _PLAIN:
        return _PLAIN[mark](content)
    kinds: dict[str, type] = {"!tuple": tuple, "!set": set, "!frozenset": frozenset}
    if mark not in kinds:
        raise ValueError(f"unknown mark {mark!r} in an argument")
    return kinds[mark](rebuild(item) for item in content)


def _path(text: str) -> Any:
    from pathlib import Path

    return Path(text)


def _enum(member: list[Any]) -> Any:
    """The member of an enum, whose module is imported here, where the step runs."""
    module, name, value = member
    __import__(module)
    return vars(sys.modules[module])[name](value)


def _moment(kind: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        import datetime

        return vars(datetime)[kind].fromisoformat(text)

    return read


def _timedelta(seconds: float) -> Any:
    import datetime

    return datetime.timedelta(seconds=seconds)


def _decimal(text: str) -> Any:
    import decimal

    return decimal.Decimal(text)


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "!path": _path,
    "!enum": _enum,
    "!date": _moment("date"),
    "!datetime": _moment("datetime"),
    "!time": _moment("time"),
    "!timedelta": _timedelta,
    "!decimal": _decimal,
}


def _mark(value: dict[str, Any]) -> str:
    """The only key of a map that looks like a marked value; empty for other maps."""
    if len(value) != 1:
        return ""
    (key,) = value
    return key if isinstance(key, str) and key.startswith(MARK) else ""
