"""Regular expressions by Thompson's construction: time grows with pattern and text, never with their powers.

Everything that Python's `re` knows but back-references, conditional and atomic groups. It answers whether and where
a match can end, not what groups hold: https://swtch.com/~rsc/regexp/regexp1.html.
"""

from __future__ import annotations

import re
import time

from f0make.regex.tree import compile_quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_PROGRAM = 20_000
"""Instructions: counted repetitions are written out."""

_CHARACTER, _SPLIT, _JUMP, _ASSERT, _MATCH = range(5)

_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_PASSED_ON = re.IGNORECASE | re.ASCII | re.DOTALL
"""Flags that change which characters an operation matches."""


class NotRegular(ValueError):
    """An expression with a back-reference or the like, or one that is too large when written out."""


class TooSlow(Exception):
    """A match that did not end in time."""


class _Characters(dict[str, bool]):
    """Which characters one operation matches, asked from `re` once each."""

    def __init__(self, pattern: str, flags: int) -> None:
        super().__init__()
        self._match = compile_quietly(pattern, flags & _PASSED_ON).match

    def __missing__(self, character: str) -> bool:
        found = self[character] = self._match(character) is not None
        return found


Test = "Callable[[_Matching, int], bool]"


class Nfa:
    """One expression as a program. ``tree`` is what `tree.parse` gives."""

    def __init__(self, tree: Any, flags: int = 0) -> None:
        """Raises NotRegular."""
        self.program: list[tuple[Any, ...]] = []
        self._sequence(tree.data, tree.state.flags | flags)
        self.program.append((_MATCH,))

    def ends(self, text: str, start: int, deadline: float) -> list[int]:
        """Where matches that begin at ``start`` can end, in order. Raises TooSlow after ``deadline`` (monotonic)."""
        return _Matching(text, deadline).ends(self.program, start)

    def fullmatch(self, text: str, deadline: float) -> bool:
        """Whether all of ``text`` matches. Raises TooSlow."""
        return _Matching(text, deadline).reaches(self.program, 0, len(text))

    def _emit(self, *instruction: Any) -> int:
        if len(self.program) >= MAX_PROGRAM:
            raise NotRegular("its repetitions, written out, are too many")
        self.program.append(instruction)
        return len(self.program) - 1

    def _sequence(self, items: Any, flags: int) -> None:
        for operation, argument in items:
            self._operation(str(operation), argument, flags)

    def _operation(self, name: str, argument: Any, flags: int) -> None:
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            self._repeat(int(argument[0]), argument[1], argument[2], flags)
        elif name == "SUBPATTERN":
            _, added, removed, body = argument
            self._sequence(body.data, (flags | added) & ~removed)
        elif name == "BRANCH":
            self._branch([branch.data for branch in argument[1]], flags)
        elif name in ("ASSERT", "ASSERT_NOT"):
            self._look(argument[0] < 0, argument[1], name == "ASSERT_NOT", flags)
        elif name == "AT":
            self._emit(_ASSERT, _position(str(argument), flags))
        elif name in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            self._emit(_CHARACTER, _Characters(_spelled(name, argument), flags))
        else:
            raise NotRegular("it holds a back-reference, or a conditional or atomic group")

    def _branch(self, branches: list[Any], flags: int) -> None:
        ends = []
        for number, items in enumerate(branches):
            last = number == len(branches) - 1
            split = -1 if last else self._emit(_SPLIT, 0, 0)
            self._sequence(items, flags)
            if not last:
                ends.append(self._emit(_JUMP, 0))
                self.program[split] = (_SPLIT, split + 1, len(self.program))
        for end in ends:
            self.program[end] = (_JUMP, len(self.program))

    def _repeat(self, least: int, most: Any, body: Any, flags: int) -> None:
        for _ in range(least):
            self._emit(_JUMP, len(self.program) + 1)  # so that an empty body costs something, too
            self._sequence(body.data, flags)
        if int(most) >= 2**31 - 1:
            split = self._emit(_SPLIT, 0, 0)
            self._sequence(body.data, flags)
            self._emit(_JUMP, split)
            self.program[split] = (_SPLIT, split + 1, len(self.program))
            return
        splits = []
        for _ in range(int(most) - least):
            splits.append(self._emit(_SPLIT, 0, 0))
            self._sequence(body.data, flags)
        for split in splits:
            self.program[split] = (_SPLIT, split + 1, len(self.program))

    def _look(self, behind: bool, body: Any, negated: bool, flags: int) -> None:
        inner = Nfa.__new__(Nfa)
        inner.program = []
        inner._sequence(body.data, flags)
        inner.program.append((_MATCH,))
        program = inner.program
        width = body.getwidth()[0]

        def behind_it(matching: _Matching, position: int) -> bool:
            start = position - width
            return (start >= 0 and matching.reaches(program, start, position)) is not negated

        def ahead(matching: _Matching, position: int) -> bool:
            return matching.begins(program, position) is not negated

        self._emit(_ASSERT, behind_it if behind else ahead)


