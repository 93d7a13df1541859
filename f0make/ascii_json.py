"""Compact JSON in ASCII, for digests and logs: many small texts, so that what an encoder needs is made once.

The C part of `json` does the work. The rest of that package, and the regular expressions that it compiles, are
imported for nothing but what is odd: a run in which one file changed would spend a thirtieth of its time on that.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

try:
    import _json
except ImportError:
    _fast: Any = None
else:
    _fast = _json


def _refuse(value: Any) -> Any:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def dumper(
    sort_keys: bool = False, item_separator: str = ",", key_separator: str = ":"
) -> Callable[[Any], str]:
    """A function like `json.dumps`, with the shortest separators. What it is given must hold no cycle."""
    if _fast is None:
        from json import JSONEncoder

        separators = (item_separator, key_separator)
        return JSONEncoder(separators=separators, check_circular=False, sort_keys=sort_keys).encode
    # What `JSONEncoder.iterencode` makes for each text.
    text = _fast.encode_basestring_ascii
    chunks = _fast.make_encoder(
        None, _refuse, text, None, key_separator, item_separator, sort_keys, False, True
    )

    def dump(value: Any) -> str:
        if isinstance(value, (dict, list)):
            return "".join(chunks(value, 0))
        return "".join(chunks([value], 0))[1:-1]

    return dump


MOST_DIGITS = 1000
"""Digits of a whole number: Python itself reads and writes up to 4,300, in a time that grows with their square."""
MOST_DEPTH = 200
"""Lists and maps inside each other: Python's own functions give up somewhere beyond 300."""


def _int(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError("a number is too long")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise ValueError("a number is too large")
    return value


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


class _Settings:
    """What `json.JSONDecoder` tells the scanner, but that numbers which JSON does not know are refused."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = staticmethod(_float)
    parse_int = staticmethod(_int)
    parse_constant = staticmethod(_constant)


_scan = _fast.make_scanner(_Settings()) if _fast is not None else None


def loads(data: bytes) -> Any:
    """What `json.loads` makes of ``data``, which others may have written.

    Raises ValueError, also for NaN, infinities and numbers beyond a float, for what is nested deeper than
    `MOST_DEPTH`, and for text that holds half a character.
    """
    value = _loads(data)
    if b"\\ud" in data or b"\\uD" in data or _may_be_deep(data):
        _check(value, MOST_DEPTH)
    return value


def _may_be_deep(data: bytes) -> bool:
    return data.count(b"[") > MOST_DEPTH or data.count(b"{") > MOST_DEPTH


def _check(value: Any, depth: int) -> None:
    """Raise ValueError when ``value`` is nested deeper than ``depth`` or holds text that cannot be encoded."""
    if type(value) is str:
        value.encode("utf-8", "surrogateescape")
    elif type(value) is list:
        if not depth:
            raise ValueError("nested too deeply")
        for item in value:
            _check(item, depth - 1)
    elif type(value) is dict:
        if not depth:
            raise ValueError("nested too deeply")
        for name, item in value.items():
            name.encode("utf-8", "surrogateescape")
            _check(item, depth - 1)


def _loads(data: bytes) -> Any:
    if _scan is not None:
        try:
            text = data.decode("ascii")
            value, end = _scan(text, 0)
            if end == len(text):
                return value
        except (StopIteration, UnicodeDecodeError):
            pass
    from json import loads as load

    return load(data, parse_int=_int, parse_float=_float, parse_constant=_constant)
