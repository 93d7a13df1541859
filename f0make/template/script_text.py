"""Values in `#!` scripts and in texts for interpreters that are no known shell: plain, and never code. Pure.

A value is refused inside a string literal or a comment. Elsewhere it is inserted as it is, provided that it is a
number or a plain word; a text that could be code is refused when it turns up.
"""

from __future__ import annotations

import math
import re

from f0make.fast_dataclass import dataclass
from f0make.lazy_re import later
from f0make.template.shelltext.dialect import Dialect, dialect_of, interpreter
from f0make.template.shelltext.spot import COMMENT, WORD, Refusal, Spot
from f0make.template.template_values import Json, Misplaced, NotText, Quoted, Raw, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOLE = "\0"

_WORD = later(r"[\w@%+=:,./-]*", re.ASCII)
"""What calls nothing and ends nothing in any language."""
_WORDS = later(r"[\w@%+=:,./* \t?-]*", re.ASCII)
"""The same for the arguments of a command in a shell script: several words, and wildcards."""
_JSON = frozenset({"python", "pypy", "node", "nodejs", "deno", "bun", "R", "Rscript", "r", "ipython"})
"""Interpreters in whose language a text of JSON is a literal that expands nothing."""

_STRING = Refusal("a value cannot stand inside a string literal of a script", COMMENT)
_COMMENT = Refusal("a value cannot stand in a comment of a script", COMMENT)


@dataclass(slots=True)
class _Language:
    """How an interpreter's strings and comments look."""

    comments: tuple[str, ...] = ("#",)
    blocks: tuple[tuple[str, str], ...] = ()
    strings: tuple[tuple[str, str], ...] = (('"', '"'), ("'", "'"), ("`", "`"))
    documents: bool = False
    """Whether it has here-documents."""
    lines: bool = False
    """Whether a string of one character's quotes ends with its line."""


_PYTHON = _Language(strings=(('"""', '"""'), ("'''", "'''"), ('"', '"'), ("'", "'")), lines=True)
_JAVASCRIPT = _Language(comments=("//",), blocks=(("/*", "*/"),))
_SQL = _Language(comments=("--",), blocks=(("/*", "*/"),), strings=(('"', '"'), ("'", "'")))
_LANGUAGES = {
    **dict.fromkeys(("python", "pypy", "ipython"), _PYTHON),
    **dict.fromkeys(("node", "nodejs", "deno", "bun"), _JAVASCRIPT),
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk", "jq"), _Language(strings=(('"', '"'),))),
    **dict.fromkeys(("perl", "ruby"), _Language(documents=True)),
    "php": _Language(comments=("#", "//"), blocks=(("/*", "*/"),), documents=True),
    "julia": _Language(blocks=(("#=", "=#"),), strings=(('"""', '"""'), ('"', '"'), ("`", "`"))),
    "lua": _Language(
        comments=("--",), blocks=(("--[[", "]]"),), strings=(('"', '"'), ("'", "'"), ("[[", "]]"))
    ),
    **dict.fromkeys(("psql", "sqlite", "duckdb", "mysql"), _SQL),
}


class Place:
    """Where a value stands in a script."""

    __slots__ = ("json", "refusal", "spot", "words")

    def __init__(self, refusal: Refusal | None = None) -> None:
        self.refusal = refusal
        self.json = False
        """Whether JSON is a literal there."""
        self.spot: Spot | None = None
        """Where it stands in a shell script: `| quote` is for that place."""
        self.words = False
        """Whether it may be several."""

    def write(self, value: Any) -> str:
        """``value`` as it is. Raises NotText, Misplaced and Broken."""
        if isinstance(value, Raw):
            return value
        if self.refusal is not None:
            return self.refusal.accept(value)
        if type(value) is float and not math.isfinite(value):
            raise NotText("this number is not finite")
        text = to_text(value)
        if "\0" in text:
            raise NotText("this holds a NUL character, which no command can hold")
        if self.spot is not None and isinstance(value, Quoted):
            return self.spot.write(value)
        if self.json and isinstance(value, Json):
            return str(text)
        if (_WORDS if self.words else _WORD).fullmatch(text) is None:
            raise Misplaced("this value would be code of the script")
        return str(text)


