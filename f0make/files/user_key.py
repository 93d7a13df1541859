"""The secret that binds what f0make derives and keeps (snapshots, indexes, signatures) to the user who runs it.

It lies in the user's configuration directory and is made once. Without it, the author of a clone that
brought a `.f0make` along cannot write anything there that would be believed. Without it (no HOME, or one that
is read-only) nothing derived is kept: it is made again in memory. Imports built-in modules only.
"""

from __future__ import annotations

import os

from f0make.files.open_regular import open_regular

SIZE = 32
"""Bytes of the key."""
_NAME = os.path.join("f0make", "state.key")

_known: bytes | None = None


def key(create: bool = False) -> bytes | None:
    """The key of this user; None when there is none, or none that only this user can read and write.

    With ``create`` it is made where it can be.
    """
    global _known
    if _known is None:
        path = _path()
        if path is not None:
            _known = _read(path)
            if _known is None and create:
                _known = _make(path)
    return _known


def _path() -> str | None:
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if base[:1] != "/":
        base = os.environ.get("HOME", "")
        if base[:1] != "/":
            return None
        base = os.path.join(base, ".config")
    return os.path.join(base, _NAME)


def _read(path: str) -> bytes | None:
    try:
        fd = open_regular(path)
        try:
            st = os.fstat(fd)
            data = os.read(fd, SIZE + 1)
        finally:
            os.close(fd)
    except OSError:
        return None
    mine = not hasattr(os, "geteuid") or (st.st_uid == os.geteuid() and not st.st_mode & 0o077)
    return data if mine and len(data) == SIZE else None


def _make(path: str) -> bytes | None:
    """Make the key; of several processes that do so at one time the first wins."""
    directory = os.path.dirname(path)
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        if not _owned(os.path.dirname(directory)):
            return None
        os.makedirs(directory, 0o700, exist_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        try:
            os.write(fd, os.urandom(SIZE))
        finally:
            os.close(fd)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            if not os.path.lexists(path):
                os.rename(temporary, path)
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)
    except OSError:
        return None
    return _read(path)


def _owned(directory: str) -> bool:
    """Whether ``directory``, or the nearest one above it that exists, is this user's: as root through `sudo` one must not
    leave a file in another user's home."""
    if not hasattr(os, "geteuid"):
        return True
    while not os.path.exists(directory):
        directory = os.path.dirname(directory)
    return os.stat(directory).st_uid == os.geteuid()
