"""Copies of blobs made ahead by a process of their own, to be moved into place when they are asked for.

Who restores many files goes through them from the first; the helper works from the last, and they meet.
"""

from __future__ import annotations

import errno
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from f0make.cache.blobs import Blobs

WORTH_A_PROCESS = 500
"""Files; copying so many small ones takes about 50 ms."""

_DONE = struct.Struct("=Iq")
"""What the helper says of each copy: its number, and the mtime in ns of its last byte."""


def stage(blobs: Blobs, wanted: Sequence[tuple[str, bool]], scratch: str) -> Staging | None:
    """Begin to copy ``wanted``, (digest, executable) in the order of need, to ``scratch``; None if not worth it."""
    threading = sys.modules.get("threading")
    alone = threading is None or threading.active_count() == 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if len(wanted) < WORTH_A_PROCESS or cores < 2 or not alone or not hasattr(os, "fork"):
        return None
    os.makedirs(scratch, exist_ok=True)
    reader, writer = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        try:
            os.close(reader)
            for number in range(len(wanted) - 1, -1, -1):
                if os.getppid() != parent:
                    break
                digest, executable = wanted[number]
                written = blobs.copy_to(digest, _name(scratch, parent, number), executable)
                os.write(writer, _DONE.pack(number, written))
        except BaseException:  # whoever needs the rest copies it, and says what is wrong
            pass
        finally:
            os._exit(0)
    os.close(writer)
    os.set_blocking(reader, False)
    return Staging(scratch, wanted, pid, reader)


def _name(scratch: str, pid: int, number: int) -> str:
    return f"{scratch}/.f0make-{pid}-staged-{number}.tmp"


class Staging:
    """The copies that are ready."""

    def __init__(self, scratch: str, wanted: Sequence[tuple[str, bool]], pid: int, reader: int) -> None:
        self._scratch = scratch
        self._wanted = wanted
        self._pid = pid
        self._reader = reader
        self._ready: dict[tuple[str, bool], list[tuple[int, int]]] = {}
        self._rest = b""

    def place(self, digest: str, executable: bool, target: str) -> int | None:
        """Move a copy to ``target`` (replaced if there) and return its mtime in ns; None when there is none ready.

        Raises OSError.
        """
        self._listen()
        ready = self._ready.get((digest, executable))
        if not ready:
            return None
        number, written = ready[-1]
        try:
            os.replace(_name(self._scratch, os.getpid(), number), target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return None
        ready.pop()
        return written

    def close(self) -> None:
        """End the helper and remove the copies that nobody took."""
        if self._pid:
            os.close(self._reader)
            try:
                if os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                    os.kill(self._pid, 9)
                    os.waitpid(self._pid, 0)
            except ChildProcessError:
                pass
            self._pid = 0
            start = f".f0make-{os.getpid()}-staged-"
            for name in os.listdir(self._scratch):
                if name.startswith(start):
                    os.unlink(os.path.join(self._scratch, name))

    def _listen(self) -> None:
        """Take in what the helper has said."""
        try:
            data = self._rest + os.read(self._reader, 1 << 16)
        except BlockingIOError:
            return
        whole = len(data) - len(data) % _DONE.size
        self._rest = data[whole:]
        for number, written in _DONE.iter_unpack(data[:whole]):
            self._ready.setdefault(self._wanted[number], []).append((number, written))
