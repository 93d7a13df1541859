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


class _Settings:
    """What `json.JSONDecoder` tells the scanner when it is told nothing itself."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__


_scan = _fast.make_scanner(_Settings()) if _fast is not None else None


def loads(data: bytes) -> Any:
    """What `json.loads` makes of ``data``. Raises ValueError."""
    if _scan is not None:
        try:
            text = data.decode("ascii")
            value, end = _scan(text, 0)
            if end == len(text):
                return value
        except (StopIteration, UnicodeDecodeError):
            pass
    from json import loads as load

    return load(data)
