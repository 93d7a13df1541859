"""Which arguments the shell's own commands evaluate, or take for the names of variables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from f0make.fast_dataclass import dataclass
from f0make.template.shelltext.cursor import HOLE, Word

_NUMBERS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})


@dataclass(slots=True)
class Program:
    """A word that is evaluated, why no value can stand there, and what may: "program" or "number" (numbers), "name" (nothing)."""

    word: Word
    said: str
    kind: str = "program"


def builtins(words: list[Word], name: str, shell: str) -> Iterator[Program]:
    """Words that the builtin ``name``, the first of ``words``, evaluates, or takes for the names of variables."""
    while len(words) > 1 and words[0].text in ("builtin", "command", "noglob"):
        words = words[1:]
        name = words[0].text
    rest = words[1:]
    if name in ("eval", "alias"):
        yield from (Program(word, f"`{name}` evaluates this text: no quoting helps") for word in rest)
    elif name in ("let", "repeat"):
        yield from (Program(word, f"`{name}` evaluates this as arithmetic", "number") for word in rest)
    elif name == "trap":
        yield from (
            Program(word, "`trap` evaluates this text: no quoting helps") for word in _first_operand(rest)
        )
    elif name in ("test", "["):
        yield from _test(rest, shell)
    elif name in ("declare", "typeset", "local", "export", "readonly", "integer", "float", "nameref"):
        yield from _declared(name, rest)
    elif name in ("unset", "getopts", "read", "mapfile", "readarray", "printf", "print", "vared", "set"):
        yield from _named(name, rest)


def _first_operand(words: list[Word]) -> list[Word]:
    operands = [word for word in words if not re.fullmatch(r"--|-[lp]", word.text)]
    return operands[:1]


def _test(words: list[Word], shell: str) -> Iterator[Program]:
    for at, word in enumerate(words):
        if word.text in ("-v", "-R"):
            for other in words[at + 1 : at + 2]:
                yield Program(other, "a value cannot be the name of a variable, or a part of it", "name")
        elif word.text in _NUMBERS and shell in ("ksh", "zsh"):
            for other in words[max(at - 1, 0) : at + 2]:
                yield Program(
                    other, "this shell evaluates what it compares as numbers: no quoting helps", "number"
                )


def _declared(name: str, words: list[Word]) -> Iterator[Program]:
    letters = "".join(word.text[1:] for word in words if re.fullmatch(r"[-+][A-Za-z]+", word.text))
    evaluated = name in ("integer", "float", "nameref") or any(letter in letters for letter in "aAinEF")
    for word in words:
        named, assigned, _ = word.text.partition("=")
        if HOLE in named and not named.startswith(("-", "+")):
            yield Program(word, "a value cannot be the name of a variable, or a part of it", "name")
        elif assigned and evaluated:
            yield Program(word, f"`{name}` evaluates this value: no quoting helps", "number")


_TAKES = {
    "read": "pdtnNiuk",
    "mapfile": "dnOsuc",
    "readarray": "dnOsuc",
    "printf": "",
    "print": "uC",
    "unset": "",
    "getopts": "",
    "vared": "pr",
    "set": "o",
}
_NAMES = {
    "read": "aA",
    "mapfile": "C",
    "readarray": "C",
    "printf": "v",
    "print": "v",
    "unset": "",
    "getopts": "",
    "vared": "",
    "set": "A",
}


def _named(name: str, words: list[Word]) -> Iterator[Program]:
    """Operands that are names of variables, and options that take one."""
    said = "a value cannot be the name of a variable, or a part of it"
    operands = 0
    at = 0
    while at < len(words):
        text = words[at].text
        at += 1
        if len(text) > 1 and text[0] == "-" and not operands:
            if text == "--":
                operands += name in ("printf", "print", "set")
            elif text[-1] in _NAMES[name]:
                yield from (Program(word, said, "name") for word in words[at : at + 1])
                at += 1
            elif text[-1] in _TAKES[name]:
                at += 1
            continue
        operands += 1
        if name in ("unset", "read", "mapfile", "readarray", "vared") or (
            name == "getopts" and operands == 2
        ):
            yield Program(words[at - 1], said, "name")


def integers_of(words: list[Word]) -> list[str]:
    """The variables that a command declares as integers."""
    if words[0].text not in ("declare", "typeset", "local", "integer", "float", "export", "readonly"):
        return []
    letters = "".join(word.text[1:] for word in words[1:] if re.fullmatch(r"-[A-Za-z]+", word.text))
    if words[0].text not in ("integer", "float") and not any(letter in letters for letter in "inEF"):
        return []
    return [word.text.partition("=")[0] for word in words[1:] if not word.text.startswith("-")]
