"""The file that a step writes to: one for many steps, given a name of its own only when something stands in it.

Most steps say nothing. Making and removing a file for each of them costs more than it looks: a file system
such as ext4 passes over every inode that was freed in the last seconds when it looks for a free one.
"""

from __future__ import annotations

import os
import threading

PREFIX = ".slot-"
"""Begins the name, inside the directory of the logs, of a file that has no step's name yet."""

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


def unnamed(log: str, pid: int) -> str:
    """Where the output of a step with the log ``log`` goes, at first, in the worker ``pid``."""
    return os.path.join(os.path.dirname(log), f"{PREFIX}{pid}")


class StepLog:
    """The log of the running step. `publish` may be called from another thread, the rest from one only."""

    def __init__(self) -> None:
        self._fd = -1
        self._path = ""
        self._log = ""
        self._named = False
        self._lock = threading.Lock()

    def begin(self, log: str) -> int:
        """An empty file for a step whose log is to be ``log`` (absolute; "" for none): its descriptor.

        Raises OSError when it cannot be made.
        """
        path = unnamed(log, os.getpid()) if log else os.devnull
        if self._fd < 0 or path != self._path:
            self.close()
            try:
                self._fd = os.open(path, _FLAGS | os.O_TRUNC, 0o600)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                self._fd = os.open(path, _FLAGS | os.O_TRUNC, 0o600)
            self._path = path
        self._named, self._log = not log, log
        return self._fd

    def publish(self) -> None:
        """Give the file its step's name while the step runs, so that people can follow it."""
        with self._lock:
            if self._log and not self._named:
                self._named = _rename(self._path, self._log)

    def end(self, alone: bool) -> None:
        """The step has ended: its log stays under its name when it holds anything, an older one does not.

        Not ``alone``: something the step started may still write to it, so no other step gets this file.
        """
        with self._lock:
            log, self._log = self._log, ""
            if not log:
                return
            try:
                st = os.fstat(self._fd)
            except OSError:
                return
            if st.st_size and not self._named:
                self._named = _rename(self._path, log)
            if not st.st_size:
                _unlink(log)
            if st.st_size or self._named or not alone or not st.st_nlink:
                self._drop()

    def close(self) -> None:
        """Let go of the file; one without a name is removed."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
            if not self._named and self._path != os.devnull:
                _unlink(self._path)

    def __del__(self) -> None:
        self.close()


def adopt(log: str, pid: int) -> None:
    """The worker ``pid`` has died under the step whose log is ``log``: keep what the step has said."""
    path = unnamed(log, pid)
    if os.path.exists(path):
        _unlink(log)
        _rename(path, log)
    try:
        if os.path.getsize(log) == 0:
            os.unlink(log)
    except OSError:
        pass


def forget(directory: str, pids: set[int]) -> None:
    """Remove the nameless logs that the workers ``pids`` left in ``directory``."""
    for pid in pids:
        _unlink(os.path.join(directory, f"{PREFIX}{pid}"))


def _rename(path: str, log: str) -> bool:
    try:
        os.replace(path, log)
    except OSError:
        return False
    return True


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
