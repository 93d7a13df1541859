"""What a step's processes tell the worker: lines on a pipe, each short enough to be written in one piece.

A line is ``PID KIND MORE TEXT``: letters for the kind and for whether the text goes on in this process's next line.
The step itself could write here whatever it likes. The worker believes it nothing but what is the step's to say.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.ascii_json import dumper
else:
    from _f0make.ascii_json import dumper


NEWS = 190
"""The descriptor, in every process of the step that has it."""
RETURNED, REPORT, CODE, STUCK = "T", "R", "C", "S"
"""Kinds: the step has returned; what it came to; a file of code that it used, or a name that it did not find
(text and a letter); what keeps it from ending."""
_ATOMIC = 4096
"""PIPE_BUF on Linux: so many bytes a pipe takes in one piece."""
_LONGEST = 3900
"""Bytes of the text of one line at most."""
_MOST_NOTED = 32
"""Lines that are not yet written."""

dumps = dumper()
_noted: list[str] = []
_whose = 0
"""The process that noted them."""


def say(kind: str, value: Any) -> None:
    """Write ``value`` (JSON-safe), and what was noted before. Raises OSError when the pipe is closed."""
    note(kind, value)
    _write()


def note(kind: str, value: Any) -> None:
    """Have ``value`` written with what is said next, as what matters only where the step comes to its end."""
    global _whose
    pid = os.getpid()
    if pid != _whose:
        _noted.clear()  # by the process that this one was forked from
        _whose = pid
    text = dumps(value)
    size = len(text)
    for start in range(0, size, _LONGEST):
        more = "+" if start + _LONGEST < size else "."
        _noted.append(f"{pid} {kind} {more} {text[start : start + _LONGEST]}\n")
    if len(_noted) > _MOST_NOTED:
        _write()


def _write() -> None:
    """Write the lines that were noted, as many at once as go in one piece. Other threads may do so, too."""
    piece = ""
    while _noted:
        try:
            line = _noted.pop(0)
        except IndexError:
            break
        if len(piece) + len(line) > _ATOMIC:
            os.write(NEWS, piece.encode("ascii"))
            piece = ""
        piece += line
    if piece:
        os.write(NEWS, piece.encode("ascii"))


def find() -> bool:
    """Take over the pipe of the step from a process above this one; whether it could be found (Linux: /proc)."""
    pid = os.getpid()
    try:
        for _ in range(3):
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
            path = f"/proc/{pid}/fd/{NEWS}"
            if os.path.exists(path) and os.stat(path).st_mode & 0o170000 == 0o010000:
                fd = os.open(path, os.O_WRONLY)
                os.dup2(fd, NEWS, inheritable=False)
                os.close(fd)
                return True
    except (OSError, ValueError, IndexError):
        pass
    return False
