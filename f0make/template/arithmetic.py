"""Whole numbers without Jinja2: `n | int - 1`, `(n | int + 1) % config.width | int`.

Counting from one instance to its neighbour is what most expressions with an operator do, and Jinja2 takes
a dozen times as long for it. So sums and products of plain whole numbers are worked out here. Whatever
else turns up, in the expression or in a value (a text that is no number, an unknown name, a division by zero),
is left to Jinja2, so results and errors are its own.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping

from f0make.lazy_re import later
from f0make.template.plain_substitution import NAME, Simple, compile_simple
from f0make.template.value_access import EvaluationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Number: TypeAlias = "Callable[[Mapping[str, Any]], int]"
"""A part of an expression: scope -> its value. Raises _NotPlain, and what `Simple` and operators raise."""

_OPERATORS: dict[str, tuple[int, Callable[[int, int], int]]] = {
    "+": (1, operator.add),
    "-": (1, operator.sub),
    "*": (2, operator.mul),
    "//": (2, operator.floordiv),
    "%": (2, operator.mod),
}
"""Sign -> how tightly it binds (a filter binds tighter than any), and what it does. All group from the left."""

_TOKEN = later(
    rf"\s*(?:(?P<literal>0|[1-9]\d{{0,8}})|(?P<name>{NAME})(?P<int>\s*\|\s*int\b)?|(?P<sign>//|[-+*%()]))",
    re.ASCII,
)

_MAX_DIGITS = 18
_MAX_NUMBER = 10**_MAX_DIGITS
_MAX_OPERANDS = 4
"""Four numbers below 10^18 make none beyond `limits.MAX_BITS`, so nothing here has to be bounded."""
_MAX_SOURCE = 200
_MAX_BRACKETS = 4
"""Jinja2 has limits of length and depth, which these are far from."""
_JINJA_NAMES = frozenset({"range", "dict", "self"})
"""Names that mean something else to Jinja2 than what a scope holds."""


class _NotPlain(ValueError):
    """An expression or a value that is left to Jinja2."""


class Arithmetic:
    """An expression that is worked out in Python while all its values are plain whole numbers."""

    __slots__ = ("_jinja", "_number", "_source", "names")

    def __init__(self, source: str, number: Number, names: frozenset[str]) -> None:
        self.names = names
        """Names at the root of what it uses."""
        self._source = source
        self._number = number
        self._jinja: Callable[[Mapping[str, Any]], Any] | None = None

    def __call__(self, scope: Mapping[str, Any]) -> Any:
        """The value in ``scope``. Raises as `jinja.Compiled` does."""
        try:
            return self._number(scope)
        except (EvaluationError, ValueError, ZeroDivisionError):
            return self._by_jinja(scope)

    def _by_jinja(self, scope: Mapping[str, Any]) -> Any:
        if self._jinja is None:
            from f0make.template.jinja_expressions import Compiled

            self._jinja = Compiled(self._source)
        return self._jinja(scope)


def compile_arithmetic(source: str) -> Arithmetic | None:
    """``source`` as arithmetic with whole numbers, or None where it needs Jinja2."""
    if len(source) > _MAX_SOURCE:
        return None
    names: set[str] = set()
    try:
        tokens = _tokens(source, names)
        number = _expression(tokens, 1)
    except _NotPlain:
        return None
    return None if tokens or not names else Arithmetic(source, number, frozenset(names))


def _tokens(source: str, names: set[str]) -> list[str | Number]:
    """The signs and operands of ``source``, the first one last; roots of names go to ``names``.

    Raises _NotPlain.
    """
    found: list[str | Number] = []
    at = 0
    end = len(source.rstrip())
    while at < end:
        token = _TOKEN.match(source, at)
        if token is None:
            raise _NotPlain
        at = token.end()
        if token["sign"]:
            found.append(token["sign"])
        elif token["literal"]:
            found.append(_literal(int(token["literal"])))
        else:
            simple = compile_simple(token["name"])
            if simple is None or simple.root in _JINJA_NAMES:
                raise _NotPlain
            names.add(simple.root)
            found.append(_named(simple, token["int"] is not None))
    if sum(map(callable, found)) > _MAX_OPERANDS or found.count("(") > _MAX_BRACKETS:
        raise _NotPlain
    found.reverse()
    return found


def _expression(tokens: list[str | Number], least: int) -> Number:
    """What ``tokens`` begin with, as far as signs bind as tightly as ``least``; it is taken off. Raises _NotPlain."""
    left = _operand(tokens)
    while tokens and isinstance(sign := tokens[-1], str) and sign in _OPERATORS:
        strength, function = _OPERATORS[sign]
        if strength < least:
            break
        tokens.pop()
        left = _applied(function, left, _expression(tokens, strength + 1))
    return left


def _operand(tokens: list[str | Number]) -> Number:
    token = tokens.pop() if tokens else ""
    if not isinstance(token, str):
        return token
    if token != "(":
        raise _NotPlain
    inside = _expression(tokens, 1)
    if not tokens or tokens.pop() != ")":
        raise _NotPlain
    return inside


def _literal(number: int) -> Number:
    return lambda scope: number


def _named(simple: Simple, from_text: bool) -> Number:
    def number(scope: Mapping[str, Any]) -> int:
        value = simple(scope)
        if type(value) is str and from_text and len(value) <= _MAX_DIGITS:
            return int(value)
        if type(value) is int and -_MAX_NUMBER < value < _MAX_NUMBER:
            return value
        raise _NotPlain

    return number


def _applied(function: Callable[[int, int], int], left: Number, right: Number) -> Number:
    return lambda scope: function(left(scope), right(scope))
