"""Read a file that a recipe or its data named: a regular file of bounded size, or one clear reason why not.

A FIFO, a device or a socket in the place of a recipe, a table or a module is refused without being opened: opening some
of them blocks, or has an effect.
"""

from __future__ import annotations

import errno
import os
import stat

MB = 1_000_000

RECIPE = 10 * MB
"""Bytes of a recipe, an included file, a `--config` file, a hosts file."""
TABLE = 50 * MB
"""Bytes of a `foreach` table."""
MODULE = 4 * MB
"""Bytes of a module of a python step."""
DEPFILE = 50 * MB
"""Bytes of a depfile."""

_PIECE = 1 << 20

_KINDS = {
    stat.S_IFDIR: "is a directory",
    stat.S_IFIFO: "is a FIFO, not a regular file",
    stat.S_IFSOCK: "is a socket, not a regular file",
    stat.S_IFCHR: "is a device, not a regular file",
    stat.S_IFBLK: "is a device, not a regular file",
}


def read_regular(path: str, most: int) -> bytes:
    """The bytes of the regular file at ``path``, symlinks followed.

    Raises OSError, with a ``strerror`` fit for a message, for anything else and for more than ``most`` bytes;
    ValueError for a path with a NUL byte.
    """
    _check(path, os.stat(path), most)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        _check(path, found, most)
        if found.st_size:
            data = os.read(fd, found.st_size + 1)
            if len(data) == found.st_size:
                return data
        else:
            data = b""
        return data + _rest(path, fd, most, len(data))
    finally:
        os.close(fd)


def _rest(path: str, fd: int, most: int, so_far: int) -> bytes:
    """What a file holds beyond what its size says: some in /proc say nothing, others grow."""
    pieces = []
    while piece := os.read(fd, _PIECE):
        pieces.append(piece)
        so_far += len(piece)
        if so_far > most:
            raise _too_large(path, so_far, most)
    return b"".join(pieces)


def _check(path: str, found: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = stat.S_IFMT(found.st_mode)
        number = errno.EISDIR if kind == stat.S_IFDIR else errno.EINVAL
        raise OSError(number, _KINDS.get(kind, "is not a regular file"), path)
    if found.st_size > most:
        raise _too_large(path, found.st_size, most)


def _too_large(path: str, size: int, most: int) -> OSError:
    return OSError(
        errno.EFBIG, f"is too large: {max(size / MB, 0.1):,.0f} MB, and {most // MB} MB is the most", path
    )
