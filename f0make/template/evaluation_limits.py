"""How much one evaluation may do: every operation is charged for what it reads and makes.

Nothing is interrupted from outside: each primitive operation is bounded before it is done, and the sum of
all is bounded by work and by time. That holds in any thread, and on an operation that would never come back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from itertools import chain
from math import isfinite

from jinja2.runtime import Undefined

from f0make.allowance import factor, scaled
from f0make.template.template_values import BrokenValue, PathList

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_WORK = scaled(50_000_000)
"""Units of one evaluation: a character is 1, an item of a list or map 8, an operation 20. At a few bytes and
nanoseconds a unit this bounds one evaluation to some hundred megabytes."""
MAX_TEXT = scaled(16_000_000)
"""Characters of one text: the paths of 200,000 files."""
MAX_SECONDS = 5.0 * factor()
"""Time of one evaluation."""
MAX_BITS = 256
"""Bits of one integer made by `*` or `**`: as wide as a digest, and small enough to cost nothing."""
MAX_WIDTH = 10_000
"""Any width, precision or count that a filter or method is asked to fill up to."""
MAX_SOURCE = 20_000
"""Characters of one expression."""

OPERATION = 20
ITEM = 8


class TooMuch(Exception):
    """An evaluation went beyond its limits."""


class _Current(threading.local):
    work = 0
    deadline = 0.0
    names: Any = ()


current = _Current()
"""What is left for the evaluation that this thread is doing, and the names that it knows."""


def begin(names: Any) -> None:
    """Start an evaluation in which ``names`` are known."""
    current.work = MAX_WORK
    current.deadline = time.monotonic() + MAX_SECONDS
    current.names = names


def charge(amount: int) -> None:
    """Take ``amount`` units for one operation. Raises TooMuch."""
    current.work -= amount + OPERATION
    if current.work < 0:
        raise TooMuch("this takes too much memory or work")
    if time.monotonic() > current.deadline:
        raise TooMuch(f"this takes longer than {MAX_SECONDS:g} s")


def weigh(value: Any) -> int:
    """The work of walking through ``value`` and all in it; stops where it is beyond what is left.

    Raises TooMuch, TypeError for what is no value (a method, `steps`), ValueError for infinities and NaN.
    """
    if isinstance(value, str):
        return len(value)
    if isinstance(value, (int, float)):
        return _weigh_number(value)
    total = 0
    left = [value]
    while left:
        node = left.pop()
        if isinstance(node, PathList):
            total += node.weight
        elif isinstance(node, range):
            total += ITEM * len(node)
        elif isinstance(node, BrokenValue):
            str(node)
        else:
            children: Iterable[Any] = (node,)
            if isinstance(node, (list, tuple, set, frozenset)):
                total += ITEM * (len(node) + 1)
                children = node
            elif isinstance(node, dict):
                total += ITEM * (2 * len(node) + 1)
                children = chain(node, node.values())
            if total > current.work:
                raise TooMuch("this takes too much memory or work")
            for child in children:
                if isinstance(child, str):
                    total += len(child)
                elif isinstance(child, (int, float)):
                    total += _weigh_number(child)
                elif isinstance(child, _CONTAINERS) and child is not node:
                    left.append(child)
                elif child is not node or not isinstance(child, _CONTAINERS):
                    total += _weigh_other(child)
        if total > current.work:
            raise TooMuch("this takes too much memory or work")
    return total


_CONTAINERS = (list, tuple, dict, set, frozenset, range)


def _weigh_number(number: float) -> int:
    if isinstance(number, int):
        return 1 + number.bit_length() // 64
    if not isfinite(number):
        raise ValueError(f"this number is {number}: too large, or not a number")
    return 1


def _weigh_other(thing: Any) -> int:
    """The work for what is neither text, number nor container. Raises TypeError for what an expression cannot handle."""
    if thing is None or isinstance(thing, Undefined):
        return 1  # what is undefined says so itself, when it is used
    if isinstance(thing, BrokenValue):
        str(thing)
    raise TypeError(getattr(type(thing), "template_no_text", "this is not a value"))


def check_text(length: int) -> None:
    """Refuse a text of ``length`` characters before it is made. Raises TooMuch."""
    if length > MAX_TEXT:
        raise TooMuch(f"this makes a text of {length:,} characters, more than {MAX_TEXT:,}")


def check_width(width: Any) -> None:
    """Refuse a width, count or precision beyond reason. Raises TooMuch."""
    if isinstance(width, (int, float)) and abs(width) > MAX_WIDTH:
        raise TooMuch(f"{width} is more than the {MAX_WIDTH:,} that a width, count or precision may be")
