"""`[[ … ]]`, and what lies between the words of commands. Pure."""

from __future__ import annotations

from f0make.lazy_re import later
from f0make.template.shelltext.cursor import HOLE, Unreadable, Word
from f0make.template.shelltext.lexer import Lexer
from f0make.template.shelltext.spot import ARITHMETIC, WORD, Refusal, Spot

_CONDITION_SIGNS = later(r"&&|\|\||[()<>]")
_COMPARES_NUMBERS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})

_COMPARED = Refusal("this shell evaluates what it compares as numbers: no quoting helps", ARITHMETIC)
UNNAMED = Refusal("a value cannot be the name of a variable, or a part of it")
UNREAD = Refusal("f0make cannot tell how the shell reads this value")


class Conditions(Lexer):
    """Reads conditions."""

    def _blanks(self) -> None:
        while self.at < self.end:
            if self.text[self.at] in " \t":
                self.at += 1
            elif self.ahead("\\\n"):
                self.at += 2
            else:
                return

    def _word_ahead(self, word: str) -> bool:
        """Whether exactly ``word`` comes next."""
        after = self.at + len(word)
        return self.ahead(word) and (after >= self.end or self.text[after] in " \t\n;&|<>()")

    def _gap(self) -> None:
        """Blanks, newlines and comments."""
        while True:
            self._blanks()
            sign = self.peek()
            if sign == "\n":
                self.newline()
            elif sign == "#":
                self.comment()
            else:
                return

    def _some_word(self, **how: str | bool) -> Word:
        """A word. Raises Unreadable where there is none."""
        start = self.at
        word = self.word(
            joined=bool(how.get("joined")), forced=bool(how.get("forced")), role=str(how.get("role", ""))
        )
        if self.at == start:
            raise Unreadable(
                f"`{self.peek()}` was not expected" if self.peek() else "a word is missing at the end"
            )
        return word

    def _condition(self) -> None:
        """`[[ … ]]`."""
        self.at += 2
        words: list[Word] = []
        while True:
            self._gap()
            if self._word_ahead("]]"):
                self.at += 2
                break
            sign = _CONDITION_SIGNS.match(self.text, self.at, self.end)
            if sign is not None and not (sign[0] in "<>" and self.text[sign.end() : sign.end() + 1] == "("):
                self.at = sign.end()
                continue
            if words and words[-1].text == "=~":
                self._regular_expression()
                words.append(Word(self.at, self.at, ""))
                continue
            words.append(self._some_word(joined=True, forced=True, role="pattern"))
        for at, word in enumerate(words):
            if word.text in _COMPARES_NUMBERS:
                for other in words[max(at - 1, 0) : at + 2]:
                    self.evaluate(other.start, other.end, _COMPARED)
            elif word.text in ("-v", "-R"):
                for other in words[at + 1 : at + 2]:
                    self.evaluate(other.start, other.end, UNNAMED)

    def _regular_expression(self) -> None:
        """What follows `=~`: parentheses and `|` belong to it."""
        depth = 0
        start = self.at
        while self.at < self.end:
            sign = self.peek()
            if sign == HOLE:
                spot = Spot(WORD, joined=True, forced=True)
                if depth and self.dialect.name == "zsh":
                    spot.refusal = UNREAD
                self.put(spot)
            elif sign in " \t\n" and depth == 0:
                break
            elif sign in "()":
                depth += 1 if sign == "(" else -1
                self.at += 1
            else:
                self._piece(sign)
        if self.at == start:
            raise Unreadable("a regular expression is missing")
