"""Where the steps of a recipe's text begin and end, so that unchanged ones need not be parsed again.

The cut is a guess made line by line; `document` proves it: it holds when what lies outside the steps
parses by itself with `steps` at the expected line, and every step parses by itself as a list of one item.
Only a quoted text that runs across a cut can deceive the guess, and then the parts do not parse.
"""

from __future__ import annotations

import re

from f0make.fast_dataclass import dataclass
from f0make.lazy_re import later

_STEPS = later(r"^steps:(?: +#.*| *)$", re.M)
_ITEM = later(r"^( *)-(?= |$)", re.M)
_NOTHING = later(r"(?: *(?:#.*)?\n)*\Z")
_TOP_KEY = later(r"^[^ #\n]", re.M)
_TOP_KEY_OR_MARKER = later(r"^(?:[^ #\n-]|-(?![ \n]))", re.M)


@dataclass(frozen=True, slots=True)
class Chunk:
    """The text of one step and the number of lines before it."""

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Split:
    """A recipe's text in parts."""

    outer: str
    """All but the steps: what stands before, `steps:`, and what stands after at its true lines."""
    line: int
    """Where `steps:` stands, from 1."""
    chunks: list[Chunk]


def split(text: str) -> Split | None:
    """``text`` (normalised) cut at the items of its top-level `steps`; None where that is not plain to see."""
    steps = _STEPS.search(text)
    if not steps:
        return None
    item = _ITEM.search(text, steps.end())
    if not item or not _NOTHING.match(text, steps.end() + 1, item.start()):
        return None
    indent = len(item[1])
    tail = (_TOP_KEY if indent else _TOP_KEY_OR_MARKER).search(text, item.start())
    end = tail.start() if tail else len(text)
    starts = [
        found.start()
        for found in re.finditer(rf"^ {{{indent}}}-(?=[ \n]|\Z)", text[:end], re.M)
        if found.start() >= item.start()
    ]
    line = text.count("\n", 0, steps.start()) + 1
    offset = text.count("\n", 0, item.start())
    chunks = []
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        part = text[start:stop]
        chunks.append(Chunk(part, offset))
        offset += part.count("\n")
    outer = text[: steps.end() + 1]
    if tail:
        outer += "\n" * (offset - line) + text[end:]
    return Split(outer, line, chunks)