def _spelled(name: str, argument: Any) -> str:
    """One operation as the text of an expression that matches the same single characters."""
    if name == "ANY":
        return "."
    if name == "LITERAL":
        return f"[{_escaped(argument)}]"
    if name == "NOT_LITERAL":
        return f"[^{_escaped(argument)}]"
    parts = []
    for operation, inner in argument:
        kind = str(operation)
        if kind == "NEGATE":
            parts.append("^")
        elif kind == "LITERAL":
            parts.append(_escaped(inner))
        elif kind == "RANGE":
            parts.append(f"{_escaped(inner[0])}-{_escaped(inner[1])}")
        else:
            parts.append(_CATEGORIES[str(inner)])
    return f"[{''.join(parts)}]"


def _escaped(code: int) -> str:
    return f"\\U{code:08x}"


def _position(name: str, flags: int) -> Callable[[_Matching, int], bool]:
    """The test for `^`, `$`, `\\b` and their like."""
    lines = bool(flags & re.MULTILINE)
    word = _Characters(r"\w", flags)

    def beginning(matching: _Matching, position: int) -> bool:
        return position == 0 or (lines and matching.text[position - 1] == "\n")

    def end(matching: _Matching, position: int) -> bool:
        text = matching.text
        last = len(text) - position
        return last == 0 or (text[position] == "\n" and (lines or last == 1))

    def boundary(matching: _Matching, position: int) -> bool:
        text = matching.text
        before = position > 0 and word[text[position - 1]]
        after = position < len(text) and word[text[position]]
        return before is not after

    tests: dict[str, Callable[[_Matching, int], bool]] = {
        "AT_BEGINNING": beginning,
        "AT_BEGINNING_STRING": lambda matching, position: position == 0,
        "AT_END": end,
        "AT_END_STRING": lambda matching, position: position == len(matching.text),
        "AT_BOUNDARY": boundary,
        "AT_NON_BOUNDARY": lambda matching, position: not boundary(matching, position),
    }
    return tests[name]


class _Matching:
    """One text being matched; what is found ahead or behind of a place is remembered."""

    def __init__(self, text: str, deadline: float) -> None:
        self.text = text
        self.deadline = deadline
        self._known: dict[tuple[int, int], bool] = {}

    def reaches(self, program: list[tuple[Any, ...]], start: int, end: int) -> bool:
        """Whether a match from ``start`` can end at ``end``."""
        found = self._run(program, start, end, first=False)
        return bool(found) and found[-1] == end

    def ends(self, program: list[tuple[Any, ...]], start: int) -> list[int]:
        """Where matches from ``start`` can end."""
        return self._run(program, start, len(self.text), first=False)

    def begins(self, program: list[tuple[Any, ...]], start: int) -> bool:
        """Whether any match begins at ``start``."""
        key = id(program), start
        if key not in self._known:
            self._known[key] = bool(self._run(program, start, len(self.text), first=True))
        return self._known[key]

    def _run(self, program: list[tuple[Any, ...]], start: int, end: int, first: bool) -> list[int]:
        text = self.text
        found: list[int] = []
        waiting = [0]
        position = start
        while True:
            if time.monotonic() > self.deadline:
                raise TooSlow
            threads, done = self._closure(program, waiting, position)
            if done:
                found.append(position)
                if first:
                    return found
            if position == end or not threads:
                return found
            character = text[position]
            waiting = [at + 1 for at in threads if program[at][1][character]]
            position += 1

    def _closure(
        self, program: list[tuple[Any, ...]], waiting: list[int], position: int
    ) -> tuple[list[int], bool]:
        """The characters that may come next at ``position``, and whether a match may end there."""
        seen: set[int] = set()
        threads: list[int] = []
        done = False
        while waiting:
            at = waiting.pop()
            if at in seen:
                continue
            seen.add(at)
            instruction = program[at]
            kind = instruction[0]
            if kind == _CHARACTER:
                threads.append(at)
            elif kind == _SPLIT:
                waiting += (instruction[1], instruction[2])
            elif kind == _JUMP:
                waiting.append(instruction[1])
            elif kind == _MATCH:
                done = True
            elif instruction[1](self, position):
                waiting.append(at + 1)
        return threads, done
