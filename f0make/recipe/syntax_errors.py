"""YAML's syntax errors in words that say what to do."""

from __future__ import annotations

import re

from f0make.lazy_re import later
from f0make.recipe.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def syntax_finding(error: Any, text: str, offset: int) -> Finding:
    """What PyYAML's ``error`` about ``text`` means to the author of a recipe."""
    problem = str(getattr(error, "problem", "") or error)
    context = str(getattr(error, "context", "") or "")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    opened = getattr(error, "context_mark", None)
    if "quoted scalar" in context and opened is not None and "end of stream" in problem:
        return Finding(opened.line + 1 + offset, opened.column + 1, *_QUOTE_OPEN, syntax=True)
    if "simple key" in context and opened is not None:
        # the text where a key was expected stands at the context, the problem mark only after it
        return Finding(opened.line + 1 + offset, opened.column + 1, *_NO_COLON, syntax=True)
    if mark is None:
        return Finding(1 + offset, 1, f"this is not YAML: {problem}", syntax=True)
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    glued = _GLUED.match(lines[mark.line - 1]) if mark.line else None
    message, hint = _explain(problem, context, line, mark.column, opened, glued[1] if glued else "")
    return Finding(mark.line + 1 + offset, mark.column + 1, message, hint, syntax=True)


_QUOTE_OPEN = ("this quote is never closed", "close it, or double it inside a quoted text")
_NO_COLON = ("expected `key: value`", "a colon and a space after the key are missing")


_GLUED = later(r" *(?:- +)*([A-Za-z_]+:)[^ ]+$")
"""A line `key:value`, which YAML takes for a text."""


def _explain(problem: str, context: str, line: str, column: int, opened: Any, before: str) -> tuple[str, str]:
    """Message and hint for a problem at ``column`` (from 0) of ``line``; ``before``: a glued key above it."""
    char = line[column : column + 1]
    if char == "\t" or "tab" in problem:
        return (
            "a tab character",
            "YAML indents and separates with spaces; in a text, use quotes or a `|` block",
        )
    if "mapping values are not allowed" in problem:
        if before:
            return (
                "`: ` stands inside a plain text",
                f"is a space missing after {before!r} in the line before?",
            )
        return "`: ` stands inside a plain text", "put the text in quotes, or check the indentation"
    if "sequence entries are not allowed" in problem:
        return "`- ` cannot stand here", "put each item on its own line, or the text in quotes"
    if "mapping keys are not allowed" in problem:
        return "`? ` cannot stand here", "put the text in quotes"
    if "cannot start any token" in problem:
        return f"a text cannot begin with {char!r}", "put it in quotes"
    if "alias" in context or "anchor" in context:
        return "a text cannot begin with `*` or `&`", "put it in quotes"
    if "tag" in context:
        return "a text cannot begin with `!`", "put it in quotes"
    if "block scalar" in context:
        return f"after `|` or `>`, {line[column:].strip()!r} cannot stand", "begin the text on the next line"
    if "escape" in problem or "hexdecimal" in problem or "Unicode character code" in problem:
        return "unknown escape in double quotes", "write `\\\\` for a backslash, or use single quotes"
    if "expected key" in problem or "expected <block end>" in problem:
        since = f" in the map that begins at line {opened.line + 1}" if opened is not None else ""
        if char == ":":
            return "the key before `:` is missing", "put text that begins with `:` in quotes"
        if re.match(r"\s*-(\s|$)", line[column:]):
            return f"a list item where a key was expected{since}", "check the indentation"
        return f"expected a key{since}", "check the indentation, and that quotes hold the whole text"
    if "expected '-' indicator" in problem:
        return "expected another list item (`- `)", "check the indentation"
    if "node content" in problem:
        return f"a text cannot begin with {char!r}", "put it in quotes"
    if "document start" in problem:
        return "the document has ended before this", "check the indentation"
    return f"this is not YAML: {problem}", ""
