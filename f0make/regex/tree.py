"""What Python's own parser makes of a regular expression, and how much work it may be to match. Pure."""

from __future__ import annotations

import re
import sys
import warnings
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PARSER: Any = import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
"""`re` has no public syntax tree; its own parser's has been stable since Python 2."""

MAX_LENGTH = 20_000
"""Characters of an expression."""
MAX_FOLDED = 300_000
"""Characters in the ranges of an expression that ignores case: `re` folds them one by one when it compiles."""
MAX_DEPTH = 100
"""Groups in groups."""

ENDLESS = float("inf")

_SINGLE = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN", "RANGE"})
"""Operations that match exactly one character."""


def parse(pattern: str) -> Any:
    """The syntax tree of ``pattern``, which is safe to be compiled.

    Raises re.error for what is no regular expression, or one that is too large.
    """
    if len(pattern) > MAX_LENGTH:
        raise re.error(f"an expression may have {MAX_LENGTH:,} characters at most")
    depth = deepest = 0
    for sign in pattern:
        depth += (sign == "(") - (sign == ")")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise re.error("nested too deeply")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `[[` and the like: not the person's who runs a recipe to act on
        try:
            tree = PARSER.parse(pattern)
        except (OverflowError, RecursionError, MemoryError, ValueError) as error:
            raise re.error(str(error) or "nested too deeply") from None
    if ("i" in pattern or "I" in pattern) and "(?" in pattern and _folded(tree) > MAX_FOLDED:
        raise re.error("a range of so many characters cannot ignore case")
    return tree


def compile_quietly(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """`re.compile` without its warnings. Raises re.error, also for what is too large."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(pattern, flags)
        except (OverflowError, RecursionError, MemoryError, ValueError) as error:
            raise re.error(str(error) or "nested too deeply") from None


def _folded(tree: Any) -> int:
    return sum(
        argument[1] - argument[0]
        for operation, argument in _walk(tree)
        if operation == "RANGE" and isinstance(argument, tuple)
    )


def _walk(tree: Any) -> list[tuple[str, Any]]:
    """Every operation in ``tree`` by name, at any depth."""
    found: list[tuple[str, Any]] = []
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, PARSER.SubPattern):
            left += node.data
        elif isinstance(node, (list, tuple)):
            if len(node) == 2 and isinstance(node[0], int) and hasattr(node[0], "name"):
                found.append((str(node[0]), node[1]))
            left += node
    return found


def is_plain(tree: Any) -> bool:
    """Whether the longest text is what the expression takes first, and nothing around it matters to it:

    single characters, of which at most one is repeated. So it may stand inside a larger expression.
    """
    repeated = 0
    for operation, argument in tree.data:
        name = str(operation)
        if name == "MAX_REPEAT":
            repeated += 1
            body = argument[2].data
            if len(body) != 1 or str(body[0][0]) not in _SINGLE:
                return False
        elif name not in _SINGLE:
            return False
    return repeated <= 1 and not tree.state.flags & (re.IGNORECASE | re.MULTILINE | re.VERBOSE | re.ASCII)


def work(tree: Any, length: int) -> float:
    """An upper bound for the steps in which `re` matches ``tree`` against ``length`` characters."""
    return _sequence(tree.data, length)[1]


def _sequence(items: Any, length: int) -> tuple[float, float]:
    """(ways to match, steps) of operations one after the other."""
    ways, steps = 1.0, 1.0
    for operation, argument in items:
        more, cost = _operation(str(operation), argument, length)
        steps += ways * cost
        ways *= more
    return ways, steps


def _operation(name: str, argument: Any, length: int) -> tuple[float, float]:
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        ways, steps = _repeat(argument[0], argument[1], argument[2], length)
        return (1.0, steps) if name == "POSSESSIVE_REPEAT" else (ways, steps)
    if name == "SUBPATTERN":
        return _sequence(argument[3].data, length)
    if name == "BRANCH":
        branches = [_sequence(branch.data, length) for branch in argument[1]]
        return sum(ways for ways, _ in branches), 1 + sum(steps for _, steps in branches)
    if name in ("ASSERT", "ASSERT_NOT"):
        return 1.0, _sequence(argument[1].data, length)[1]
    if name == "ATOMIC_GROUP":
        return 1.0, _sequence(argument.data, length)[1]
    if name == "GROUPREF":
        return 1.0, float(length)
    if name == "GROUPREF_EXISTS":
        branches = [_sequence(branch.data, length) for branch in argument[1:] if branch is not None]
        return sum(ways for ways, _ in branches), 1 + sum(steps for _, steps in branches)
    return 1.0, float(len(argument)) if name == "IN" else 1.0


def _repeat(least: int, most: int, body: Any, length: int) -> tuple[float, float]:
    ways, steps = _sequence(body.data, length)
    width = body.getwidth()[0]
    times = min(int(most), length // width if width else length)
    if ways == 1:
        counts = max(1, times - min(int(least), times) + 1)
        return float(counts), steps * (times + 1)
    try:
        total = ways ** (times + 1)
    except OverflowError:
        total = ENDLESS
    return total, steps * total
