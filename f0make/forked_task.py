"""A forked child that finds something out on another core and says it through a pipe.

It has everything that this process had, changes nothing, and ends by itself, also when no process listens any
more. Imports nothing but built-in modules.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_FILES = 4_096
"""Descriptors that a child closes at most: no process shall wait for it to close one."""

_alive: list[Offshoot] = []
"""Those that have not been waited for."""


class Offshoot:
    """A child that runs ``work``, which gets a function that says bytes. Raises OSError when there is none."""

    __slots__ = ("_pid", "_reader", "_said")

    def __init__(self, work: Callable[[Callable[[bytes], None]], None]) -> None:
        self._said = b""
        self._reader, writer = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(self._reader)
            os.close(writer)
            raise
        _alive.append(self)
        if not self._pid:
            try:
                os.closerange(0, writer)
                os.closerange(writer + 1, _MOST_FILES)
                work(lambda data: _write(writer, data))
            finally:
                os._exit(0)
        os.close(writer)

    def first(self, wait: bool) -> bytes | None:
        """The first byte that it says, empty when it ends without one; None (not if ``wait``) when it is still silent."""
        if not self._said:
            os.set_blocking(self._reader, wait)
            try:
                self._said = os.read(self._reader, 1)
            except BlockingIOError:
                return None
        return self._said

    def all(self) -> bytes:
        """Everything that it says, when it has ended; to be asked for once."""
        os.set_blocking(self._reader, True)
        parts = [self._said]
        while part := os.read(self._reader, 1 << 16):
            parts.append(part)
        self._wait()
        return b"".join(parts)

    def end(self) -> None:
        """End the child: its answer is not needed any more."""
        try:
            os.kill(self._pid, 9)
        except ProcessLookupError:
            pass
        self._wait()

    def _wait(self) -> None:
        _alive.remove(self)
        os.close(self._reader)
        try:
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            pass  # another wait for any process was faster


def end_all() -> None:
    """End those whose answers were not asked for: the run ended first."""
    while _alive:
        _alive[-1].end()


def single_threaded() -> bool:
    """Whether nothing else goes on in this process."""
    threading = sys.modules.get("threading")
    return threading is None or bool(threading.active_count() == 1)


def safe() -> bool:
    """Whether this process may fork, and has another core to fork for."""
    return single_threaded() and hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
