"""Who is using a cache directory: a shared flock for as long as a process has it open."""

from __future__ import annotations

import os

from f0make.cache.group_rights import Rights

_NAME = "in-use"


class InUse:
    """A mark on the cache ``directory``: held shared by those who use it, alone by those who trim it."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, _NAME)
        self._rights = Rights(directory)
        self._fd: int | None = None
        self._tried = False

    def hold(self, create: bool) -> None:
        """Mark the cache as used; does nothing where locks do not work (trimming then keeps recent blobs).

        Without ``create`` nothing is written: a cache that was never written to is not marked.
        """
        if self._fd is None and (create or not self._tried):
            self._tried = True
            self._lock(alone=False, flags=os.O_RDWR | os.O_CREAT if create else os.O_RDONLY)

    def alone(self) -> bool:
        """Try to be the only one; False when the cache is in use, or that cannot be known."""
        return self._lock(alone=True, flags=os.O_RDWR | os.O_CREAT)

    def release(self) -> None:
        """Give the mark back."""
        fd, self._fd = self._fd, None
        self._tried = False
        if fd is not None:
            os.close(fd)

    def __del__(self) -> None:
        if self._fd is not None:
            self.release()

    def _lock(self, alone: bool, flags: int) -> bool:
        try:
            import fcntl
        except ImportError:
            return False
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            try:
                fd = os.open(self._path, flags, 0o666)
                self._rights.file(fd, 0o664)
            except PermissionError:  # another user made it: reading is enough for a lock
                fd = os.open(self._path, flags & ~(os.O_RDWR | os.O_CREAT))
        except FileNotFoundError:
            return alone and not os.access(os.path.dirname(self._path), os.W_OK)  # none could ever mark it
        except OSError:
            return False
        try:
            # Trimming holds it for moments only, and goes on without it; a user may wait for that.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
        except OSError:
            os.close(fd)
            return False
        self._fd = fd
        return True
