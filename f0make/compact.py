"""Compact JSON in ASCII, for digests and logs: many small texts, so that what an encoder needs is made once."""

from __future__ import annotations

import json
from collections.abc import Callable
from json import encoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_NOTHING_ELSE = json.JSONEncoder().default
"""Raises TypeError."""


def dumper(sort_keys: bool = False) -> Callable[[Any], str]:
    """A function like `json.dumps` with the shortest separators. What it is given must hold no cycle."""
    plain = json.JSONEncoder(
        ensure_ascii=True, separators=(",", ":"), check_circular=False, sort_keys=sort_keys
    ).encode
    make: Any = getattr(encoder, "c_make_encoder", None)
    if make is None:
        return plain
    # What `JSONEncoder.iterencode` makes for each text. Plain values are left to it: they come in no list.
    chunks = make(
        None, _NOTHING_ELSE, encoder.encode_basestring_ascii, None, ":", ",", sort_keys, False, True
    )

    def dump(value: Any) -> str:
        return "".join(chunks(value, 0)) if isinstance(value, (dict, list)) else plain(value)

    return dump
