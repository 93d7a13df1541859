"""The place of one value in shell text, and how a value is written there so that the program gets exactly it. Pure."""

from __future__ import annotations

import math
import re

from f0make.lazy_re import later
from f0make.template.shelltext.dialect import words_of
from f0make.template.template_values import MISPLACED_HINT, Misplaced, NotText, Quoted, Raw, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WORD = "word"
"""Outside of quotes."""
SINGLE = "'…'"
DOUBLE = '"…"'
ANSI = "$'…'"
BODY = "here-document"
"""In a here-document whose text the shell expands."""
VERBATIM = "verbatim here-document"
"""In a here-document with a quoted delimiter."""

_SAFE = later(r"[\w@%+=:,./-]*", re.ASCII)
"""What no shell gives a meaning to inside a word, and inside any quotes."""
_PLAIN = later(r"[\w/-]*", re.ASCII)
"""What means nothing inside braces and to a command's first word either."""
_RESERVED = words_of(
    "if then else elif fi do done case esac while until for select function in time coproc foreach end repeat "
    "nocorrect noglob exec command builtin always"
)

ARITHMETIC = "arithmetic"
PROGRAM = "program"
COMMENT = "comment"
OTHER = "other"

_NUMBER_HINT = f"a whole number may stand here: `| int`; else {MISPLACED_HINT}"


class Refusal:
    """Why a value cannot stand at a place. ``kind`` says which numbers may: ARITHMETIC, PROGRAM, COMMENT or OTHER (none)."""

    __slots__ = ("kind", "message")

    def __init__(self, message: str, kind: str = OTHER) -> None:
        self.message = message
        self.kind = kind

    def error(self) -> Misplaced:
        """The refusal as an exception, with the hint that fits."""
        return Misplaced(self.message, MISPLACED_HINT if self.kind == OTHER else _NUMBER_HINT)

    def accept(self, value: Any) -> str:
        """``value`` as the number that may stand here. Raises Misplaced for anything else."""
        if self.kind != OTHER and type(value) is int:
            # In parentheses, so that no sign meets another one before it.
            return f"({value})" if value < 0 and self.kind == ARITHMETIC else str(value)
        if self.kind in (PROGRAM, COMMENT) and type(value) is float and math.isfinite(value):
            return repr(value)
        raise self.error()


_MAKE_WORD = later(r"[\w@%+=:,./ -]*", re.ASCII)
_NUMBER = later(r"-?\d+", re.ASCII)
_LATER_WORD = later(r"-?[\w.]*", re.ASCII)


class Later:
    """What becomes of a value that is first a variable, or make's: only some texts can stand there."""

    __slots__ = ("hint", "pattern", "refusal")

    def __init__(self, refusal: Refusal, name: str = "") -> None:
        """``name``: the variable that it is put in; without one, a word of make."""
        self.refusal = refusal
        may = "a whole number" if refusal.kind == ARITHMETIC else "a plain word"
        self.hint = f"{may} may stand here; hand other text over as an operand, or write `| raw` to insert it as it is"
        self.pattern = _MAKE_WORD
        if name:
            self.pattern = _NUMBER if refusal.kind == ARITHMETIC else _LATER_WORD
            self.refusal = Refusal(f"`${name}` is evaluated later: {refusal.message}", refusal.kind)

    def check(self, value: Any) -> None:
        """Raise Misplaced, NotText and Broken."""
        for text in _flat(value):
            if self.pattern.fullmatch(text) is None:
                raise Misplaced(self.refusal.message, self.hint)


class Line:
    """The line of a here-document that a value stands in, to see whether it can end the document."""

    __slots__ = ("after", "before", "delimiter", "strip", "text_only")

    def __init__(self, before: str, after: str, delimiter: str, strip: bool, text_only: bool) -> None:
        """``before`` and ``after`` are the rest of the line, with NUL for other values; ``strip``: `<<-`.

        ``text_only``: the shell cannot read bytes there that are no UTF-8.
        """
        self.before = before.lstrip("\t") if strip else before
        self.after = after
        self.delimiter = delimiter
        self.strip = strip
        self.text_only = text_only

    def check(self, text: str) -> None:
        """Raise Misplaced where ``text`` would end the here-document, or where `<<-` would take tabs from it."""
        if self.text_only and not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
            raise Misplaced("this shell hangs on bytes that are no UTF-8 in a here-document inside `$(…)`")
        first, *rest = text.split("\n")
        lines = [_around(self.before, first, "" if rest else self.after)]
        if rest:
            *middle, last = rest
            lines += [re.escape(line) for line in middle]
            lines.append(_around("", last, self.after))
        if self.strip and (
            any(line.startswith("\t") for line in rest) or (text[:1] == "\t" and not self.before)
        ):
            raise Misplaced("`<<-` takes away the tab that begins a line of this value")
        if any(re.fullmatch(line, self.delimiter) for line in lines):
            raise Misplaced(f"a line of this value ends the here-document (`{self.delimiter}`)")


