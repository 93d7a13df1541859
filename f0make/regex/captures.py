"""Paths with variables in them: which text stands for each, every one matched by its own expression as a whole.

So `^`, `$`, `(?i)`, look-arounds and back-references of one variable's expression see that variable's text and nothing around it.
Of several ways to divide a path, an earlier variable is as long as possible.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from f0make.regex.bounded import Bounded, Unbounded

DEFAULT_WILDCARD = "[^/]+"

MAX_TRIES = 200_000
"""Texts that are tried as values of variables for one path."""


class Captures:
    """Expressions around and for variables: ``gaps[0]``, variable ``names[0]``, ``gaps[1]``, …"""

    def __init__(self, gaps: Sequence[str], names: Sequence[str], wildcards: Mapping[str, str]) -> None:
        """``gaps`` are regular expressions, one more than ``names``; a name that comes again stands for the same text.

        Raises re.error.
        """
        self.names = tuple(names)
        self._own = {name: Bounded(wildcards.get(name, DEFAULT_WILDCARD), re.DOTALL) for name in names}
        self._gaps = [Bounded(gap, re.DOTALL) for gap in gaps] if names else []
        self._again = {name for number, name in enumerate(names) if name in names[:number]}
        self._whole: Bounded | None = None
        if all(own.plain for own in self._own.values()):
            seen: set[str] = set()
            out = [gaps[0]]
            for name, gap in zip(names, gaps[1:], strict=True):
                out += (
                    f"(?P={name})" if name in seen else f"(?P<{name}>{self._own[name].pattern})",
                    gap,
                )
                seen.add(name)
            self._whole = Bounded("".join(out), re.DOTALL)

    def matches(self, path: str) -> bool:
        """Whether ``path`` can be divided so. Raises Unbounded."""
        if self._whole is not None and (not self.names or self._whole.quick(len(path))):
            return self._whole.fullmatch(path)
        return self.match(path) is not None

    def match(self, path: str) -> dict[str, str] | None:
        """The variables' texts, or None where ``path`` does not match. Raises Unbounded."""
        if self._whole is not None and self._whole.quick(len(path)):
            found = self._whole.regex.fullmatch(path)
            return found.groupdict() if found is not None else None
        if not self.names:
            return {} if self.matches(path) else None
        return _Search(self, path).result()


class _Search:
    """Divides one path; ways that lead nowhere are remembered."""

    def __init__(self, captures: Captures, path: str) -> None:
        self.path = path
        self.names = captures.names
        self._gaps = captures._gaps
        self._own = captures._own
        self._again = captures._again
        self._ends: dict[tuple[int, int], list[int]] = {}
        self._failed: set[tuple[int, int, tuple[str, ...]]] = set()
        self._left = MAX_TRIES

    def result(self) -> dict[str, str] | None:
        """The variables' texts, or None."""
        values: dict[str, str] = {}
        for start in reversed(self._after(0, 0)):
            if self._divide(0, start, values):
                return values
        return None

    def _after(self, gap: int, start: int) -> list[int]:
        key = gap, start
        if key not in self._ends:
            self._ends[key] = self._gaps[gap].ends(self.path, start)
        return self._ends[key]

    def _divide(self, number: int, start: int, values: dict[str, str]) -> bool:
        """Find texts for the variables from ``number`` on, of which the first begins at ``start``."""
        path = self.path
        if number == len(self.names):
            return start == len(path)
        state = number, start, tuple(values.get(name, "") for name in sorted(self._again))
        if state in self._failed:
            return False
        name = self.names[number]
        known = values.get(name)
        if known is not None:
            ends: Sequence[int] = [start + len(known)] if path.startswith(known, start) else []
        else:
            ends = range(len(path), start - 1, -1)
        for end in ends:
            following = self._after(number + 1, end)
            if not following or (number + 1 == len(self.names) and following[-1] != len(path)):
                continue
            self._left -= 1
            if self._left < 0:
                raise Unbounded(self._own[name].pattern, path, "it can be divided in too many ways")
            if known is None:
                text = path[start:end]
                if not self._own[name].fullmatch(text):
                    continue
                values[name] = text
            if any(self._divide(number + 1, place, values) for place in reversed(following)):
                return True
            if known is None:
                del values[name]
        self._failed.add(state)
        return False
