"""Quotes and expansions of shell text: `"…"`, `$'…'`, `$(…)`, `${…}`, backquotes, arithmetic. Pure."""

from __future__ import annotations

import re

from f0make.lazy_re import later
from f0make.template.shelltext.cursor import HOLE, OPAQUE, Cursor, Unreadable
from f0make.template.shelltext.spot import ANSI, ARITHMETIC, BODY, DOUBLE, SINGLE, WORD, Refusal, Spot

_VARIABLE = later(r"[A-Za-z_]\w*|\d+|[@*#?$!-]", re.ASCII)
_NAME = later(r"[A-Za-z_]\w*", re.ASCII)
_ECHO = later(r"\$\(\s*(?:echo|printf|print)\b")
_ASSOCIATIVE = later(r"\b(?:declare|typeset|local)\b[^\n;&|]*\s-\w*A")
_ARITHMETIC = Refusal("inside arithmetic a value would be evaluated: no quoting helps", ARITHMETIC)
_SUBSCRIPT_REFUSAL = Refusal("the shell evaluates what stands in a subscript: no quoting helps", ARITHMETIC)
_BACKSLASH = Refusal("a value cannot stand right after a backslash")
_DOLLAR = Refusal("a value right after `$` would be read as the name of a variable")
_NAME_REFUSAL = Refusal("a value cannot be the name of a variable, or a part of it")
_ADJACENT = Refusal("a value right after `$NAME` would be read as a part of the name: write `${NAME}`")
_INSIDE = Refusal("a value cannot be quoted inside this `${…}`")


class Quotes(Cursor):
    """Reads what may stand inside a word."""

    _name_end = -1
    """Where the name of a variable ends that has no braces."""

    def _escaped(self) -> str:
        """Go past a backslash and what it quotes, which is returned."""
        self.at += 1
        sign = self.peek()
        if sign == HOLE:
            self.put_refused(_BACKSLASH)
        else:
            self.at += 1
        return sign

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
        inner.assigned, inner.evaluated = self.assigned, self.evaluated
        inner.commands("")
        self.at = at + 1

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
        self.uses.append((self.at, name[0], self.depth))
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
        begin = self.at
        plain: list[str] = []
        while self.at < self.end:
            sign = self.peek()
            if sign == closing and depth == 0:
                self.at += 1
                if refusal.kind == ARITHMETIC:
                    self._evaluate_names(begin, "".join(plain), refusal)
                return
            if sign == HOLE:
                self.put_refused(refusal)
            elif sign == "'" or sign == '"':
                start = self.at
                self._piece(sign)
                self.refuse(start, self.at, refusal)
            elif sign in "\\`$":
                start = self.at
                self._piece(sign)
                plain.append(" ")
                if refusal.kind == ARITHMETIC and _ECHO.match(self.text, start, self.at):
                    self.refuse(start, self.at, refusal)
            else:
                depth += (sign == opening) - (sign == closing)
                plain.append(sign)
                self.at += 1
        raise Unreadable(f"a `{opening}` is never closed")

    def _evaluate_names(self, begin: int, plain: str, refusal: Refusal) -> None:
        """The variables that arithmetic (``plain`` without its expansions) names are evaluated."""
        if refusal is _SUBSCRIPT_REFUSAL and _ASSOCIATIVE.search(self.text):
            return  # which array it is is not known here, and a key of an associative one is only text
        for name in _NAME.findall(plain):
            self.evaluated.setdefault(name, refusal)
        for at, name, level in self.uses:
            if begin < at <= self.at and level == self.depth:
                self.evaluated.setdefault(name, refusal)

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
        self.uses.append((self.at, name[0], self.depth))
        if sign == "!" and not re.match(r"\[[@*]\]|[@*]", self.text[self.at : self.at + 3]):
            self.evaluated.setdefault(name[0], _NAME_REFUSAL)
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
