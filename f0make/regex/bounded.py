"""A regular expression of any author, matched in bounded time.

`re` goes back and tries again, which takes no time for most expressions and for ever for a few. How many steps it
may need is bounded from above by the expression's tree and the length of the text (`tree.work`): where that is
little, `re` is used, else the automaton of `nfa`, and where that cannot do it (back-references), a clear error.
"""

from __future__ import annotations

import time

from f0make.allowance import factor
from f0make.errors import UsageError
from f0make.regex.nfa import Nfa, NotRegular, TooSlow
from f0make.regex.tree import compile_quietly, is_plain, parse, work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Answer = TypeVar("Answer")

MAX_STEPS = 200_000
"""Steps of `re` for one text: a millisecond or two."""
MAX_SECONDS = 4.0 * factor()
"""Of the automaton, for all texts together."""
MAX_TEXT = 70_000
"""Characters of a text: longer ones match nothing. A path may have 4,096."""

SIMPLER = "write the expression under `wildcards` without repetitions inside each other and without `\\1`"


class Unbounded(UsageError):
    """An expression of which it cannot be found out in time whether a text matches."""

    def __init__(self, pattern: str, text: str, why: str) -> None:
        self.pattern = pattern
        shown = text if len(text) <= 60 else text[:59] + "…"
        self.message = f"{pattern!r} takes too long to match {shown!r}: {why}"
        super().__init__(self.message)


class Bounded:
    """One expression; ``flags`` are those of `re`."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        """Raises re.error."""
        self.pattern = pattern
        self.tree: Any = parse(pattern)
        self.regex = compile_quietly(pattern, flags)
        self._flags = flags
        self._quick = -1
        """Up to how many characters `re` is known to be quick."""
        self._slow: Nfa | None = None
        self._spent = 0.0

    @property
    def plain(self) -> bool:
        """See `tree.is_plain`."""
        return is_plain(self.tree)

    def width(self) -> int | None:
        """How many characters every match has; None where they differ."""
        least, most = self.tree.getwidth()
        return int(least) if least == most else None

    def quick(self, length: int) -> bool:
        """Whether `re` matches ``length`` characters within `MAX_STEPS`."""
        if length <= self._quick:
            return True
        if length > MAX_TEXT or work(self.tree, length) > MAX_STEPS:
            return False
        self._quick = length
        return True

    def fullmatch(self, text: str) -> bool:
        """Whether all of ``text`` matches. Raises Unbounded."""
        if self.quick(len(text)):
            return self.regex.fullmatch(text) is not None
        return len(text) <= MAX_TEXT and self._slowly(text, lambda nfa, end: nfa.fullmatch(text, end))

    def ends(self, text: str, start: int) -> list[int]:
        """Where matches that begin at ``start`` of ``text`` can end, in order. Raises Unbounded."""
        if self.width() is not None and self.quick(len(text)):
            found = self.regex.match(text, start)
            return [found.end()] if found is not None else []
        if len(text) > MAX_TEXT:
            return []
        return self._slowly(text, lambda nfa, end: nfa.ends(text, start, end))

    def _slowly(self, text: str, ask: Callable[[Nfa, float], Answer]) -> Answer:
        began = time.monotonic()
        try:
            if self._slow is None:
                self._slow = Nfa(self.tree, self._flags)
            return ask(self._slow, began + MAX_SECONDS - self._spent)
        except NotRegular as error:
            raise Unbounded(self.pattern, text, str(error)) from None
        except TooSlow:
            raise Unbounded(self.pattern, text, "it asks too much of every character") from None
        finally:
            self._spent += time.monotonic() - began
