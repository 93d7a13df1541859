"""Walk through shell text as the shell will: words, quotes, expansions. Pure.

A NUL in the text stands for a value; each is given a `Spot`. The commands that the words make up are read by
`grammar`.
"""

from __future__ import annotations

import re

from f0make.later import later
from f0make.template.shelltext.dialect import Dialect
from f0make.template.shelltext.spot import (
    ANSI,
    ARITHMETIC,
    BODY,
    COMMENT,
    DOUBLE,
    SINGLE,
    WORD,
    Line,
    Refusal,
    Spot,
)

HOLE = "\0"
OPAQUE = "\1"
"""In the plain text of a word: what the shell puts there itself."""

_NAME = later(r"[A-Za-z_]\w*", re.ASCII)
_VARIABLE = later(r"[A-Za-z_]\w*|\d+|[@*#?$!-]", re.ASCII)
_ASSIGNMENT = later(r"([A-Za-z_]\w*)(\[[^\]]*\])?\+?=", re.ASCII)
_NAME_AHEAD = later(r"[\w\0]*(\[[^\]\s]*\])?\+?=", re.ASCII)
_ENDS_WORD = frozenset(" \t\n;&|<>()")

_ARITHMETIC = Refusal("inside arithmetic a value would be evaluated: no quoting helps", ARITHMETIC)
_SUBSCRIPT_REFUSAL = Refusal("the shell evaluates what stands in a subscript: no quoting helps", ARITHMETIC)
_COMMENT = Refusal("a newline in the value would end this comment", COMMENT)
_BACKSLASH = Refusal("a value cannot stand right after a backslash")
_DOLLAR = Refusal("a value right after `$` would be read as the name of a variable")
_NAME_REFUSAL = Refusal("a value cannot be the name of a variable, or a part of it")
_ADJACENT = Refusal("a value right after `$NAME` would be read as a part of the name: write `${NAME}`")
_INSIDE = Refusal("a value cannot be quoted inside this `${…}`")
_TILDE = Refusal("a value right after `~` would be read as the name of a user")


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


