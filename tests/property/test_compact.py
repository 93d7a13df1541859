"""Compact JSON: what `json` writes with the shortest separators, and what it reads."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.ascii_json import dumper, loads

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same kinds."""
    return repr(a) == repr(b)


@given(VALUES, st.booleans())
def test_it_writes_and_reads_as_json_does(value: Any, sort_keys: bool) -> None:
    text = dumper(sort_keys)(value)
    assert text == json.dumps(value, separators=(",", ":"), sort_keys=sort_keys)
    assert same(loads(text.encode()), json.loads(text))


@pytest.mark.parametrize(
    "text",
    ["", " ", "{", "[1,]", '{"a":1} x', '"\t"', "nul", "01", "[" * 100_000, '{"a" 1}', "\x80"],
)
def test_what_is_no_json_is_an_error(text: str) -> None:
    data = text.encode("latin-1", "ignore") if text == "\x80" else text.encode()
    with pytest.raises((ValueError, RecursionError)):
        json.loads(data)
    with pytest.raises((ValueError, RecursionError)):
        loads(data)


def test_odd_text_is_read_as_json_reads_it() -> None:
    assert loads(b' \n{"a": "\xc3\xa4"} ') == {"a": "\u00e4"}
    assert loads("[1]".encode("utf-16")) == [1] == loads(b"\xef\xbb\xbf[1]")
    for odd in (b"NaN", b"-Infinity", b"[Infinity]", b"1e400"):
        with pytest.raises(ValueError, match=r"no JSON|too large"):
            loads(odd)  # Python writes and reads them, JSON does not know them.


def test_what_json_cannot_hold_is_refused() -> None:
    for value in (object(), {"a": b""}, [{1, 2}]):
        with pytest.raises(TypeError, match="not JSON serializable"):
            dumper()(value)


def test_without_the_c_part_it_is_the_same() -> None:
    code = (
        "import sys; sys.modules['_json'] = None\n"
        "from f0make.ascii_json import dumper, loads\n"
        "print(dumper(True)({'b': [1, None, '\\u00e4'], 'a': 'x'}), dumper()('x'), loads(b'[1, 2]'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == '{"a":"x","b":[1,null,"\\u00e4"]} "x" [1, 2]\n'
