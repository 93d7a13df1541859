"""One run at a time in a workspace: an flock on `.f0make/lock`, which the kernel drops when its holder ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from f0make.ascii_json import dumper, loads
from f0make.errors import LockedError
from f0make.files import signature
from f0make.files.open_regular import open_regular
from f0make.store import state_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_POLL = 0.1
"""Seconds between two tries while waiting: unnoticeable for people, and signals get through."""


class WorkspaceLock:
    """The lock of ``workspace``; release it with `release` or by ending the process.

    The descriptor is not inherited by programs that are started.
    """

    def __init__(self, workspace: str) -> None:
        self.workspace = workspace
        self._fd: int | None = None

    def acquire(self, wait: bool = False, stop: Callable[[], bool] | None = None) -> None:
        """Take the lock. Raises LockedError when another process holds it, StateError when `.f0make` is unusable.

        With ``wait`` it is waited for instead, until ``stop()`` (asked ten times a second) is true.
        """
        state_dir.prepare(self.workspace)
        while True:
            try:
                fd = open_regular(self._path, os.O_RDWR | os.O_CREAT)
            except OSError as error:
                raise state_dir.unusable(self.workspace, error) from None
            try:
                if _try_lock(fd):
                    if self._same_file(fd):
                        self._fd = fd
                        self._sign(fd)
                        return
                elif not wait or (stop is not None and stop()):
                    raise LockedError(self._held_by())
                else:
                    time.sleep(_POLL)
            except OSError as error:
                raise state_dir.unusable(self.workspace, error) from None
            finally:
                if self._fd is None:
                    os.close(fd)

    def adopt(self, fd: int) -> None:
        """Take over ``fd``, which holds the lock already."""
        self._fd = fd
        self._sign(fd)

    def release(self) -> None:
        """Give the lock back; fine when it is not held."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def __enter__(self) -> WorkspaceLock:
        if self._fd is None:
            self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def _path(self) -> str:
        return state_dir.path_of(self.workspace, "lock")

    def _same_file(self, fd: int) -> bool:
        """False when the lock file was removed meanwhile: a lock on it would exclude no process."""
        try:
            found = os.stat(self._path)
        except OSError:
            state_dir.prepare(self.workspace)
            return False
        mine = os.fstat(fd)
        return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)

    def _sign(self, fd: int) -> None:
        """Say who holds it; only for people, so a full disk is no reason to give up here."""
        signature.probe(fd)
        owner = {"pid": os.getpid(), "host": _host(), "started": time.time(), "argv": sys.argv[1:2]}
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, dumper()(owner).encode("ascii"), 0)
        except OSError:
            pass

    def _held_by(self) -> str:
        owner = read_owner(self.workspace)
        place = os.path.abspath(self.workspace)
        if owner is None:
            return f"another f0make holds the workspace {place}; wait for it (--wait) or stop it"
        pid, host = owner["pid"], owner["host"]
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner["started"]))
        gone = ""
        if host == _host() and not _alive(pid):
            gone = "; that process has ended, but something it started still holds the lock"
        return (
            f"process {pid} on {host} holds the workspace {place} since {since}{gone}; "
            "wait for it (--wait) or stop it"
        )


def read_owner(workspace: str) -> dict[str, Any] | None:
    """Who took the lock last ({"pid", "host", "started", "argv"}), whether held or not; None when unknown.

    Of the arguments only the verb is kept: what was given to it may be private.
    """
    try:
        fd = open_regular(state_dir.path_of(workspace, "lock"))
        try:
            owner = loads(os.read(fd, 1 << 20))
        finally:
            os.close(fd)
    except (OSError, ValueError):
        return None
    if not isinstance(owner, dict):
        return None
    pid, host, started = owner.get("pid"), owner.get("host"), owner.get("started")
    sound = isinstance(pid, int) and isinstance(host, str) and isinstance(started, (int, float))
    return owner if sound else None


def _try_lock(fd: int) -> bool:
    """Lock ``fd`` for this process alone; False when another holds it. Raises OSError where locks do not work."""
    try:
        import fcntl
    except ImportError:
        return _try_lock_windows(fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _try_lock_windows(fd: int) -> bool:
    import importlib

    msvcrt = importlib.import_module("msvcrt")
    # A byte far beyond the text, because Windows locks forbid reading what they cover.
    os.lseek(fd, 1 << 30, os.SEEK_SET)
    try:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True


def _host() -> str:
    """This machine's name, without loading `socket` where it can be had otherwise."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket

    return socket.gethostname()


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
