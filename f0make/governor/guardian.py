"""Wakes up what f0make has stopped when f0make itself is killed: a stopped worker cannot notice that."""

from __future__ import annotations

import os
from collections.abc import Iterable

_SCRIPT = 'while read -r pids; do last=$pids; done; [ -z "$last" ] || kill -CONT $last 2>/dev/null'
"""Each line names all processes that are stopped now. At the end of the pipe they are continued: those that
watch f0make then find that it is gone and end themselves and their steps."""


def _inherited() -> list[int]:
    """Descriptors that a child would get: another process may wait for the other end of one to be closed."""
    found = []
    for name in os.listdir("/dev/fd"):
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:
            continue  # The one that listed them.
    return found


class Guardian:
    """A small shell at the other end of a pipe; started when something is stopped for the first time."""

    def __init__(self) -> None:
        self._pipe = -1
        self._pid = 0

    def tell(self, stopped: Iterable[int]) -> None:
        """``stopped`` are the processes that are stopped from now on. Raises OSError when it cannot be told."""
        if self._pipe < 0:
            self._start()
        os.write(self._pipe, " ".join(map(str, stopped)).encode("ascii") + b"\n")

    def _start(self) -> None:
        reading, self._pipe = os.pipe()  # Neither end is inherited, but for the one that is given away.
        try:
            self._pid = os.posix_spawn(
                "/bin/sh",
                ["sh", "-c", _SCRIPT],
                {"PATH": os.defpath},
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, reading, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                    *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inherited()),
                ),
                setsid=True,
            )
        except BaseException:
            os.close(self._pipe)
            self._pipe = -1
            raise
        finally:
            os.close(reading)

    def dismiss(self) -> None:
        """Nothing is stopped any more: end it and wait for it."""
        if self._pipe >= 0:
            os.write(self._pipe, b"\n")
            os.close(self._pipe)
            self._pipe = -1
            try:
                os.waitpid(self._pid, 0)
            except ChildProcessError:
                pass
