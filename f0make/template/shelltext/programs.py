"""Which words of a command are evaluated once more: `sh -c`, `ssh`, the programs of awk and others. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise, zip_longest

from f0make.template.shelltext.builtins import Program, builtins
from f0make.template.shelltext.cursor import HOLE, OPAQUE, Word
from f0make.template.shelltext.dialect import shell_name
from f0make.template.shelltext.interpreters import (
    EVALUATED,
    INTERPRETERS,
    PARALLEL,
    SHELL,
    SSH,
    WRAPPERS,
    Interpreter,
)

ECHOES = frozenset({"echo", "printf", "print"})
"""Commands that write what they are given."""


_UNKNOWN = str.maketrans("", "", HOLE + OPAQUE)


def _base(word: Word) -> str:
    """The name of a program, without its directory and version, as far as the text says it."""
    base = word.text.rpartition("/")[2].translate(_UNKNOWN)
    return base if base in INTERPRETERS else base.rstrip("0123456789.") or base


def _may_be_nothing(word: Word) -> bool:
    """Whether the word may vanish, or stand for another command's name."""
    return word.text.rpartition("/")[2].translate(_UNKNOWN) != word.text.rpartition("/")[2]


def _interpreter(word: Word) -> Interpreter | None:
    base = _base(word)
    if shell_name(base) is not None:
        return SHELL
    return INTERPRETERS.get(base)


def programs(words: list[Word], shell: str) -> Iterator[Program]:
    """The words of a simple command that are evaluated once more; ``shell`` is the one that runs it."""
    first = 0
    while first < len(words) - 1 and _may_be_nothing(words[first]):
        yield from builtins(words[first:], _base(words[first]), shell)
        first += 1
    yield from builtins(words[first:], _base(words[first]), shell)
    for at in _starts(words):
        interpreter = _interpreter(words[at])
        if interpreter is not None:
            said = f"{_base(words[at])} evaluates this text: no quoting makes a value safe in it"
            for word in _code(words[at + 1 :], interpreter):
                yield Program(word, said)
        elif _may_be_nothing(words[at]):
            for option, word in pairwise(words[at + 1 :]):
                if re.fullmatch(r"-[A-Za-z]*[ceE]|--eval|--command", option.text) and re.search(
                    r"[\s(;]", word.text
                ):
                    yield Program(
                        word, "the command may evaluate this text: no quoting makes a value safe in it"
                    )
        yield from _evaluated_options(words[at:])
        if _base(words[at]) in _MAKES:
            yield from _of_make(words[at + 1 :])
    if _base(words[0]) == "find":
        yield from _found(words)


_MAKES = frozenset({"make", "gmake", "bmake", "remake"})


def _of_make(words: list[Word]) -> Iterator[Program]:
    """Words that may be variables or targets of make: it expands them, and its recipes hand them to a shell."""
    said = "make evaluates this: only a plain word can stand here"
    before = ""
    for word in words:
        if HOLE in word.text and before not in ("-C", "-f", "-I", "--directory", "--file"):
            yield Program(word, said, "plain")
        before = word.text


def _found(words: list[Word]) -> Iterator[Program]:
    """Paths below which `find` looks, where it inserts what it finds into code."""
    code = [
        word
        for at in _starts(words)
        if (how := _interpreter(words[at])) is not None
        for word in _code(words[at + 1 :], how)
    ]
    if not any("{}" in word.text for word in code):
        return
    for word in words[1:]:
        if word.text.startswith(("-", "(", "!")):
            return
        yield Program(
            word,
            '`find` inserts this path into a text that is evaluated: write "$1" there and `_ {}` after it',
        )


def _starts(words: list[Word]) -> list[int]:
    """Where commands may begin in ``words``: at the first, and after it where that starts another."""
    if _base(words[0]) in WRAPPERS or _may_be_nothing(words[0]):
        return [
            0,
            *(at for at in range(1, len(words)) if _interpreter(words[at]) or _base(words[at]) in EVALUATED),
        ]
    return [0]


def _code(words: list[Word], how: Interpreter) -> Iterator[Word]:
    """The words after an interpreter's name that are code."""
    operands = 0
    told = False
    at = 0
    while at < len(words):
        word = words[at]
        text = word.text
        at += 1
        if text == "--" and not operands:
            yield from _operands(words[at:], 0, how, told)
            return
        if text.startswith("--") or text.partition("=")[0] in how.long:
            name, joined, _ = text.partition("=")
            if name in how.long:
                told = True
                yield word if joined else words[min(at, len(words) - 1)]
                at += not joined
            elif f"{name}:2" in how.long_arguments:
                at += 2
            elif name in how.long_arguments and not joined:
                at += 1
            continue
        if len(text) > 1 and text[0] in "-+":
            taken = _letters(text, how)
            if taken == "end":
                return
            if taken == "code":
                told = True
                code = words[at] if at < len(words) and re.search(rf"[{how.code}]$", text) else word
                yield code
                at += code is not word
                if not how.anywhere and how is SHELL:
                    return
            elif taken == "file":
                told = True
                at += text[-1] in how.files
            elif taken == "argument":
                at += 1
            continue
        yield from _operands([word], operands, how, told)
        operands += 1
        if how.operand < 0 and not how.anywhere:
            return
        if how.operand >= 0 and not how.anywhere and operands > how.operand and how.last == 0:
            yield from _operands(words[at:], operands, how, told)
            return


