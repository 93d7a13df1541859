"""Arithmetic and text operators that look at what they would make before they make it."""

from __future__ import annotations

import operator
from collections.abc import Callable

from f0make.lazy_re import later
from f0make.template.evaluation_limits import MAX_BITS, MAX_WIDTH, TooMuch, charge, check_text, weigh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WIDE = later(rf"\d{{{len(str(MAX_WIDTH))},}}|%[^a-zA-Z%]*\*|\{{[^{{}}]*\{{")
"""In a format: a number as long as the widest width, or a width that is itself an argument."""

_DIGIT = later("[0-9]")

_PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "*": operator.mul,
}

OPERATORS = frozenset(_PLAIN)


def check_format(text: str) -> None:
    """Refuse a format that asks for a huge width. Raises TooMuch."""
    if _WIDE.search(text):
        raise TooMuch("a width or precision in a format must be a plain number below 10,000")


def binary(sign: str, left: Any, right: Any) -> Any:
    """``left sign right``. Raises TooMuch before anything huge is made, TypeError for what cannot be."""
    charge(weigh(left) + weigh(right))
    if sign in ("*", "**"):
        _check_growth(sign, left, right)
    elif sign == "%" and isinstance(left, str):
        check_format(left)
        charge(left.count("%") * (weigh(right) + (MAX_WIDTH if _DIGIT.search(left) else 0)))
    elif sign == "+" and isinstance(left, str) and isinstance(right, str):
        check_text(len(left) + len(right))
    result = _PLAIN[sign](left, right)
    charge(weigh(result))
    return result


def _check_growth(sign: str, left: Any, right: Any) -> None:
    if sign == "**":
        if isinstance(left, int) and isinstance(right, int) and right > 0:
            _check_bits(left.bit_length() * right)
        return
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())
        return
    for body, times in ((left, right), (right, left)):
        if isinstance(times, int) and isinstance(body, str):
            check_text(len(body) * max(times, 0))
        elif isinstance(times, int) and isinstance(body, (list, tuple)):
            charge((weigh(body) + 1) * max(times, 0))


def _check_bits(bits: int) -> None:
    if bits > MAX_BITS:
        raise TooMuch(f"this makes an integer of {bits:,} bits, more than {MAX_BITS:,}")
