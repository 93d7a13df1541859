"""Which language a `shell` or a `#!` line means. Pure."""

from __future__ import annotations

import posixpath

from f0make.fast_dataclass import dataclass


def words_of(text: str) -> frozenset[str]:
    """The words of ``text``, as a set."""
    return frozenset(text.split())


POSIX = words_of("sh ash dash posh yash mksh lksh pdksh oksh rksh")
"""Shells that are read as POSIX says."""
_NAMES = {"bash": "bash", "rbash": "bash", "zsh": "zsh", "ksh": "ksh", "ksh93": "ksh", "rksh93": "ksh"}
_WITH_ARGUMENT = {"bash": "oO", "ksh": "oRA", "zsh": "o", "sh": "o"}
_LONG_WITH_ARGUMENT = frozenset({"--rcfile", "--init-file", "--emulate"})
_ENV_WITH_ARGUMENT = frozenset({"-u", "--unset", "-C", "--chdir"})


@dataclass(slots=True)
class Dialect:
    """A shell whose text is understood."""

    name: str
    """``bash``, ``sh``, ``ksh`` or ``zsh``."""
    certain: bool = True
    """False where another shell may run the text too: the default is `sh` where there is no bash."""


def shell_name(program: str) -> str | None:
    """``bash``, ``sh``, ``ksh`` or ``zsh`` for the name or path of a shell, None for anything else."""
    base = posixpath.basename(program)
    return "sh" if base in POSIX else _NAMES.get(base)


def dialect_of(words: list[str]) -> Dialect | None:
    """The shell that ``words`` (of `shell`, or of a `#!` line) start, None where it is another program.

    `env` before the shell, and options after it, are understood.
    """
    words = _without_env(words)
    name = shell_name(words[0]) if words else None
    if name is None:
        return None
    skip = False
    for word in words[1:]:
        if skip:
            skip = False
        elif word in _LONG_WITH_ARGUMENT:
            skip = True
        elif not word.startswith(("-", "+")) or len(word) < 2:
            return None
        elif not word.startswith("--"):
            if name == "zsh" and "i" in word and "o" not in word:
                return None  # `#` begins no comment there
            skip = word[-1] in _WITH_ARGUMENT[name]
    return Dialect(name, name != "sh")


def _without_env(words: list[str]) -> list[str]:
    """``words`` without `env`, its options and its assignments."""
    if not words or posixpath.basename(words[0]) != "env":
        return words
    at = 1
    while at < len(words) and (words[at].startswith("-") or "=" in words[at]):
        at += 2 if words[at] in _ENV_WITH_ARGUMENT else 1
    return words[at:]


def interpreter(words: list[str]) -> str:
    """The name of the program that ``words`` start, without its directory and version: `python` for `python3.11`."""
    words = _without_env(words)
    return posixpath.basename(words[0]).rstrip("0123456789.-") if words else ""
