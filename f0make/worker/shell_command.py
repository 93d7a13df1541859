"""How the text of a shell step is started: directly, by a shell, or as a script of its interpreter."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from f0make.fast_dataclass import dataclass, field
from f0make.model import DEFAULT_SHELL
from f0make.worker.simple_command import simple_argv

_FALLBACK = ("sh", "-eu")
_SCRIPT = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
LONGEST_ARGUMENT = 131072 - 1
"""Bytes, without the final NUL: MAX_ARG_STRLEN of execve(2), 32 pages of 4 KiB."""

_TEXT_SHELLS = frozenset(["sh", "ash", "bash", "dash", "ksh", "mksh", "rbash", "rksh", "yash", "zsh"])
_CHANGES_BASH = (b"BASH_ENV", b"SHELLOPTS", b"BASHOPTS", b"POSIXLY_CORRECT")
"""Variables that change what even a simple command does in `bash -c` (bash(1), "Shell Variables")."""

Environ = dict[bytes, bytes]


class CommandError(Exception):
    """A command that cannot be started at all: the message, and the exit code that a shell would give."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Launch:
    """What to start. ``otherwise`` is tried when the program cannot be executed as it is."""

    program: str
    argv: list[str]
    script: str | None = None
    """A file made for this command, to be removed afterwards."""
    otherwise: list[str] | None = field(default=None)


def default_shell(path: str | None = None) -> list[str]:
    """The default shell's argv, without the text: bash, or sh where ``path`` (default: PATH) has no bash."""
    environ = {b"PATH": os.fsencode(os.environ.get("PATH", os.defpath) if path is None else path)}
    bash = find_program("bash", environ)
    if bash is not None:
        return [bash, *DEFAULT_SHELL.split()[1:]]
    return [find_program(_FALLBACK[0], environ) or "/bin/sh", *_FALLBACK[1:]]


def find_program(name: str, environ: Mapping[bytes, bytes]) -> str | None:
    """The executable regular file that a shell would start for ``name``, None when there is none."""
    if "/" in name:
        return name if _is_program(name) else None
    if b"PATH" not in environ:
        return None  # A shell has a default of its own.
    for directory in os.fsdecode(environ[b"PATH"]).split(":"):
        candidate = f"{directory}/{name}" if directory else f"./{name}"
        if _is_program(candidate):
            return candidate
    return None


def _is_program(path: str) -> bool:
    try:
        # `access` first: most directories of PATH do not have the name, and it raises nothing.
        return os.access(path, os.X_OK) and stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def launch(
    text: str, shell: str | None, default: list[str], environ: Mapping[bytes, bytes], script: str
) -> Launch:
    """How to run ``text``.

    ``default`` is the default shell's argv; ``script`` is the path of the script file to write where one is
    needed. Raises CommandError (no such interpreter) and OSError (the script cannot be written).
    """
    if text.startswith("#!"):
        return _interpreted(text, environ, script)
    if shell is not None and shell != DEFAULT_SHELL:
        return _custom(text, shell, environ, script)
    long = len(text) > LONGEST_ARGUMENT // 4 and len(os.fsencode(text)) > LONGEST_ARGUMENT
    if long:
        return Launch(default[0], [*_named(default), _write(script, text)], script)
    by_shell = [*_named(default), "-c", text]
    if not any(name in environ for name in _CHANGES_BASH):
        argv = simple_argv(text)
        if argv is not None and b"BASH_FUNC_%b%%%%" % os.fsencode(argv[0]) not in environ:
            program = find_program(argv[0], environ)
            if program is not None:
                return Launch(program, argv, None, [default[0], *by_shell])
    return Launch(default[0], by_shell)


def _named(shell: list[str]) -> list[str]:
    """argv[0] is the plain name, as when a person types it: it shows in the shell's own messages."""
    return [os.path.basename(shell[0]), *shell[1:]]


def _interpreted(text: str, environ: Mapping[bytes, bytes], script: str) -> Launch:
    """A `#!` script, started as the kernel would (execve(2)) but without need of an executable file."""
    line = text[2:].split("\n", 1)[0].strip(" \t\r")
    interpreter, _, argument = line.partition(" " if "\t" not in line.split(" ")[0] else "\t")
    argument = argument.strip(" \t")
    if not interpreter:
        raise CommandError("the script's first line names no interpreter after #!", 126)
    if not os.path.lexists(interpreter):
        raise CommandError(f"{interpreter}: bad interpreter: No such file or directory", 127)
    if not _is_program(interpreter):
        raise CommandError(f"{interpreter}: bad interpreter: Permission denied", 126)
    return Launch(interpreter, [interpreter, *([argument] if argument else []), _write(script, text)], script)


def _custom(text: str, shell: str, environ: Mapping[bytes, bytes], script: str) -> Launch:
    from shlex import split

    try:
        words = split(shell)
    except ValueError as error:
        raise CommandError(f"shell {shell!r} cannot be split into words: {error}", 127) from None
    if not words:
        raise CommandError("shell is empty", 127)
    program = find_program(words[0], environ)
    if program is None:
        there = os.path.lexists(words[0]) if "/" in words[0] else False
        reason, code = ("cannot be executed", 126) if there else ("is not there (not found in PATH)", 127)
        raise CommandError(f"shell {words[0]!r} {reason}", code)
    name = os.path.basename(words[0])
    takes_text = name in _TEXT_SHELLS or name.startswith(("python", "pypy"))
    if not takes_text or len(os.fsencode(text)) > LONGEST_ARGUMENT:
        if takes_text and _ends_with_c(words):
            words = _without_c(words)
        return Launch(program, [*words, _write(script, text)], script)
    return Launch(program, [*words, *([] if _ends_with_c(words) else ["-c"]), text])


def _ends_with_c(words: list[str]) -> bool:
    """`bash -lc`: the person has written the option already."""
    last = words[-1]
    return len(words) > 1 and last.startswith("-") and not last.startswith("--") and last.endswith("c")


def _without_c(words: list[str]) -> list[str]:
    last = words[-1][:-1]
    return [*words[:-1], *([last] if last != "-" else [])]


def _write(script: str, text: str) -> str:
    data = os.fsencode(text)
    try:
        fd = os.open(script, _SCRIPT, 0o700)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(script), exist_ok=True)
        fd = os.open(script, _SCRIPT, 0o700)
    with open(fd, "wb") as file:
        file.write(data)
    return script
