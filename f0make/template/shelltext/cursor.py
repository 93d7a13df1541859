"""A position in shell text, and what has been found out about the values in it. Pure."""

from __future__ import annotations

from bisect import bisect_left

from f0make.template.shelltext.dialect import Dialect
from f0make.template.shelltext.spot import ARITHMETIC, WORD, Refusal, Spot

HOLE = "\0"
OPAQUE = "\1"
"""In the plain text of a word: what the shell puts there itself."""


class Unreadable(Exception):
    """Shell text that is not understood, so that no value in it can be placed."""


class Word:
    """A word, where it stands, and what it says where that is known."""

    __slots__ = ("end", "start", "text")

    def __init__(self, start: int, end: int, text: str) -> None:
        self.start = start
        self.end = end
        self.text = text
        """Without its quotes; NUL for a value, OPAQUE for an expansion."""


class Heredoc:
    """A here-document whose text begins after the next newline."""

    __slots__ = ("delimiter", "end", "quoted", "refusal", "start", "strip")

    def __init__(self, delimiter: str, quoted: bool, strip: bool) -> None:
        self.refusal: Refusal | None = None
        """Why no value may stand in it."""
        self.delimiter = delimiter
        self.quoted = quoted
        self.strip = strip
        self.start = self.end = 0
        """Its text, once that has been read."""


class Cursor:
    """A position in a text. ``spots``: what has been found out about each value, by its number."""

    def __init__(
        self, text: str, dialect: Dialect, spots: dict[int, Spot], first: int, backticks: int
    ) -> None:
        self.text = text
        self.end = len(text)
        self.at = 0
        self.dialect = dialect
        self.spots = spots
        self.first = first
        self.backticks = backticks
        self._holes: list[int] | None = None
        """Where the values stand, once that was asked."""
        self.pending: list[Heredoc] = []
        self.depth = 0
        """In how many `$(…)` it is."""
        self.integers: set[str] = set()
        """Variables declared as integers: what is assigned to them is evaluated."""
        self.depths: dict[int, int] = {}
        """In how many `$(…)` each value stands."""
        self.assigned: dict[str, list[int]] = {}
        """Variable -> the values that are assigned to it."""
        self.uses: list[tuple[int, str, int]] = []
        """(where the name ends, variable, depth) of each `$NAME`."""
        self.evaluated: dict[str, Refusal] = {}
        """Variables whose content is evaluated somewhere, and why no value can be in them."""

    def peek(self) -> str:
        """The next character, "" at the end."""
        return self.text[self.at] if self.at < self.end else ""

    def ahead(self, text: str) -> bool:
        """Whether ``text`` comes next."""
        return self.text.startswith(text, self.at, self.end)

    def number(self, position: int) -> int:
        """The number of the value at ``position``."""
        if self._holes is None:
            self._holes = [at for at, symbol in enumerate(self.text) if symbol == HOLE]
        return self.first + bisect_left(self._holes, position)

    def put(self, spot: Spot) -> None:
        """Place the value that comes next, and go past it."""
        spot.backticks = self.backticks
        self.depths[self.number(self.at)] = self.depth
        self.spots[self.number(self.at)] = spot
        self.at += 1

    def put_refused(self, refusal: Refusal) -> None:
        """Refuse the value that comes next, and go past it."""
        spot = Spot(WORD)
        spot.refusal = refusal
        self.put(spot)

    def refuse(self, start: int, end: int, refusal: Refusal) -> None:
        """Refuse all values between ``start`` and ``end``, wherever they stand there."""
        number = self.number(start)
        for one in range(number, number + self.text.count(HOLE, start, end)):
            spot = self.spots.setdefault(one, Spot(WORD))
            if spot.refusal is None or spot.refusal.kind == ARITHMETIC:
                spot.refusal = refusal

    def evaluate(self, start: int, end: int, refusal: Refusal) -> None:
        """What stands between ``start`` and ``end`` is evaluated: refuse values there, and in variables used there."""
        self.refuse(start, end, refusal)
        for at, name, depth in self.uses:
            if start < at <= end and depth == self.depth:
                self.evaluated.setdefault(name, refusal)

    def assign(self, name: str, start: int, end: int) -> None:
        """Note that the variable ``name`` gets the values that stand between ``start`` and ``end``."""
        numbers = range(self.number(start), self.number(end))
        direct = [number for number in numbers if self.depths.get(number) == self.depth]
        self.assigned.setdefault(name, []).extend(direct)

    def skip_refusing(self, end: int, refusal: Refusal) -> None:
        """Go to ``end``; what stands before it cannot hold a value."""
        self.refuse(self.at, end, refusal)
        self.at = end

    def commands(self, closing: str) -> None:
        """Read commands up to ``closing`` and go past it."""
        raise NotImplementedError
