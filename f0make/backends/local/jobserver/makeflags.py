"""What MAKEFLAGS says of a jobserver, and what it shall say to steps. Pure.

There are two forms: ``--jobserver-auth=R,W`` names inherited descriptors of a pipe, and is the only one that makes
before 4.4 know; ``--jobserver-auth=fifo:PATH`` is the only one that ninja knows (since 1.13). Steps are told both: a make
takes what stands behind ``--`` for definitions of variables, ninja and Cargo take the last word that begins so.
"""

from __future__ import annotations

from f0make.fast_dataclass import dataclass

_AUTHS = ("--jobserver-auth=", "--jobserver-fds=")
_SLOTS = r"-j\d*|--jobs(=\d*)?|-l[\d.]*|--load-average(=.*)?"
_FIFO = "fifo:"


@dataclass(frozen=True, slots=True)
class Pipe:
    """Two descriptors that were inherited, if the rule says so; negative: make has closed them."""

    reading: int
    writing: int


@dataclass(frozen=True, slots=True)
class Fifo:
    """A named pipe, to be opened by whoever wants."""

    path: str


def offered(makeflags: str) -> list[Pipe | Fifo]:
    """The jobservers that ``makeflags`` names, the one that a make would take first."""
    options, _, variables = f" {makeflags} ".partition(" -- ")
    found: list[Pipe | Fifo] = []
    for words in (options.split(), variables.split()):
        given = [word.partition("=")[2] for word in words if word.startswith(_AUTHS)]
        auths = [auth for text in given if (auth := _auth(text))]
        found += auths[-1:]
    return found


def _is_slots(word: str) -> bool:
    """Whether ``word`` says how much may run at a time."""
    if not word:
        return False
    import re

    return re.fullmatch(_SLOTS, word, re.DOTALL) is not None


def _auth(text: str) -> Pipe | Fifo | None:
    if text.startswith(_FIFO):
        return Fifo(text[len(_FIFO) :])
    reading, comma, writing = text.partition(",")
    try:
        return Pipe(int(reading), int(writing)) if comma else None
    except ValueError:
        return None


def for_steps(makeflags: str, jobs: int | None, reading: int, writing: int, path: str) -> str:
    """``makeflags`` with this jobserver instead of any other; ``path`` is empty where the pipe has none.

    ``jobs`` is the number of slots, where it is f0make that decides about them; None leaves what stands there.
    """
    options, separator, variables = makeflags.partition(" -- ")
    words = [word for word in options.split(" ") if not word.startswith(_AUTHS)]
    if jobs is not None:
        words = [word for word in words if not _is_slots(word)] + [f"-j{jobs}"]
    words.append(f"--jobserver-auth={reading},{writing}")
    # The first word is a bundle of one-letter options, without a dash, if it is not empty.
    line = " ".join(words if words[0] and words[0][0] != "-" else ["", *filter(None, words)])
    others = [word for word in variables.split(" ") if word and not word.startswith(_AUTHS)]
    if path:
        others.append(f"--jobserver-auth={_FIFO}{path}")
    return " -- ".join([line, " ".join(others)]) if separator or path else line
