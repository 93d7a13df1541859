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
_LONGEST = 3900
"""Bytes of one line at most: a pipe takes PIPE_BUF, 4,096 on Linux, in one piece."""

dumps = dumper()


def say(kind: str, value: Any) -> None:
    """Write ``value`` (JSON-safe). Raises OSError when the pipe is closed."""
    text = dumps(value)
    for start in range(0, len(text), _LONGEST):
        piece = text[start : start + _LONGEST]
        more = "+" if start + _LONGEST < len(text) else "."
        os.write(NEWS, f"{os.getpid()} {kind} {more} {piece}\n".encode("ascii"))


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
