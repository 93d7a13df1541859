"""Recognise shell text that is one simple command, so that it can be started without a shell. Pure.

The answer is conservative: an argv is given only when ``bash -euo pipefail -c TEXT`` (and ``sh -eu -c TEXT``)
would do nothing but start exactly that argv. Everything else is left to the shell.
"""

from __future__ import annotations

import re

_WORD = re.compile(
    r"""(?: [A-Za-z0-9_@%+,./:=-]      # characters that no shell gives a meaning to inside a word
          | '[^'\0]*'                  # single quotes: literal up to the next one
          | "[^"$`\\\0]*"              # double quotes without anything that expands
        )+""",
    re.VERBOSE,
)
_PART = re.compile(r"""'([^'\0]*)'|"([^"$`\\\0]*)"|([A-Za-z0-9_@%+,./:=-]+)""")
_BLANKS = re.compile(r"[ \t]*")

SHELL_NAMES = frozenset(
    # bash(1), "Shell builtin commands"; a name that is a builtin in any usual shell stays with the shell.
    [
        ".",
        ":",
        "[",
        "alias",
        "bg",
        "bind",
        "break",
        "builtin",
        "caller",
        "cd",
        "command",
        "compgen",
        "complete",
        "compopt",
        "continue",
        "declare",
        "dirs",
        "disown",
        "echo",
        "enable",
        "eval",
        "exec",
        "exit",
        "export",
        "false",
        "fc",
        "fg",
        "getopts",
        "hash",
        "help",
        "history",
        "jobs",
        "kill",
        "let",
        "local",
        "logout",
        "mapfile",
        "popd",
        "printf",
        "pushd",
        "pwd",
        "read",
        "readarray",
        "readonly",
        "return",
        "set",
        "shift",
        "shopt",
        "source",
        "suspend",
        "test",
        "times",
        "trap",
        "true",
        "type",
        "typeset",
        "ulimit",
        "umask",
        "unalias",
        "unset",
        "wait",
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "case",
        "esac",
        "for",
        "select",
        "while",
        "until",
        "do",
        "done",
        "in",
        "function",
        "time",
        "coproc",
    ]
)
"""Builtins and reserved words of bash and dash: commands that are no programs, or not only."""


def simple_argv(text: str) -> list[str] | None:
    """The argv that ``text`` stands for, or None when only a shell can tell."""
    text = text.strip(" \t\n")
    argv: list[str] = []
    at = 0
    while at < len(text):
        word = _WORD.match(text, at)
        if word is None:
            return None
        argv.append("".join(a or b or c for a, b, c in _PART.findall(word[0])))
        if len(argv) == 1 and _unsafe_first(word[0], argv[0]):
            return None
        at = word.end()
        blanks = _BLANKS.match(text, at)
        assert blanks is not None
        if blanks.end() == at and at < len(text):
            return None
        at = blanks.end()
    return argv or None


def _unsafe_first(written: str, name: str) -> bool:
    """Whether the first word may be an assignment, a job, nothing, or something the shell does itself."""
    return not name or "=" in written or name.startswith(("%", "-")) or name in SHELL_NAMES
