r"""Names of instances: `count[book=moby,lang=en]`.

Values may hold anything, so what would end a value is escaped with a backslash: `\,`, `\]` and `\\`, and
control characters as `\n`, `\t`, `\r` or `\xNN`. Different variables never give the same name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from f0make.lazy_re import later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SPECIAL = later(r"[\\,\]\x00-\x1f\x7f]")
_ESCAPES = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\\": r"\\", ",": r"\,", "]": r"\]"}
_PART = later(r"(\w+)=((?:[^\\,\]\x00-\x1f\x7f]|\\[\\,\]ntr]|\\x[0-9a-f]{2})*)([,\]])", re.ASCII)
_ESCAPED = later(r"\\(x[0-9a-f]{2}|.)")


def instance_name(step: str, variables: Mapping[str, Any]) -> str:
    """The name of the instance of ``step`` with ``variables``; a table's row goes by its first column."""
    if not variables:
        return step
    parts = []
    for name, value in variables.items():
        text = value if type(value) is str else str(value)
        if _SPECIAL.search(text) is not None:
            text = _SPECIAL.sub(_escape, text)
        parts.append(f"{name}={text}")
    return f"{step}[{','.join(parts)}]"


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0]) or f"\\x{ord(match[0]):02x}"


def parse_instance_name(name: str) -> tuple[str, dict[str, str]] | None:
    """The opposite of `instance_name` (rows as text), or None where ``name`` is no such name."""
    step, bracket, rest = name.partition("[")
    if not bracket:
        return step, {}
    variables: dict[str, str] = {}
    position = 0
    while True:
        part = _PART.match(rest, position)
        if part is None or part[1] in variables:
            return None
        variables[part[1]] = _ESCAPED.sub(_unescape, part[2])
        position = part.end()
        if part[3] == "]":
            return (step, variables) if position == len(rest) else None


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x" and len(code) == 3:
        return chr(int(code[1:], 16))
    return {"n": "\n", "t": "\t", "r": "\r"}.get(code, code)