def _around(before: str, text: str, after: str) -> str:
    """A pattern for the line; a NUL before or after is any other value."""
    return "".join(map(_pattern, (before, text, after)))


def _pattern(text: str) -> str:
    return ".*".join(map(re.escape, text.split("\0")))


class Spot:
    """Where a value stands."""

    __slots__ = (
        "alone",
        "backticks",
        "command",
        "compound",
        "forced",
        "form",
        "joined",
        "later",
        "line",
        "narrow",
        "one",
        "refusal",
    )

    def __init__(self, form: str, *, joined: bool = True, forced: bool = False) -> None:
        self.form = form
        self.joined = joined
        """True where the items of a list are one word, joined by blanks."""
        self.forced = forced
        """True where even harmless text needs quotes, because of what stands beside it."""
        self.narrow = False
        """True inside braces, where `,` and `.` mean something."""
        self.command = False
        """True for the first word of a command: a reserved word or an assignment needs quotes there."""
        self.alone = False
        """True where the value is a word by itself."""
        self.one = False
        """True where exactly one word must stand: the file of a redirection."""
        self.compound = False
        """True where bash takes a value that begins with `(` for a list of expressions (`declare`)."""
        self.backticks = 0
        """How many backquotes it is nested in: each takes one layer of backslashes away."""
        self.line: Line | None = None
        self.later: Later | None = None
        """What evaluates the value once it is in a variable."""
        self.refusal: Refusal | None = None

    def write(self, value: Any) -> str:
        """``value`` as shell text for this place. Raises NotText, Misplaced and Broken."""
        if isinstance(value, Raw):
            return value
        if isinstance(value, Quoted):
            value = value.value
        if self.refusal is not None:
            return self.refusal.accept(value)
        if self.later is not None:
            self.later.check(value)
        written = self._write(value)
        for _ in range(self.backticks):
            written = written.replace("\\", "\\\\").replace("`", "\\`")
        return written

    def _write(self, value: Any) -> str:
        if self.form == WORD:
            if not isinstance(value, str) and isinstance(value, (list, tuple, set, range)):
                return self._list(list(value))
            return self._word(to_text(value))
        text = to_text(value)
        self._check_compound(text)
        if "\0" in text:
            raise NotText("this holds a NUL character, which no command can hold")
        if self.form == SINGLE:
            return text.replace("'", "'\\''")
        if self.form in (DOUBLE, ANSI):
            if not self.forced and _SAFE.fullmatch(text) is not None:
                return text
            return f'"{_single(text)}"' if self.form == DOUBLE else f"'{_single(text)}$'"
        assert self.line is not None
        self.line.check(text)
        if self.form == BODY:
            text = text.replace("\\", "\\\\").replace("$", "\\$").replace("`", "\\`")
            self.line.check(text)
        return text

    def _check_compound(self, text: str) -> None:
        if self.compound and text.startswith("("):
            raise Misplaced("the shell may evaluate a value that begins with `(` here")

    def _list(self, items: list[Any]) -> str:
        if self.one and len(items) != 1:
            raise Misplaced(f"one file is expected here, and this is a list of {len(items)}", "")
        if self.joined:
            return self._word(to_text(items))
        if not items:
            return "" if self.alone else "''"
        return " ".join([self._word(text) for item in items for text in _flat(item)])

    def _word(self, text: str) -> str:
        self._check_compound(text)
        safe = _SAFE.fullmatch(text) is not None and text[:1] not in ("", "=")
        if not safe or self.forced or (self.command and text[0] in "-+%"):
            return _single(text)  # a text that begins with a dash would be options of the shell itself
        if (self.narrow or self.command) and (_PLAIN.fullmatch(text) is None or text in _RESERVED):
            bare = self.command and not self.narrow and "=" not in text and text not in _RESERVED
            return text if bare else _single(text)
        return text


def _flat(item: Any) -> list[str]:
    if not isinstance(item, str) and isinstance(item, (list, tuple, set, range)):
        return [text for one in item for text in _flat(one)]
    return [to_text(item)]


def _single(text: str) -> str:
    """``text`` in single quotes. Raises NotText for a NUL."""
    if "\0" in text:
        raise NotText("this holds a NUL character, which no command can hold")
    return "'" + text.replace("'", "'\"'\"'") + "'"
