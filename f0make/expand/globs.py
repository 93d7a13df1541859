"""Globs with captures: `data/*/${{ book }}.txt` as a regular expression and as a pattern for the disk. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from f0make.lazy_re import later
from f0make.regex.bounded import Bounded
from f0make.regex.captures import DEFAULT_WILDCARD, Captures

_CHARACTERS = later(r"[*?\[]")
_VARIABLE = later("\0([A-Za-z_][A-Za-z0-9_]*)\0")
_ESCAPED = later(r"\[([*?\[])\]")
_HARMLESS = later(r"\\\.|\[\^/[^\]\\]*\]")
_CROSSING = later(r"/|\\[^dws.\-_+]|\[\^(?!/)|\.")
_CLASS = later(r"\[([!^]?)(\]?[^\]]*)\]")


def has_glob(text: str) -> bool:
    """Whether ``text`` holds `*`, `?` or `[`."""
    return _CHARACTERS.search(text) is not None


def is_pattern(text: str) -> bool:
    """Whether ``text`` can match anything but itself: escaped characters are no pattern."""
    return any(literal_of(segment) is None for segment in text.split("/"))


def escape(text: str) -> str:
    """``text`` as a glob that matches just it."""
    return _CHARACTERS.sub(lambda m: f"[{m[0]}]", text)


def capture(name: str) -> str:
    """What stands for variable ``name`` in a glob's text."""
    return f"\0{name}\0"


def literal_of(segment: str) -> str | None:
    """The text that ``segment`` stands for when it is no pattern, else None."""
    if "\0" in segment:
        return None
    bare = _ESCAPED.sub("", segment)
    return None if has_glob(bare) else _ESCAPED.sub(r"\1", segment)


def crosses(wildcard: str) -> bool:
    """Whether ``wildcard`` might match a `/`; True where it is hard to say."""
    return _CROSSING.search(_HARMLESS.sub("", wildcard)) is not None


class Glob:
    """One glob, compiled. ``text`` may hold captures; ``wildcards`` are their regular expressions."""

    def __init__(self, text: str, wildcards: Mapping[str, str]) -> None:
        """Raises re.error for a wildcard that is no regular expression."""
        self.directories = text.endswith("/")
        segments = [s for n, s in enumerate(text.split("/")) if (s or n == 0) and s != "."] or [""]
        while len(segments) > 1 and segments[-1] == "":
            segments.pop()
        self.segments = _fold_doubles(segments)
        self.text = "/".join(segments)
        gaps, names = self._divided()
        self.captures = Captures(gaps, names, wildcards)
        self.crossing = {name for name in names if crosses(wildcards.get(name, DEFAULT_WILDCARD))}
        """Variables that may hold a `/`."""
        self.disk = self._disk(wildcards)
        self.prefix = self._prefix()
        """The literal text that every match begins with."""

    def _divided(self) -> tuple[list[str], list[str]]:
        """Expressions for what stands around the variables, and their names."""
        gaps, names = [""], []
        last = len(self.segments) - 1
        for number, segment in enumerate(self.segments):
            if segment == "**":
                gaps[-1] += r"(?:(?!\.)[^/]+/)*"
                if number == last:
                    gaps[-1] += r"(?!\.)[^/]+"
                continue
            first, *others = _VARIABLE.split(segment)
            gaps[-1] += segment_regex(first, hidden=not first and bool(others))
            for name, text in zip(others[::2], others[1::2], strict=True):
                names.append(name)
                gaps.append(segment_regex(text, inside=True))
            if number != last:
                gaps[-1] += "/"
        return gaps, names

    def _disk(self, wildcards: Mapping[str, str]) -> str:
        """The pattern to list files with: captures as `*`, or everything below where one may cross a `/`."""
        out: list[str] = []
        for segment in self.segments:
            names = _VARIABLE.findall(segment)
            if any(crosses(wildcards.get(name, DEFAULT_WILDCARD)) for name in names):
                out.append("**")
                break
            out.append(re.sub(r"\*{2,}", "*", _VARIABLE.sub("*", segment)) if names else segment)
        return "/".join(out) + ("/" if self.directories else "")

    def _prefix(self) -> str:
        out = ""
        for number, segment in enumerate(self.segments):
            literal = literal_of(segment)
            if literal is None:
                return out
            out += literal + ("/" if number < len(self.segments) - 1 else "")
        return out

    def matches(self, path: str) -> bool:
        """Whether ``path`` matches. Raises `regex.bounded.Unbounded`."""
        return self.captures.matches(path)

    def match(self, path: str) -> dict[str, str] | None:
        """The captured variables when ``path`` matches, else None. Raises `regex.bounded.Unbounded`."""
        return self.captures.match(path)


