"""Rendered text -> the typed values of an instance's fields. Every converter raises ValueError."""

from __future__ import annotations

from f0make.template.template_values import OnePath, Row, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NO = frozenset({"no", "false", "0", ""})


def holds(text: str) -> bool:
    """Whether `when` lets the step run: anything but `no`, `false`, `0` and nothing, in any case of letters."""
    return text.strip().lower() not in _NO


def argument(value: Any) -> Any:
    """What an expression comes to as an argument: text, or lists and maps of text; `null` for None.

    Types come later, from the annotations of the function.
    """
    if isinstance(value, str):
        return str(value)
    if value is None:
        return "null"
    if isinstance(value, OnePath) and len(value) == 1:
        return value[0]
    if isinstance(value, (list, tuple, range)):
        return [argument(item) for item in value]
    if isinstance(value, dict) and not isinstance(value, Row):
        return {str(key): argument(item) for key, item in value.items()}
    return to_text(value)