class Lexer:
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
        self.pending: list[Heredoc] = []
        self.depth = 0
        """In how many `$(…)` it is."""
        self.integers: set[str] = set()
        """Variables declared as integers: what is assigned to them is evaluated."""

    # What is ahead

    def peek(self) -> str:
        """The next character, "" at the end."""
        return self.text[self.at] if self.at < self.end else ""

    def ahead(self, text: str) -> bool:
        """Whether ``text`` comes next."""
        return self.text.startswith(text, self.at, self.end)

    def number(self, position: int) -> int:
        """The number of the value at ``position``."""
        return self.first + self.text.count(HOLE, 0, position)

    def put(self, spot: Spot) -> None:
        """Place the value that comes next, and go past it."""
        spot.backticks = self.backticks
        self.spots[self.number(self.at)] = spot
        self.at += 1

    def refuse(self, start: int, end: int, refusal: Refusal) -> None:
        """Refuse all values between ``start`` and ``end``, wherever they stand there."""
        number = self.number(start)
        for one in range(number, number + self.text.count(HOLE, start, end)):
            spot = self.spots.setdefault(one, Spot(WORD))
            if spot.refusal is None or spot.refusal.kind == ARITHMETIC:
                spot.refusal = refusal

    def skip_refusing(self, end: int, refusal: Refusal) -> None:
        """Go to ``end``; what stands before it cannot hold a value."""
        self.refuse(self.at, end, refusal)
        self.at = end

    def commands(self, closing: str) -> None:
        """Read commands up to ``closing`` and go past it."""
        raise NotImplementedError

    # Comments and here-documents

    def comment(self) -> None:
        """From `#` to the end of the line."""
        end = self.text.find("\n", self.at, self.end)
        self.skip_refusing(end if end >= 0 else self.end, _COMMENT)

    def newline(self) -> None:
        """Go past a newline and the here-documents that begin after it."""
        self.at += 1
        pending, self.pending = self.pending, []
        for document in pending:
            self._document(document)

    def _document(self, document: Heredoc) -> None:
        document.start = line = self.at
        continued = False
        while True:
            if line >= self.end:
                stop = following = self.end
                break
            stop = self.text.find("\n", line, self.end)
            stop = stop if stop >= 0 else self.end
            text = self.text[line:stop]
            if (text.lstrip("\t") if document.strip else text) == document.delimiter:
                if continued:
                    raise Unreadable("the line before the end of a here-document ends in a backslash")
                following, stop = min(stop + 1, self.end), line
                break
            continued = not document.quoted and (len(text) - len(text.rstrip("\\"))) % 2 == 1
            line = stop + 1
        document.end = stop
        outer, self.end = self.end, stop
        while self.at < self.end:
            self._in_document(document)
        self.end, self.at = outer, following
        if document.refusal is not None:
            self.refuse(document.start, document.end, document.refusal)

    def _in_document(self, document: Heredoc) -> None:
        sign = self.peek()
        if sign == HOLE:
            self._document_value(document)
        elif document.quoted:
            self.at += 1
        elif sign == "\\":
            self._escaped()
        elif sign == "$":
            self.dollar(quoted=True)
            if self.peek() == HOLE and self._after_name():
                self.put_refused(_ADJACENT)
        elif sign == "`":
            self.backquoted(BODY)
        else:
            self.at += 1

    def _document_value(self, document: Heredoc) -> None:
        start = self.text.rfind("\n", document.start, self.at) + 1 or document.start
        end = self.text.find("\n", self.at, document.end)
        end = end if end >= 0 else document.end
        before, after = self.text[start : self.at], self.text[self.at + 1 : end]
        spot = Spot(BODY if not document.quoted else "verbatim")
        ksh = self.dialect.name == "ksh" and (self.depth > 0 or self.backticks > 0)
        spot.line = Line(before, after, document.delimiter, document.strip, text_only=ksh)
        bare = (before.lstrip("\t") if document.strip else before) + after
        if not bare.strip(HOLE):
            said = f"this line of the here-document is nothing but the value, which could be its end (`{document.delimiter}`)"
            spot.refusal = Refusal(said)
        self.put(spot)

    def put_refused(self, refusal: Refusal) -> None:
        """Refuse the value that comes next, and go past it."""
        spot = Spot(WORD)
        spot.refusal = refusal
        self.put(spot)

    def _escaped(self) -> str:
        """Go past a backslash and what it quotes, which is returned."""
        self.at += 1
        sign = self.peek()
        if sign == HOLE:
            self.put_refused(_BACKSLASH)
        else:
            self.at += 1
        return sign

    # Words

    def word(self, *, joined: bool = False, forced: bool = False, role: str = "") -> Word:
        """A word. ``role``: ``command`` (first of a command), ``declare`` (an argument that may be an assignment),
        ``element`` (of an array), ``pattern``, ``file`` (of a redirection), or nothing.
        """
        start = self.at
        plain: list[str] = []
        braced = False
        while self.at < self.end:
            sign = self.peek()
            braced = braced or sign == "{"
            if sign == "(":
                if not self._group(start, plain, role):
                    break
            elif sign in "<>" and self.text[self.at + 1 : self.at + 2] == "(" and self.dialect.name != "sh":
                self.at += 2
                self.commands(")")
                plain.append(OPAQUE)
            elif sign in _ENDS_WORD:
                break
            elif sign == HOLE:
                self._word_value(start, joined, forced, role)
                plain.append(HOLE)
            elif sign == "[" and role in ("command", "declare", "element") and self._subscript(start, role):
                plain.append(OPAQUE)
            else:
                plain.append(self._piece(sign))
        self._braces_and_numbers(start, braced)
        word = Word(start, self.at, "".join(plain))
        if role in ("command", "declare") and HOLE in word.text:
            self._assigned(word, role)
        return word

    def _piece(self, sign: str) -> str:
        """A quoted or expanded part of a word, or one character; returns what it says."""
        if sign == "'":
            return self._single(ansi=False)
        if sign == '"':
            return self._double()
        if sign == "\\":
            quoted = self._escaped()
            return "" if quoted == "\n" else quoted
        if sign == "`":
            self.backquoted()
            return OPAQUE
        if sign == "$":
            return self.dollar(quoted=False)
        self.at += 1
        return sign

    def _word_value(self, start: int, joined: bool, forced: bool, role: str) -> None:
        before = self.text[start : self.at]
        following = self.text[self.at + 1 : self.at + 2]
        spot = Spot(WORD, joined=joined, forced=forced or self._after_name())
        spot.one = role == "file"
        spot.alone = not before and (not following or following in _ENDS_WORD)
        spot.command = role == "command" and not before
        if following in ("(", "[", "{", "<", ">") and following:
            spot.forced = True
        if "[" in before or "(" in before:
            spot.forced = True
        head = before.rpartition("/")[2]
        if "~" in head and head.rstrip(HOLE + "~")[-1:] in ("", "=", ":", HOLE):
            if self.dialect.name in ("ksh", "zsh"):
                spot.refusal = _TILDE
            spot.forced = True
        if before == "=" and self.dialect.name == "zsh":
            spot.refusal = Refusal("a value right after `=` would be read as the name of a command")
        if role in ("command", "declare"):
            self._name_value(spot, before)
        self.put(spot)

    def _assigned(self, word: Word, role: str) -> None:
        """What the values in an assignment may not be."""
        assigned = _ASSIGNMENT.match(word.text)
        if assigned is None:
            return
        if assigned[1] in self.integers:
            self.refuse(word.start, word.end, _ARITHMETIC)
        elif assigned[1] in ("PS4", "PROMPT_COMMAND"):
            said = f"the shell evaluates the value of {assigned[1]} once more"
            self.refuse(word.start, word.end, Refusal(said))
        elif role == "declare" and word.text[assigned.end()] == HOLE:
            self.spots[self.number(word.start)].compound = True

    def _name_value(self, spot: Spot, before: str) -> None:
        """The place of a value that is assigned, or a part of the name of what is."""
        if _ASSIGNMENT.match(before) is not None:
            spot.joined = True
            return
        rest = self.text[self.at + 1 : self.end]
        if _NAME_AHEAD.match(rest) and re.fullmatch(r"[\w\0]*", before, re.ASCII):
            spot.refusal = _NAME_REFUSAL

    def _subscript(self, start: int, role: str) -> bool:
        """A subscript that begins here: `name[…]=`, or `[…]=` in an array; goes past it."""
        before = self.text[start : self.at]
        if role == "element":
            if before:
                return False
        elif _NAME.fullmatch(before) is None and not (role == "declare" and before):
            return False
        end = self.text.find("]", self.at, self.end)
        if end < 0 or (role != "declare" and self.text[end + 1 : end + 2] not in ("=", "+")):
            return False
        self.skip_refusing(end + 1, _SUBSCRIPT_REFUSAL)
        return True

    def _braces_and_numbers(self, start: int, braces: bool) -> None:
        """What a value means beside other parts of its word: a range in braces, a descriptor before `>`."""
        written = self.text[start : self.at]
        if HOLE not in written:
            return
        numbers = range(self.number(start), self.number(self.at))
        descriptor = self.peek() in ("<", ">") and self.peek() != ""
        for number in numbers:
            spot = self.spots.get(number)
            if spot is None or spot.form != WORD:
                continue
            spot.narrow = spot.narrow or braces
            spot.forced = spot.forced or descriptor
            if braces and ".." in written and spot.refusal is None:
                spot.refusal = Refusal("in `{a..b}` a value would be read as a range", ARITHMETIC)
            elif braces and self.dialect.name in ("ksh", "zsh") and "," not in written:
                spot.refusal = Refusal("this shell may read a value in `{…}` as a range")

    def _group(self, start: int, plain: list[str], role: str) -> bool:
        """A parenthesis inside a word: an array, a pattern; False where it ends the word."""
        written = self.text[start : self.at]
        if _ASSIGNMENT.fullmatch(written) is not None and role in ("command", "declare"):
            self.at += 1
            self._array()
            plain.append(OPAQUE)
            return True
        zsh = self.dialect.name == "zsh"
        if zsh and written == "=":
            self.at += 1
            self.commands(")")
            plain.append(OPAQUE)
            return True
        if (self.text.startswith("()", self.at) and role == "command") or not written:
            return False
        if zsh:
            begin = self.at
            self._pattern_group()
            said = "a value in parentheses inside a word may be evaluated by zsh"
            self.refuse(begin, self.at, Refusal(said))
        elif written[-1] in "?*+@!~%-" and self.dialect.name != "sh":
            self._pattern_group()
        else:
            return False
        plain.append(OPAQUE)
        return True

    def _pattern_group(self) -> None:
        """`(…|…)` of a pattern."""
        self.at += 1
        while self.at < self.end:
            sign = self.peek()
            if sign == ")":
                self.at += 1
                return
            if sign == "(":
                self._pattern_group()
            elif sign in " \t\n|&<>;":
                self.at += 1
            else:
                self.word(joined=True, forced=True, role="pattern")
        raise Unreadable("a `(` is never closed")

    def _array(self) -> None:
        """The elements of an array, after `(`."""
        while self.at < self.end:
            sign = self.peek()
            if sign == ")":
                self.at += 1
                return
            if sign in " \t":
                self.at += 1
            elif sign == "\n":
                self.newline()
            elif sign == "#":
                self.comment()
            else:
                before = self.at
                self.word(role="element", forced=True)
                if self.at == before:
                    raise Unreadable(f"`{sign}` was not expected in an array")
        raise Unreadable("the `(` of an array is never closed")

    # Quotes

    def _single(self, ansi: bool) -> str:
        """Single quotes, or the quotes of `$'…'`."""
        self.at += 1
        start = self.at
        while self.at < self.end:
            sign = self.peek()
            if sign == "'":
                said = self.text[start : self.at]
                self.at += 1
                return said if not ansi else re.sub(r"\\.", OPAQUE, said)
            if sign == HOLE:
                self.put(Spot(ANSI if ansi else SINGLE, forced=ansi))
            elif sign == "\\" and ansi:
                if not self.dialect.certain and self.text[self.at + 1 : self.at + 2] == "'":
                    raise Unreadable(
                        "`\\'` in `$'…'` means something else to another shell: name the `shell`"
                    )
                if self._escaped() == "c" and self.peek() == HOLE:
                    self.put_refused(_BACKSLASH)
            else:
                self.at += 1
        raise Unreadable("a single quote is never closed")

    def _double(self, inside: bool = False) -> str:
        """Double quotes. ``inside``: inside a `${…}` that is itself quoted, where no value can be placed."""
        self.at += 1
        said: list[str] = []
        while self.at < self.end:
            sign = self.peek()
            if sign == '"':
                self.at += 1
                return "".join(said)
            if sign == HOLE:
                if inside:
                    self.put_refused(_INSIDE)
                else:
                    self.put(Spot(DOUBLE, forced=self._after_name()))
                said.append(HOLE)
            elif sign == "\\":
                quoted = self._escaped()
                said.append("" if quoted == "\n" else quoted if quoted in '$`"\\\0' else f"\\{quoted}")
            elif sign == "`":
                self.backquoted('"')
                said.append(OPAQUE)
            elif sign == "$":
                said.append(self.dollar(quoted=True))
            else:
                said.append(sign)
                self.at += 1
        raise Unreadable("a double quote is never closed")

    def _after_name(self) -> bool:
        """Whether what stands before is `$name`, which would take in what follows."""
        return self._name_end == self.at

    _name_end = -1

    def backquoted(self, within: str = "") -> None:
        """A command in backquotes: its text, one layer of backslashes taken away, is read by itself.

        ``within``: the double quote, or the here-document, that it stands in.
        """
        start = self.at + 1
        at = start
        out: list[str] = []
        while at < self.end:
            sign = self.text[at]
            if sign == "`":
                break
            following = self.text[at + 1 : at + 2]
            if sign == "\\" and following and (following in "\\`$" or following == within == '"'):
                at += 1
                sign = following
            elif sign == "\\" and (following == HOLE or (following == '"' and within == BODY)):
                raise Unreadable("a backslash inside backquotes: write `$(…)`")
            out.append(sign)
            at += 1
        else:
            raise Unreadable("a backquote is never closed")
        inner = type(self)("".join(out), self.dialect, self.spots, self.number(start), self.backticks + 1)
        inner.commands("")
        self.at = at + 1

    # Expansions

    def dollar(self, quoted: bool) -> str:
        """What begins with `$`; returns what it says. ``quoted``: inside double quotes or a here-document."""
        self.at += 1
        sign = self.peek()
        if sign == "(":
            self._substitution()
        elif sign == "{":
            self._parameter(quoted)
        elif sign == "[" and self.dialect.name != "ksh":
            self._until("]", _ARITHMETIC)
        elif sign == "'" and not quoted:
            return self._single(ansi=True)
        elif sign == '"' and not quoted:
            return self._double()
        elif sign == HOLE:
            self.put_refused(_DOLLAR)
        else:
            return self._variable()
        return OPAQUE

    def _variable(self) -> str:
        zsh = self.dialect.name == "zsh"
        while (
            zsh
            and self.peek()
            and self.peek() in "#+^=~"
            and re.match(r"[A-Za-z_\0]", self.text[self.at + 1 : self.at + 2])
        ):
            self.at += 1
            if self.peek() == HOLE:
                self.put_refused(_NAME_REFUSAL)
                return OPAQUE
        name = _VARIABLE.match(self.text, self.at, self.end)
        if name is None:
            return "$"
        self.at = name.end()
        if name[0][-1:].isalnum() or name[0][-1:] == "_":
            self._name_end = self.at
        if zsh and self.peek() == "[":
            self._until("]", _SUBSCRIPT_REFUSAL)
        if zsh and self.peek() == ":":
            modifier = re.compile(r"[\w:&/\0]*", re.ASCII).match(self.text, self.at + 1, self.end)
            assert modifier is not None
            if HOLE in modifier[0]:
                self.refuse(self.at, modifier.end(), _ADJACENT)
        return OPAQUE

    def _substitution(self) -> None:
        """`$(…)`, or arithmetic in `$((…))`."""
        if self.ahead("((") and self.arithmetic():
            return
        outer, self.pending = self.pending, []
        start = self.at
        self.at += 1
        self.depth += 1
        self.commands(")")
        self.depth -= 1
        if outer and "\n" in self.text[start : self.at]:
            raise Unreadable("a here-document begins inside a `$(…)` that began before it")
        self.pending = outer + self.pending

    def arithmetic(self) -> bool:
        """`((…))`; False, with nothing read, where it is a command in parentheses after all."""
        start = self.at
        self.at += 2
        try:
            self._until_closed(")", _ARITHMETIC)
        except Unreadable:
            self.at = start
            return False
        if self.peek() != ")":
            self.at = start
            return False
        self.at += 1
        return True

    def _until(self, closing: str, refusal: Refusal) -> None:
        """Go past an opening bracket and everything up to the ``closing`` one."""
        self.at += 1
        self._until_closed(closing, refusal)

    def _until_closed(self, closing: str, refusal: Refusal) -> None:
        """Go past ``closing``, brackets inside in pairs; values that stand there directly are refused."""
        opening = {")": "(", "]": "[", "}": "{"}[closing]
        depth = 0
        while self.at < self.end:
            sign = self.peek()
            if sign == closing and depth == 0:
                self.at += 1
                return
            if sign == HOLE:
                self.put_refused(refusal)
            elif sign == "'" or sign == '"':
                start = self.at
                self._piece(sign)
                self.refuse(start, self.at, refusal)
            elif sign in "\\`$":
                self._piece(sign)
            else:
                depth += (sign == opening) - (sign == closing)
                self.at += 1
        raise Unreadable(f"a `{opening}` is never closed")

    def _parameter(self, quoted: bool) -> None:
        """`${…}`."""
        self.at += 1
        sign = self.peek()
        if sign in ("", " ", "\t", "\n", "|", "(", "$", "^", "=", "~", "+") or self.ahead("#\0"):
            # A command in `${ …;}`, flags of zsh: read only so far as to find the end.
            self._until_closed("}", _INSIDE)
            return
        if sign in "!#" and self.text[self.at + 1 : self.at + 2] not in (
            "}",
            ":",
            "-",
            "+",
            "=",
            "?",
            "%",
            "#",
            "/",
        ):
            self.at += 1
        name = _VARIABLE.match(self.text, self.at, self.end)
        if name is None or self.text[name.end() : name.end() + 1] == HOLE:
            self._until_closed("}", _NAME_REFUSAL)
            return
        self.at = name.end()
        if self.peek() == "[":
            self._until("]", _SUBSCRIPT_REFUSAL)
        operator = re.compile(r":?[-=+?]|##?|%%?|//?[#%]?").match(self.text, self.at, self.end)
        if self.peek() == "}":
            self.at += 1
        elif operator is None:
            offset = self.peek() == ":" and self.dialect.name != "zsh"
            self._until_closed("}", _ARITHMETIC if offset else _INSIDE)
        else:
            self.at = operator.end()
            self._operand(quoted, pattern=operator[0][-1] in "#%/" and operator[0][0] != ":")

    def _operand(self, quoted: bool, pattern: bool) -> None:
        """What follows the operator of a `${…}`, up to its `}`."""
        while self.at < self.end:
            sign = self.peek()
            if sign == "}":
                self.at += 1
                return
            if sign == HOLE:
                if quoted or (pattern and self.dialect.name == "zsh"):
                    self.put_refused(_INSIDE)
                else:
                    self.put(Spot(WORD, joined=pattern, forced=True))
            elif sign == "'" and quoted:
                self._quote_in_quotes(pattern)
            elif sign == '"' and quoted:
                self._double(inside=True)
            elif sign in "'\"\\`$":
                self._piece(sign) if not (quoted and sign == "$") else self.dollar(quoted=True)
            else:
                self.at += 1
        raise Unreadable("a `${` is never closed")

    def _quote_in_quotes(self, pattern: bool) -> None:
        """A single quote in a `${…}` that is quoted: shells differ unless it is one of a pair around plain text."""
        end = self.text.find("'", self.at + 1, self.end)
        inside = self.text[self.at + 1 : end] if end >= 0 else "}"
        if end < 0 or any(sign in inside for sign in '}"`$\\\n'):
            raise Unreadable("a single quote in a quoted `${…}` is read differently by different shells")
        self.skip_refusing(end + 1, _INSIDE)
