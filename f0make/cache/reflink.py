"""Copying a file's bytes while hashing them, sharing the blocks where the file system can."""

from __future__ import annotations

import os

from f0make.files.sha import sha256

_FICLONE = 0x40049409
"""`ioctl_ficlonerange(2)`: _IOW(0x94, 9, int) from linux/fs.h."""
_BUFFER = 1 << 20
_SMALL = 16 << 10
"""Bytes; below this a copy costs less than a clone."""

_cannot: set[tuple[int, int]] = set()
"""(source, target) devices between which cloning was refused."""


def clone(source: int, target: int) -> bool:
    """Make the empty file ``target`` share the blocks of ``source`` (descriptors); False where that is refused."""
    try:
        import fcntl
    except ImportError:
        return False
    devices = (os.fstat(source).st_dev, os.fstat(target).st_dev)
    if devices[0] != devices[1] or devices in _cannot:
        return False
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        _cannot.add(devices)
        return False
    return True


def copy(source: int, target: int, size: int) -> str:
    """Copy ``source`` into the empty ``target`` (descriptors): SHA-256 (hex) of what ``target`` then holds.

    ``size`` is that of ``source`` in bytes; one that grows meanwhile, be it without end, is not copied further than
    shows that it did. Raises OSError.
    """
    if size <= _SMALL:
        data = os.read(source, size + 1)
        if len(data) <= size:
            write_all(target, data)
            return sha256(data).hexdigest()
        os.lseek(source, 0, os.SEEK_SET)  # it has grown
    digest = sha256(more=size)
    cloned = size > _SMALL and clone(source, target)
    reader = target if cloned else source
    buffer = bytearray(min(max(size + 1, 4096), _BUFFER))
    view = memoryview(buffer)
    done = 0
    while done <= size and (
        got := os.readv(reader, [buffer]) if hasattr(os, "readv") else _read(reader, view)
    ):
        part = view[:got]
        digest.update(part)
        done += got
        if not cloned:
            write_all(target, part)
    return digest.hexdigest()


def share(source: int, target: int, size: int) -> int:
    """Copy ``size`` bytes of ``source`` into the empty ``target`` without looking at them: how many there were.

    Raises OSError.
    """
    if size > _SMALL and clone(source, target):
        return size
    done = 0
    try:
        while done < size and (got := os.copy_file_range(source, target, size - done)):
            done += got
    except (OSError, AttributeError):
        # Not between these file systems, or not here at all; no space is said again below.
        os.lseek(source, done, os.SEEK_SET)
    while done < size and (data := os.read(source, min(size - done, _BUFFER))):
        write_all(target, data)
        done += len(data)
    return done


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of ``data``, however many calls that takes. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _read(fd: int, view: memoryview) -> int:
    data = os.read(fd, len(view))
    view[: len(data)] = data
    return len(data)
