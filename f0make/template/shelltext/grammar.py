"""Shell text as commands: where each begins, what its words are, which of them are evaluated once more. Pure."""

from __future__ import annotations

import re

from f0make.lazy_re import later
from f0make.template.shelltext.builtins import Program, integers_of
from f0make.template.shelltext.conditions import UNNAMED, UNREAD, Conditions
from f0make.template.shelltext.cursor import HOLE, Heredoc, Unreadable, Word
from f0make.template.shelltext.dialect import Dialect, words_of
from f0make.template.shelltext.programs import ECHOES, programs, reads_program, written_programs
from f0make.template.shelltext.spot import ARITHMETIC, OTHER, PROGRAM, WORD, Later, Refusal, Spot

_REDIRECTION = later(r"(?:\d+|\{\w+\})?(<<<|<<-?|<&|>&|&>>?|<>|>>|>\||>!?|<)")
_PARENTHESES = later(r"\([ \t]*\)")
_DECLARES = words_of("declare typeset local export readonly integer float nameref")
_ONWARD = words_of("if then else elif while until do ! { coproc nocorrect always")
"""Reserved words after which another command begins."""
_CLOSING = words_of("fi done } esac")
_ASSIGNMENT = later(r"[A-Za-z_]\w*(\[[^\]]*\])?\+?=", re.ASCII)
_WRITES = later(r"[<=]\(\s*(?:echo|printf|print)\b")
_FILE_DESCRIPTOR = Refusal("a value here would be read as a file descriptor", ARITHMETIC)
_FUNCTION = Refusal("a value cannot be the name of a function")


def read(text: str, dialect: Dialect) -> list[Spot]:
    """A Spot for each NUL of ``text``, in order. Where the text is not understood, all of them refuse."""
    spots: dict[int, Spot] = {}
    reader = Reader(text, dialect, spots, 0, 0)
    try:
        reader.commands("")
        reader.look_back()
        unread = UNREAD
    except (Unreadable, RecursionError) as error:
        said = str(error) if isinstance(error, Unreadable) else "it is nested too deeply"
        unread = Refusal(f"f0make cannot read this shell text: {said}")
        spots.clear()
    out = []
    for number in range(text.count(HOLE)):
        spot = spots.get(number)
        if spot is None:
            spot = Spot(WORD)
            spot.refusal = unread
        out.append(spot)
    return out


