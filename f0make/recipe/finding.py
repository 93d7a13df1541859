"""What is wrong in the text of a recipe, and where."""

from __future__ import annotations

from f0make.fast_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in a text: its place (from 1), what, and what to do."""

    line: int
    column: int
    message: str
    hint: str = ""
    syntax: bool = False
    """True when nothing after this could be read."""