def read_script(text: str) -> list[Place]:
    """A Place for each NUL of ``text``, a `#!` script."""
    line = text[2:].partition("\n")[0]
    words = [word for word in line.split() if word != "-S"]
    words = [word.removeprefix("-S") if word.startswith("-S") else word for word in words]
    if HOLE in line:
        # Which language it is depends on the value: nothing but plain words may stand anywhere.
        return _placed(text, _Language(), False)
    return _read(text, words)


def read_code(text: str, words: list[str]) -> list[Place]:
    """A Place for each NUL of ``text``, which the program ``words``, no known shell, is given."""
    return _read(text, words)


def _read(text: str, words: list[str]) -> list[Place]:
    dialect = dialect_of(words)
    if dialect is not None:
        from f0make.template.shelltext.grammar import read

        return [_of_shell(spot) for spot in read(text, Dialect(dialect.name, dialect.certain))]
    name = interpreter(words)
    return _placed(text, _LANGUAGES.get(name, _Language()), name in _JSON)


def _of_shell(spot: Spot) -> Place:
    """The place in a shell script, whose values are plain."""
    if spot.refusal is not None:
        said = spot.refusal
        return Place(_COMMENT if said.kind == COMMENT else said)
    if spot.form != WORD:
        return Place(_STRING)
    place = Place()
    place.spot = spot
    place.words = spot.alone and not spot.command and not spot.joined and not spot.one and not spot.forced
    return place


def _placed(text: str, language: _Language, json: bool) -> list[Place]:
    at = 0
    if text.startswith("#!"):
        at = text.find("\n") if "\n" in text else len(text)
    places = [Place() for _ in range(text.count(HOLE, 0, at))]
    opening = re.compile(_openings(language), re.MULTILINE)
    while found := opening.search(text, at):
        if found[0] == HOLE:
            place = Place()
            place.json = json
            places.append(place)
            at = found.end()
            continue
        at = _end(text, found, language)
        comment = found[0] in language.comments or any(found[0] == begin for begin, _ in language.blocks)
        places += [Place(_COMMENT if comment else _STRING)] * text.count(HOLE, found.start(), at)
    return places


def _openings(language: _Language) -> str:
    """What begins a string or a comment, or is a value."""
    signs = [
        *(begin for begin, _ in language.blocks),
        *language.comments,
        *(begin for begin, _ in language.strings),
    ]
    signs.sort(key=len, reverse=True)
    document = [r"<<[~-]?(?:[\"']?)[A-Za-z_]\w*"] if language.documents else []
    return "|".join([HOLE, *document, *map(re.escape, signs)])


def _end(text: str, found: re.Match[str], language: _Language) -> int:
    """Where the string or comment ends that begins at ``found``."""
    begin = found[0]
    if begin.startswith("<<") and language.documents:
        name = re.escape(begin.lstrip("<~-\"'"))
        after = re.compile(rf"^[ \t]*{name}\b", re.MULTILINE).search(text, text.find("\n", found.end()) + 1)
        return after.end() if after else len(text)
    blocks = dict(language.blocks)
    if begin in blocks:
        end = text.find(blocks[begin], found.end())
        return end + len(blocks[begin]) if end >= 0 else len(text)
    if begin in language.comments:
        end = text.find("\n", found.end())
        return end if end >= 0 else len(text)
    close = dict(language.strings)[begin]
    at = found.end()
    while at < len(text):
        if text.startswith(close, at):
            return at + len(close)
        if text[at] == "\n" and language.lines and len(close) == 1:
            return at
        at += 2 if text[at] == "\\" else 1
    return len(text)
