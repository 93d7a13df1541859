"""The filters, tests and methods that expressions may use, each charged for what it does.

Left out of Jinja2's own: what makes markup (`escape`, `xmlattr`, `urlize`, …), what is not the same every
time (`random`), what reaches into objects (`attr`), and what is slower than linear (`wordwrap`, `pprint`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import update_wrapper

from f0make.template.limits import MAX_WIDTH, TooMuch, charge, check_text, check_width, weigh
from f0make.template.operators import check_format
from f0make.template.quote import quote
from f0make.template.values import Raw, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FROM_JINJA = _words(
    "abs batch capitalize center count d default dictsort filesizeformat first float format groupby indent int "
    "items join last length list lower map max min reject rejectattr replace reverse round select selectattr "
    "slice sort string sum title tojson trim truncate unique upper urlencode wordcount"
)
_WIDTHS = _words("batch center indent round slice tojson truncate ljust rjust zfill expandtabs")
"""Filters and methods that fill up to a width; their integers are looked at first."""

_TEXT_METHODS = _words(
    "capitalize casefold center count endswith expandtabs find format index isalnum isalpha isdecimal isdigit "
    "islower isnumeric isspace isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind "
    "rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill"
)
_LIST_METHODS = frozenset({"count", "index"})
_MAP_METHODS = frozenset({"get", "items", "keys", "values"})
_NUMBER_METHODS = frozenset({"is_integer"})


def methods_of(value: Any) -> frozenset[str]:
    """Names of the methods that an expression may call on ``value``."""
    if isinstance(value, str):
        return _TEXT_METHODS
    if isinstance(value, dict):
        return _MAP_METHODS
    if isinstance(value, (list, tuple)):
        return _LIST_METHODS
    return _NUMBER_METHODS if isinstance(value, float) else frozenset()


def check_call(name: str, arguments: list[Any], named: dict[str, Any]) -> None:
    """Charge a filter or method ``name`` for its arguments and refuse what would make something huge.

    ``arguments`` begins with the value that it works on. Raises TooMuch.
    """
    subject = arguments[0] if arguments else ""
    rest = [*arguments[1:], *named.values()]
    charge(sum(map(weigh, arguments)) + sum(map(weigh, named.values())))
    if name in _WIDTHS:
        _check_widths(subject, rest)
    elif name == "replace" and isinstance(subject, str):
        _check_replace(subject, rest)
    elif name == "format" and isinstance(subject, str):
        check_format(subject)
        charge(len(subject) * sum(map(weigh, rest)))
    elif name == "join":
        _check_join(arguments, rest)
    elif name == "int" and isinstance(subject, str) and len(subject) > 1000:
        raise TooMuch(f"a number of {len(subject):,} characters")


def _check_widths(subject: Any, rest: list[Any]) -> None:
    widest = 1
    for value in rest:
        check_width(value)
        if isinstance(value, str):
            widest = max(widest, len(value))
        elif isinstance(value, (int, float)):
            widest = max(widest, abs(int(value)))
    charge(widest * _grains(subject))


def _grains(subject: Any) -> int:
    """How many times a width can be filled in: once in a text, but for each of its lines and tabs too."""
    if isinstance(subject, str):
        return 1 + subject.count("\n") + subject.count("\t") + subject.count("\r")
    return 1 + weigh(subject)


def _check_replace(subject: str, rest: list[Any]) -> None:
    texts = [text for text in rest if isinstance(text, str)]
    if len(texts) >= 2:
        old, new = texts[0], texts[1]
        times = subject.count(old) if old else len(subject) + 1
        check_text(len(subject) + times * max(0, len(new) - len(old)))


def _check_join(arguments: list[Any], rest: list[Any]) -> None:
    """`list | join(between)` and `between.join(list)` alike."""
    between = max((len(v) for v in arguments + rest if isinstance(v, str)), default=0)
    items = max((len(v) for v in arguments + rest if isinstance(v, (list, tuple, dict, range))), default=0)
    check_text(between * items)


def settle(value: Any) -> Any:
    """A result as a plain value: what is made on demand is made now, item by item charged; markup is text."""
    if isinstance(value, Iterator):
        items: list[Any] = []
        for item in value:
            settled = settle(item)
            charge(weigh(settled))
            items.append(settled)
        return items
    if isinstance(value, str):
        if type(value) is not str and not isinstance(value, Raw):
            value = str(value)
        check_text(len(value))
    elif type(value).__name__ in ("dict_keys", "dict_values", "dict_items"):
        return list(value)
    return value


def guarded(name: str, function: Callable[..., Any], leading: int) -> Callable[..., Any]:
    """``function`` with its work charged; ``leading`` arguments (a context) are none of the expression's."""

    def wrapper(*arguments: Any, **named: Any) -> Any:
        values = [settle(value) for value in arguments[leading:]]
        check_call(name, values, named)
        result = settle(function(*arguments[:leading], *values, **named))
        charge(weigh(result))
        return result

    return update_wrapper(wrapper, function)


def _leading(function: Any) -> int:
    return 1 if getattr(function, "jinja_pass_arg", None) is not None else 0


def filters(own: dict[str, Any]) -> dict[str, Any]:
    """The filters that expressions have, out of Jinja2's ``own``."""
    chosen: dict[str, Any] = {name: own[name] for name in _FROM_JINJA if name in own}
    chosen.update(raw=_raw, quote=_quote, sum=_sum, basename=_basename, dirname=_dirname, _concat=_concat)
    return {name: guarded(name, function, _leading(function)) for name, function in chosen.items()}


def tests(own: dict[str, Any]) -> dict[str, Any]:
    """Jinja2's ``own`` tests, charged; `defined` and `undefined` look at no value."""
    free = ("defined", "undefined")
    return {
        name: function if name in free else guarded(name, function, _leading(function))
        for name, function in own.items()
        if name not in ("callable", "escaped", "filter", "test")
    }


def _raw(value: Any) -> Raw:
    return Raw(to_text(value))


def _quote(value: Any) -> Raw:
    return Raw(quote(value))


def _sum(values: Any, start: Any = 0) -> Any:
    total = start
    for value in values:
        if not isinstance(value, (int, float)) or not isinstance(total, (int, float)):
            raise TypeError("sum adds numbers only; use `| map('int')` first")
        total += value
    return total


def _basename(value: Any) -> str:
    return to_text(value).rpartition("/")[2]


def _dirname(value: Any) -> str:
    return to_text(value).rpartition("/")[0] or "."


def _concat(*values: Any) -> str:
    return "".join(map(to_text, values))


def limited_range(*ends: int) -> range:
    """`range(…)` of at most `MAX_WIDTH` × 10 numbers. Raises TooMuch."""
    numbers = range(*ends)
    if max(abs(numbers.start), abs(numbers.stop)) > 2**60 or len(numbers) > MAX_WIDTH * 10:
        raise TooMuch(f"a range may have {MAX_WIDTH * 10:,} numbers at most")
    return numbers
