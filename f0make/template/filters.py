"""The filters, tests and methods that expressions may use, each charged for what it does.

Left out of Jinja2's own: what makes markup (`escape`, `xmlattr`, `urlize`, …), what is not the same every
time (`random`), what reaches into objects (`attr`), and what is slower than linear (`wordwrap`, `pprint`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import update_wrapper

from jinja2.runtime import Undefined

from f0make.template.evaluation_limits import MAX_WIDTH, TooMuch, charge, check_text, check_width, weigh
from f0make.template.operators import check_format
from f0make.template.quote import quoted
from f0make.template.template_values import (
    Json,
    PathText,
    Quoted,
    Raw,
    Row,
    parts_of,
    path_for_command,
    to_text,
)

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


_ITERATING = _words(
    "batch dictsort groupby indent join list map max min reject rejectattr select selectattr slice sort split splitlines "
    "rsplit sum title unique urlencode wordcount"
)
"""Filters and methods that look at a text character by character in Python, or make an object of every few."""
_PER_CHARACTER = 20
_GROWING = _words("quote string tojson")
"""Filters that may write several characters for one."""
_FORWARD = _words("_contains count find in index partition replace split")
_BACKWARD = _words("lstrip rfind rindex rpartition rsplit rstrip strip trim")
"""Searches that take as long as text times what is looked for."""
_TWO_WAY = 100
"""From so many characters on, CPython's search forwards takes linear time."""
_PARSING = _words("float filesizeformat int round")

_COSTLY = _ITERATING | _GROWING | _FORWARD | _BACKWARD | _PARSING | _WIDTHS | {"format"}
"""All that takes more than to walk through its arguments once."""


def check_call(name: str, arguments: list[Any], named: dict[str, Any]) -> None:
    """Charge a filter or method ``name`` for its arguments and refuse what would make something huge.

    ``arguments`` begins with the value that it works on. Raises TooMuch.
    """
    charge(sum(map(weigh, arguments)) + sum(map(weigh, named.values())))
    if name not in _COSTLY:
        return
    subject = arguments[0] if arguments else ""
    rest = [*arguments[1:], *named.values()]
    if isinstance(subject, str):
        _charge_text(name, subject, rest)
    elif name in _GROWING:
        charge(3 * weigh(subject))
    if name in _WIDTHS:
        _check_widths(subject, rest)
    elif name == "join":
        _check_join([subject, *rest])


def _charge_text(name: str, subject: str, rest: list[Any]) -> None:
    """Charge what ``name`` takes for a text beyond walking through it once. Raises TooMuch."""
    sought = max((len(v) for v in rest if isinstance(v, str)), default=0)
    if name in _ITERATING:
        charge(
            len(subject) * _PER_CHARACTER
            if not rest or name not in ("split", "rsplit")
            else _pieces(subject, rest)
        )
    if name in _GROWING:
        charge(5 * len(subject))
    if name in _FORWARD:
        charge(len(subject) * min(sought, _TWO_WAY) // 8)
    elif name in _BACKWARD:
        charge(len(subject) * sought // 4)
    if name == "replace":
        _check_replace(subject, rest)
    elif name == "format":
        check_format(subject)
        charge(len(subject) * sum(map(weigh, rest)))
    elif name in _PARSING and len(subject) > 1000:
        raise TooMuch(f"a number of {len(subject):,} characters")


def _pieces(subject: str, rest: list[Any]) -> int:
    """The work of dividing ``subject`` at a text."""
    between = rest[0]
    if not isinstance(between, str) or not between:
        return len(subject) * _PER_CHARACTER
    return (subject.count(between) + 1) * _PER_CHARACTER


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


def _check_join(values: list[Any]) -> None:
    """`list | join(between)` and `between.join(list)` alike; a text in the place of the list stands for its characters."""
    sizes = sorted(len(v) for v in values if isinstance(v, (str, list, tuple, dict, range)))
    if len(sizes) > 1:
        check_text(sizes[-1] * sizes[-2])
    charge(sum(_PER_CHARACTER * len(v) for v in values if isinstance(v, str)))


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
        if type(value) is not str and not isinstance(value, (Raw, Quoted, Json, PathText)):
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


def _of_text(number: Callable[..., Any]) -> Callable[..., Any]:
    """The filter ``number`` for all that reads as text: Jinja2's own makes 0 of a table's row, and of a list."""

    def wrapper(value: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(value, (list, tuple)) and len(value) == 1:
            value = value[0]
        if isinstance(value, Row):
            value = str(value)
        elif isinstance(value, (list, tuple, dict)):
            raise TypeError("a list or a map is no number")
        return number(value, *arguments, **named)

    return update_wrapper(wrapper, number)


def _leading(function: Any) -> int:
    return 1 if getattr(function, "jinja_pass_arg", None) is not None else 0


def filters(own: dict[str, Any]) -> dict[str, Any]:
    """The filters that expressions have, out of Jinja2's ``own``."""
    chosen: dict[str, Any] = {name: own[name] for name in _FROM_JINJA if name in own}
    to_json = chosen["tojson"]

    def as_json(*arguments: Any, **named: Any) -> Json:
        return Json(to_json(*arguments, **named))

    chosen["tojson"] = update_wrapper(as_json, to_json)
    for name in ("int", "float"):
        chosen[name] = _of_text(chosen[name])
    chosen.update(raw=_raw, quote=_quote, sum=_sum, basename=_basename, dirname=_dirname, _concat=_concat)
    chosen.update(_slice=_slice, _contains=_contains, _weighed=_weighed)
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


def _quote(value: Any) -> Quoted:
    return quoted(value)


def _sum(values: Any, start: Any = 0) -> Any:
    total = start
    for value in values:
        if not isinstance(value, (int, float)) or not isinstance(total, (int, float)):
            raise TypeError("sum adds numbers only; use `| map('int')` first")
        total += value
    return total


def _basename(value: Any) -> str:
    name = to_text(value).rpartition("/")[2]
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return path_for_command(name) if isinstance(value, PathText) else name


def _dirname(value: Any) -> str:
    return to_text(value).rpartition("/")[0] or "."


def _concat(*values: Any) -> str:
    return "".join(map(to_text, values))


def _slice(value: Any, *ends: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, (str, list, tuple, range)):
        raise TypeError("only a text or a list has a part [from:to]")
    return parts_of(value, value[slice(*ends)])


def _contains(container: Any, one: Any) -> bool:
    return one in container


def _weighed(value: Any) -> Any:
    return value


def limited_range(*ends: int) -> range:
    """`range(…)` of at most `MAX_WIDTH` × 10 numbers. Raises TooMuch."""
    numbers = range(*ends)
    if max(abs(numbers.start), abs(numbers.stop)) > 2**60 or len(numbers) > MAX_WIDTH * 10:
        raise TooMuch(f"a range may have {MAX_WIDTH * 10:,} numbers at most")
    return numbers
