"""Text -> literal pieces and the expressions between `${{` and `}}`. Pure."""

from __future__ import annotations

import re

from f0make.fast_dataclass import dataclass
from f0make.lazy_re import later
from f0make.model import TEMPLATE_OPEN

CLOSE = "}}"

_TOKEN = later(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[(\[{]|[)\]}]""", re.DOTALL)


@dataclass(slots=True)
class Expression:
    """What stands between `${{` and `}}`; ``offset`` is where its `${{` begins in the text."""

    source: str
    offset: int


class ScanError(ValueError):
    """A `${{` that is never closed; ``offset`` is where it begins."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"`{TEMPLATE_OPEN}` is never closed by `{CLOSE}`")
        self.offset = offset


def has_template(text: str) -> bool:
    """Whether ``text`` holds a `${{`."""
    return TEMPLATE_OPEN in text


def scan(text: str) -> list[str | Expression]:
    """Literal text and expressions in order; no literal is empty.

    A `}}` inside a string or inside brackets that the expression itself opened does not end it. What follows an
    expression whose brackets do not balance, which no parser takes, is one literal. Raises ScanError.
    """
    parts: list[str | Expression] = []
    position = 0
    while True:
        start = text.find(TEMPLATE_OPEN, position)
        if start < 0:
            if position < len(text):
                parts.append(text[position:])
            return parts
        if start > position:
            parts.append(text[position:start])
        inside = start + len(TEMPLATE_OPEN)
        end, balanced = _find_close(text, inside)
        if end < 0:
            raise ScanError(start)
        parts.append(Expression(text[inside:end], start))
        position = end + len(CLOSE)
        if (
            not balanced
        ):  # no parser takes it, and nothing is gained by going through the text once more for each
            return [*parts, text[position:]] if position < len(text) else parts


def _find_close(text: str, start: int) -> tuple[int, bool]:
    """Offset of the `}}` that ends the expression, -1 where there is none; whether brackets balance before it.

    Where brackets do not balance, the first `}}` outside strings ends it: the parser of expressions then
    says what is wrong better than "never closed" would.
    """
    depth = 0
    first = -1
    for token in _TOKEN.finditer(text, start):
        sign = token[0]
        if len(sign) > 1:
            continue
        if sign in "([{":
            depth += 1
            continue
        if sign == "}" and text.startswith(CLOSE, token.start()):
            if depth == 0:
                return token.start(), True
            if first < 0:
                first = token.start()
        depth = max(0, depth - 1)
    return first, False
