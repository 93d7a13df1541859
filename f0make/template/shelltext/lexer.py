"""Words, comments and here-documents of shell text, each value in them placed. Pure.

The commands that the words make up are read by `grammar`.
"""

from __future__ import annotations

import re

from f0make.lazy_re import later
from f0make.template.shelltext.cursor import HOLE, OPAQUE, Heredoc, Unreadable, Word
from f0make.template.shelltext.quotes import Quotes
from f0make.template.shelltext.spot import ARITHMETIC, BODY, COMMENT, WORD, Line, Refusal, Spot

_NAME = later(r"[A-Za-z_]\w*", re.ASCII)
_ASSIGNMENT = later(r"([A-Za-z_]\w*)(\[[^\]]*\])?\+?=", re.ASCII)
_NAME_AHEAD = later(r"[\w\0]*(\[[^\]\s]*\])?\+?=", re.ASCII)
_EXPANDED = frozenset(
    {"PS0", "PS1", "PS2", "PS3", "PS4", "PROMPT_COMMAND", "BASH_ENV", "ENV", "GIT_SSH_COMMAND"}
)
"""Variables whose value is evaluated wherever they are set."""
_OUTSIDE_BRACES = later(r"[^{}]*(?:\{[^{}'\"\\$`\0]*\}[^{}]*)*")
"""A word in whose braces no value stands, and whose braces are what they seem."""
_ENDS_WORD = frozenset(" \t\n;&|<>()")
_ARITHMETIC = Refusal("inside arithmetic a value would be evaluated: no quoting helps", ARITHMETIC)
_SUBSCRIPT_REFUSAL = Refusal("the shell evaluates what stands in a subscript: no quoting helps", ARITHMETIC)
_COMMENT = Refusal("a newline in the value would end this comment", COMMENT)
_NAME_REFUSAL = Refusal("a value cannot be the name of a variable, or a part of it")
_ADJACENT = Refusal("a value right after `$NAME` would be read as a part of the name: write `${NAME}`")
_TILDE = Refusal("a value right after `~` would be read as the name of a user")


class Lexer(Quotes):
    """Reads words."""

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
            self.evaluate(document.start, document.end, document.refusal)

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
        if role in ("command", "declare") and HOLE in self.text[start : self.at]:
            assigned = _ASSIGNMENT.match(word.text)
            if assigned is not None:
                self.assign(assigned[1], start, self.at)
            if HOLE in word.text:
                self._assigned(word, role)
        return word

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
        elif assigned[1] in _EXPANDED:
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
        if role != "element":
            self._evaluate_names(self.at, self.text[self.at : end], _SUBSCRIPT_REFUSAL)
        self.skip_refusing(end + 1, _SUBSCRIPT_REFUSAL)
        return True

    def _braces_and_numbers(self, start: int, braces: bool) -> None:
        """What a value means beside other parts of its word: a range in braces, a descriptor before `>`."""
        written = self.text[start : self.at]
        if HOLE not in written:
            return
        numbers = range(self.number(start), self.number(self.at))
        descriptor = self.peek() in ("<", ">") and self.peek() != ""
        outside = _OUTSIDE_BRACES.fullmatch(written) is not None
        for number in numbers:
            spot = self.spots.get(number)
            if spot is None or spot.form != WORD:
                continue
            spot.narrow = spot.narrow or braces
            spot.forced = spot.forced or descriptor
            if outside:
                continue
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