def _letters(text: str, how: Interpreter) -> str:
    """What an option of one letter, or several in one word, says of the next word."""
    for at, letter in enumerate(text[1:], 1):
        if letter in how.code:
            return "code"
        if letter in how.ends:
            return "end"
        if letter in how.files:
            return "file"
        if letter in how.arguments:
            return "argument" if at == len(text) - 1 else ""
    return ""


def _operands(words: list[Word], before: int, how: Interpreter, told: bool) -> Iterator[Word]:
    """Those of the operands ``words`` (``before`` of them came earlier) that are code."""
    if how.operand < 0 or told:
        return
    for number, word in enumerate(words, before):
        if how is PARALLEL and word.text.startswith(":::"):
            return
        if number >= how.operand and (how.last == 0 or number < how.operand + how.last):
            yield word


def reads_program(words: list[Word]) -> bool:
    """Whether the command evaluates what it reads from its standard input."""
    if words[0].text in ("source", "."):
        return len(words) > 1 and words[1].text in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
    if _hands_to_code(words):
        return True
    for at in _starts(words):
        how = _interpreter(words[at])
        if how is None or not how.stdin:
            continue
        rest = words[at + 1 :]
        if how is SSH:
            remote = _remote(rest)
            name = remote[0].text.split()[:1] if remote else []
            return not name or _interpreter(Word(0, 0, name[0])) is not None
        if how.anywhere or not _tells(rest, how):
            return True
    return False


def written_programs(words: list[Word]) -> Iterator[Word]:
    """The words that name the file of a program: they may be `<(…)`."""
    if words[0].text in ("source", "."):
        yield from words[1:2]
        return
    for at in _starts(words):
        how = _interpreter(words[at])
        if how is None:
            continue
        before = ""
        for word in words[at + 1 :]:
            if len(before) > 1 and before[0] == "-" and before[-1] in how.files:
                yield word
            elif not word.text.startswith("-") and how.operand < 0:
                yield word
                break
            before = word.text


def _hands_to_code(words: list[Word]) -> bool:
    """Whether `xargs` makes code of what it reads."""
    at = next((at for at, word in enumerate(words) if _base(word) == "xargs"), -1)
    if at < 0:
        return False
    mark = ""
    for option, following in pairwise([*words[at + 1 :], Word(0, 0, "")]):
        if option.text == "-I":
            mark = following.text
        elif option.text.startswith(("-I", "-i")):
            mark = option.text[2:] or "{}"
        elif option.text.startswith("--replace"):
            mark = option.text.partition("=")[2] or "{}"
        elif not option.text.startswith("-"):
            break
    for start in _starts(words):
        how = _interpreter(words[start]) if start > at else None
        for code in _code(words[start + 1 :], how) if how is not None else ():
            if code is words[-1] and code.text.startswith("-"):
                return True
            if mark and mark in code.text:
                return True
    return False


def _remote(words: list[Word]) -> list[Word]:
    """The words of the remote command of `ssh`."""
    at = 0
    while at < len(words) and words[at].text.startswith("-"):
        at += 2 if _letters(words[at].text, SSH) == "argument" else 1
    return words[at + 1 :]


def _tells(words: list[Word], how: Interpreter) -> bool:
    """Whether an option or operand says what to evaluate."""
    skip = False
    left = max(how.operand, 0)
    for word in words:
        text = word.text
        if skip:
            skip = False
        elif text in ("-", "/dev/stdin", "-s"):
            return False
        elif text.startswith("--"):
            if text.partition("=")[0] in how.long:
                return True
            skip = text in how.long_arguments
        elif len(text) > 1 and text[0] in "-+":
            taken = _letters(text, how)
            if taken in ("code", "file", "end"):
                return True
            skip = taken == "argument"
        elif left:
            left -= 1
        else:
            return True
    return False


def _evaluated_options(words: list[Word]) -> Iterator[Program]:
    """Options of ``words[0]`` whose argument a shell evaluates."""
    options = EVALUATED.get(_base(words[0]), ())
    for word, following in zip_longest(words[1:], words[2:]):
        for option in options:
            if not word.text.startswith(option):
                continue
            if option in ("-o", "-c") and not re.search(
                r"command|alias|pager|editor|hook|external|textconv|filter|fsmonitor|gpg|\0.*=",
                word.text.lower() + (following.text.lower() if following else ""),
            ):
                continue
            said = f"{_base(words[0])} has a shell evaluate the argument of {option}: no quoting helps"
            yield Program(word, said)
            if word.text == option and following is not None:
                yield Program(following, said)