class _Simple:
    """A simple command as it is read."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.words: list[Word] = []
        self.assignments: list[Word] = []
        self.documents: list[Heredoc] = []
        self.strings: list[Word] = []
        """Its here-strings."""


class Reader(Conditions):
    """Reads commands."""

    def look_back(self) -> None:
        """Once all is read: what the values in variables that are evaluated may be."""
        for name, refusal in self.evaluated.items():
            for number in self.assigned.get(name, ()):
                spot = self.spots.get(number)
                if spot is not None and spot.refusal is None and spot.later is None:
                    spot.later = Later(refusal, name)

    def commands(self, closing: str) -> None:
        """Read commands up to ``closing`` (`)`, `;;` of a `case`, or "" for the end) and go past it.

        For `;;`, also `esac` ends them, which stays unread. Raises Unreadable.
        """
        begin = self.at
        stages: list[_Simple | None] = []
        piped = False
        while True:
            self._blanks()
            sign = self.peek()
            if not sign:
                if closing:
                    raise Unreadable(f"`{closing}` is missing")
                while self.pending:
                    self.newline()
                return
            if sign == "\n":
                self.newline()
                if not piped:
                    stages = []
            elif sign == "#":
                self.comment()
            elif sign == ")":
                if closing != ")":
                    raise Unreadable("`)` was not expected")
                self.at += 1
                return
            elif self.ahead(";;") or self.ahead(";&") or self.ahead(";|"):
                if closing != ";;":
                    raise Unreadable("`;;` was not expected")
                self.at += 3 if self.ahead(";;&") else 2
                return
            elif sign == "|" and not self.ahead("||"):
                self.at += 2 if self.ahead("|&") else 1
                piped = True
            elif sign in ";&|" and not self.ahead("&>"):
                self.at += 2 if self.ahead("&&") or self.ahead("||") else 1
                stages, piped = [], False
            elif closing == ";;" and self._word_ahead("esac"):
                return
            else:
                command = self._command()
                if piped and command is not None and self._reads_program(command):
                    self._refuse_piped(stages, begin)
                stages = [*stages, command] if piped else [command]
                piped = False

    # One command

    def _command(self) -> _Simple | None:
        """A command, or a reserved word before one. None where it is nothing that could read a program."""
        if self.peek() == "(":
            if self.ahead("()"):
                self.at += 2  # an anonymous function of zsh, or the parentheses of a definition
                return None
            if not (self.ahead("((") and self.arithmetic()):
                self.at += 1
                self.commands(")")
            return self._simple(after=True)
        for word in _ONWARD:
            if self._word_ahead(word):
                self.at += len(word)
                return None
        if self._word_ahead("time"):
            self.at += 4
            self._blanks()
            if self._word_ahead("-p"):
                self.at += 2
            return None
        if self._word_ahead("[["):
            self._condition()
            return self._simple(after=True)
        for word in ("for", "select", "foreach"):
            if self._word_ahead(word):
                self.at += len(word)
                self._loop()
                return None
        if self._word_ahead("case"):
            self.at += 4
            self._case()
            return self._simple(after=True)
        if self._word_ahead("function"):
            self.at += 8
            self._blanks()
            name = self.word()
            self.refuse(name.start, name.end, _FUNCTION)
            return None
        for word in _CLOSING:
            if self._word_ahead(word):
                self.at += len(word)
                return self._simple(after=True)
        return self._simple(after=False)

    def _loop(self) -> None:
        """`for NAME in WORDS`, `for ((…))`, up to what `do` begins."""
        self._blanks()
        if self.ahead("((") and self.arithmetic():
            return
        name = self.word()
        self.refuse(name.start, name.end, UNNAMED)
        self._gap()
        if self._word_ahead("in"):
            self.at += 2
            self._blanks()
            while self.peek() not in ("", ";", "\n", "&", "|", ")", "#"):
                word = self._some_word()
                self.assign(name.text, word.start, word.end)
                self._blanks()
        elif self.peek() == "(" and self.dialect.name == "zsh":
            self.at += 1
            self._gap()
            while self.peek() not in ("", ")"):
                self._some_word()
                self._gap()
            self.at += 1

    def _case(self) -> None:
        """`WORD in PATTERN) COMMANDS ;; … esac`, after `case`."""
        self._blanks()
        self._some_word(joined=True)
        self._gap()
        if not self._word_ahead("in"):
            raise Unreadable("`in` is missing after `case`")
        self.at += 2
        while True:
            self._gap()
            if self._word_ahead("esac"):
                self.at += 4
                return
            if self.peek() == "(":
                self.at += 1
            while True:
                self._gap()
                self._some_word(joined=True, forced=True, role="pattern")
                self._gap()
                if self.peek() == "|":
                    self.at += 1
                    continue
                break
            if self.peek() != ")":
                raise Unreadable("a `)` is missing after a pattern of `case`")
            self.at += 1
            self.commands(";;")

    # Simple commands

    def _simple(self, after: bool) -> _Simple | None:
        """A simple command up to the operator that ends it. ``after``: only the redirections after a compound one."""
        command = _Simple(self.at)
        while True:
            self._blanks()
            sign = self.peek()
            if sign in ("", "\n", ";", "|", ")") or (sign == "&" and not self.ahead("&>")):
                break
            if sign == "#":
                self.comment()
                break
            redirection = _REDIRECTION.match(self.text, self.at, self.end)
            if redirection is not None and not self._is_substitution(redirection.end()):
                self._redirect(redirection[1], redirection.end(), command)
                continue
            if sign == "(":
                parentheses = _PARENTHESES.match(self.text, self.at, self.end)
                if parentheses is not None and len(command.words) == 1:
                    name = command.words[0]
                    self.refuse(name.start, name.end, _FUNCTION)
                    self.at = parentheses.end()
                    return None
                raise Unreadable("`(` was not expected")
            if after and self._reserved_ahead():
                return None
            self._argument(command)
        if command.words or command.assignments:
            self._judge(command)
        return command if command.words else None

    def _is_substitution(self, end: int) -> bool:
        """Whether the redirection that ends at ``end`` is the beginning of `<(…)`."""
        return (
            self.text[end - 1 : end + 1] in ("<(", ">(") and self.dialect.name != "sh" and end - self.at == 1
        )

    def _reserved_ahead(self) -> bool:
        return any(map(self._word_ahead, (*_ONWARD, *_CLOSING)))

    def _argument(self, command: _Simple) -> None:
        if not command.words:
            word = self._some_word(role="command")
            assigned = _ASSIGNMENT.match(self.text, word.start, word.end)
            (command.assignments if assigned else command.words).append(word)
            return
        declares = command.words[0].text in _DECLARES or (
            command.words[0].text in ("builtin", "command") and command.words[-1].text in _DECLARES
        )
        command.words.append(self._some_word(role="declare" if declares else ""))

    def _redirect(self, sign: str, end: int, command: _Simple) -> None:
        self.at = end
        if sign in ("<<", "<<-"):
            self._blanks()
            command.documents.append(self._delimiter(strip=sign == "<<-"))
            return
        if sign == "<<<":
            self._blanks()
            command.strings.append(self._some_word(joined=True))
            return
        self._blanks()
        word = self._some_word(role="file")
        if sign in ("<&", ">&"):
            self.refuse(word.start, word.end, _FILE_DESCRIPTOR)

    def _delimiter(self, strip: bool) -> Heredoc:
        start = self.at
        word = self._some_word()
        written = self.text[start : self.at]
        if HOLE in written:
            raise Unreadable("the end of a here-document cannot be a value")
        quoted = any(sign in written for sign in "'\"\\")
        document = Heredoc(word.text if quoted else written, quoted, strip)
        self.pending.append(document)
        return document

    # What is evaluated once more

    def _judge(self, command: _Simple) -> None:
        """Refuse the values of ``command`` that stand in a text which is evaluated once more."""
        if not command.words:
            return
        words = command.words
        for found in programs(words, self.dialect.name):
            self._refuse_program(found.word, found)
        self.integers.update(integers_of(words))
        for word in written_programs(words):
            if _WRITES.match(self.text, word.start, word.end):
                refusal = Refusal(
                    f"{words[0].text} evaluates what is written here: no quoting helps", PROGRAM
                )
                self.evaluate(word.start, word.end, refusal)
        if self._reads_program(command):
            self._refuse_input(command)

    def _refuse_program(self, word: Word, found: Program) -> None:
        kind = OTHER if found.kind == "name" else ARITHMETIC if found.kind == "number" else PROGRAM
        refusal = Refusal(found.said, kind)
        if found.kind == "number" and "$" not in word.text:
            for name in re.findall(r"[A-Za-z_]\w*", word.text, re.ASCII):
                self.evaluated.setdefault(name, refusal)
        if found.kind != "plain":
            self.evaluate(word.start, word.end, refusal)
            return
        for number in range(self.number(word.start), self.number(word.end)):
            spot = self.spots.get(number)
            if spot is not None and self.depths.get(number) == self.depth:
                spot.later = Later(refusal)

    def _reads_program(self, command: _Simple) -> bool:
        return bool(command.words) and reads_program(command.words)

    def _refuse_input(self, command: _Simple) -> None:
        name = command.words[0].text.replace(HOLE, "").rpartition("/")[2]
        refusal = Refusal(f"{name or 'this program'} evaluates what it reads here: no quoting helps", PROGRAM)
        for word in command.strings:
            self.evaluate(word.start, word.end, refusal)
        for document in command.documents:
            document.refusal = refusal

    def _refuse_piped(self, stages: list[_Simple | None], begin: int) -> None:
        """Refuse what is written into a pipe at whose end it is evaluated."""
        refusal = Refusal("the end of this pipe evaluates what it reads: no quoting helps", PROGRAM)
        for stage in stages:
            if stage is None:
                self.evaluate(begin, self.at, refusal)
                return
            echoes = any(word.text.rpartition("/")[2] in ECHOES for word in stage.words[:2])
            for word in [*(stage.words if echoes else ()), *stage.strings]:
                self.evaluate(word.start, word.end, refusal)
            for document in stage.documents:
                document.refusal = refusal
