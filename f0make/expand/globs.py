"""Globs with captures: `data/*/${{ book }}.txt` as a regular expression and as a pattern for the disk. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from f0make.later import later

DEFAULT_WILDCARD = "[^/]+"

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
        self.regex = re.compile(self._regex(wildcards), re.DOTALL)
        self.crossing = {
            name for name in self.regex.groupindex if crosses(wildcards.get(name, DEFAULT_WILDCARD))
        }
        """Variables that may hold a `/`."""
        self.disk = self._disk(wildcards)
        self.prefix = self._prefix()
        """The literal text that every match begins with."""

    def _regex(self, wildcards: Mapping[str, str]) -> str:
        seen: set[str] = set()
        out = []
        last = len(self.segments) - 1
        for number, segment in enumerate(self.segments):
            if segment == "**":
                out.append(r"(?:(?!\.)[^/]+/)*")
                if number == last:
                    out.append(r"(?!\.)[^/]+")
                continue
            out.append(_segment_regex(segment, wildcards, seen))
            if number != last:
                out.append("/")
        return "".join(out)

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

    def match(self, path: str) -> dict[str, str] | None:
        """The captured variables when ``path`` matches, else None."""
        found = self.regex.fullmatch(path)
        return found.groupdict() if found is not None else None


def _fold_doubles(segments: list[str]) -> list[str]:
    """`a/**/**/b` is `a/**/b`."""
    return [s for n, s in enumerate(segments) if not (s == "**" and n and segments[n - 1] == "**")]


def segment_regex(segment: str) -> str:
    """One segment without captures as a regular expression."""
    return _segment_regex(segment, {}, set())


def _segment_regex(segment: str, wildcards: Mapping[str, str], seen: set[str]) -> str:
    if literal_of(segment) is not None:
        return re.escape(literal_of(segment) or "")
    out = []
    if segment[0] in "*?\0" or (segment[0] == "[" and not _ESCAPED.match(segment)):
        out.append(r"(?!\.)")
    position = 0
    while position < len(segment):
        sign = segment[position]
        variable = _VARIABLE.match(segment, position)
        characters = _CLASS.match(segment, position)
        if variable:
            name = variable[1]
            wildcard = wildcards.get(name, DEFAULT_WILDCARD)
            out.append(f"(?P={name})" if name in seen else f"(?P<{name}>{wildcard})")
            seen.add(name)
            position = variable.end()
            continue
        if characters and characters[2]:
            position = characters.end()
            inside = characters[2].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
            inside = re.sub(r"[&~|^]", r"\\\g<0>", inside)
            out.append(f"(?!/)[{'^' if characters[1] else ''}{inside}]")
            continue
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
