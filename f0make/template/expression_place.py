"""Where in its file an expression stands, also inside a block of text."""

from __future__ import annotations

from functools import lru_cache

from f0make.errors import Where
from f0make.lazy_re import later
from f0make.model import TEMPLATE_OPEN, Mark, Recipe, Step

_BREAK = later(r"\r\n|\n|\r")


def locate(source: str, mark: Mark, text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of the `${{` at ``offset`` of ``text``, whose node is at ``mark`` of ``source``.

    Falls back to the beginning of the node where the file writes the text in another way (escapes).
    """
    line, column, last = mark
    if line <= 0:
        return 0, 0
    skip = text.count(TEMPLATE_OPEN, 0, offset)
    lines = _lines(source)
    for number in range(line, min(max(line, last), len(lines)) + 1):
        at = max(column - 1, 0) if number == line else 0
        if number == line and lines[number - 1][at : at + 1] in ("|", ">"):
            continue  # the head of a block of text holds none of it, but may hold a comment
        while (at := lines[number - 1].find(TEMPLATE_OPEN, at)) >= 0:
            if skip == 0:
                return number, at + 1
            skip -= 1
            at += 1
    return line, column


@lru_cache(maxsize=8)
def _lines(source: str) -> list[str]:
    return _BREAK.split(source)


def where(recipe: Recipe, step: Step, key: str, text: str, offset: int) -> Where:
    """The place of the `${{` at ``offset`` of the ``text`` that ``key`` of ``step`` holds."""
    enclosing = key
    while enclosing and enclosing not in step.marks:
        cut = max(enclosing.rfind("."), enclosing.rfind("["))
        enclosing = enclosing[:cut] if cut > 0 else ""
    mark = step.marks.get(enclosing, (0, 0, 0))
    whole = step.where(key)
    source = recipe.sources.get(whole.file)
    if enclosing != key or source is None or not text.startswith(TEMPLATE_OPEN, offset):
        return whole
    line, column = locate(source, mark, text, offset)
    return Where(whole.file, line, column)