def _fold_doubles(segments: list[str]) -> list[str]:
    """`a/**/**/b` is `a/**/b`."""
    return [s for n, s in enumerate(segments) if not (s == "**" and n and segments[n - 1] == "**")]


def segment_matcher(segment: str) -> Bounded:
    """What matches the names in one directory that ``segment``, which holds no captures, asks for."""
    return Bounded(segment_regex(segment), re.DOTALL)


_NOT_HIDDEN = r"(?!\.)"


def segment_regex(segment: str, hidden: bool = False, inside: bool = False) -> str:
    """(A part of) one segment without captures as a regular expression.

    ``hidden``: a capture follows right at the beginning; ``inside``: the part is not the first of its segment.
    """
    if literal_of(segment) is not None:
        return (_NOT_HIDDEN if hidden else "") + re.escape(literal_of(segment) or "")
    out = []
    if not inside and (segment[0] in "*?" or (segment[0] == "[" and not _ESCAPED.match(segment))):
        out.append(_NOT_HIDDEN)
    position = 0
    while position < len(segment):
        sign = segment[position]
        characters = _CLASS.match(segment, position)
        if characters and characters[2]:
            position = characters.end()
            inner = characters[2].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
            inner = re.sub(r"[&~|^]", r"\\\g<0>", inner)
            out.append(f"(?!/)[{'^' if characters[1] else ''}{inner}]")
            continue
        if not (sign == "*" and position and segment[position - 1] == "*"):  # `**` inside a segment is `*`
            out.append({"*": "[^/]*", "?": "[^/]"}.get(sign) or re.escape(sign))
        position += 1
    return "".join(out)


Symbols = Sequence[str]
"""A pattern as symbols: a character, ``ONE``, ``SOME`` (any number without `/`) or ``ANY`` (any number)."""

ONE = "?1"
SOME = "*1"
ANY = "**"


def glob_symbols(glob: Glob) -> Symbols:
    """``glob`` as symbols, somewhat wider: wildcards and classes lose their constraints."""
    out: list[str] = []
    for number, segment in enumerate(glob.segments):
        if number:
            out.append("/")
        if segment == "**":
            out.append(ANY)
            continue
        literal = literal_of(segment)
        if literal is not None:
            out.extend(literal)
            continue
        for token in re.findall("\0[^\0]+\0|\\[\\]?[^\\]]*\\]|.", segment, re.DOTALL):
            if token[0] == "\0":
                out.append(ANY if token[1:-1] in glob.crossing else SOME)
            else:
                out.append(SOME if token == "*" else ONE if token[0] in "?[" else token)
    joined: list[str] = []
    for symbol in out:  # `a/**/b` also matches `a/b`: the slash after ** belongs to it
        if symbol == "/" and joined and joined[-1] == ANY:
            continue
        joined.append(symbol)
    return joined


def overlap(one: Symbols, other: Symbols) -> bool:
    """Whether some path could match both."""
    seen = set()
    left = [(0, 0)]
    while left:
        state = left.pop()
        if state in seen:
            continue
        seen.add(state)
        i, j = state
        if i == len(one) and j == len(other):
            return True
        a = one[i] if i < len(one) else None
        b = other[j] if j < len(other) else None
        if a in (SOME, ANY):
            left.append((i + 1, j))
            if b is not None and b not in (SOME, ANY) and (a == ANY or b != "/"):
                left.append((i, j + 1))
        if b in (SOME, ANY):
            left.append((i, j + 1))
            if a is not None and a not in (SOME, ANY) and (b == ANY or a != "/"):
                left.append((i + 1, j))
        if a is not None and b is not None and a not in (SOME, ANY) and b not in (SOME, ANY):
            same = a == b or (ONE in (a, b) and "/" not in (a, b))
            if same:
                left.append((i + 1, j + 1))
    return False
