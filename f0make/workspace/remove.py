"""Remove files and trees by descriptors: no link is followed, also none that is swapped in meanwhile.

Standard library only, and readable by Python 3.9.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat

from f0make.files.beneath import change_mode, open_entry, open_listing

_DEEP = 60
"""Levels, each with a descriptor; a directory below them is moved up to the top of the tree first."""
_count = itertools.count(1)


def remove_path(full: str) -> None:
    """Remove the file, link or tree at ``full``, read-only ones included; nothing there is fine. Raises OSError."""
    above, name = os.path.split(full.rstrip("/"))
    try:
        fd = os.open(above or ".", os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        remove_entry(fd, name)
    except OSError as error:
        error.filename = full
        raise
    finally:
        os.close(fd)


def remove_entry(fd: int, name: str) -> None:
    """Remove ``name`` from the directory ``fd``, with all that is below it; nothing there is fine. Raises OSError.

    The root of something that is mounted there is emptied and stays.
    """
    try:
        os.unlink(name, dir_fd=fd)
        return
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EPERM):
            raise
        if not _is_directory(fd, name):
            raise
    top = open_listing(fd, name)
    try:
        while _empty(top, top, 0):
            pass
    finally:
        os.close(top)
    try:
        os.rmdir(name, dir_fd=fd)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise


def prune(fd: int, keep: set[str], at: str = "") -> None:
    """Remove the empty directories below ``fd`` whose paths (``at`` and what follows) are not in ``keep``.

    Raises OSError.
    """
    for name in _directories(fd):
        path = f"{at}/{name}" if at else name
        inside = open_listing(fd, name)
        try:
            prune(inside, keep, path)
        finally:
            os.close(inside)
        if path not in keep:
            os.rmdir(name, dir_fd=fd)


def take_write_permission(fd: int, name: str) -> None:
    """Take the write permission from ``name`` in the directory ``fd``, and from everything below it; not through links.

    Raises OSError.
    """
    entry = open_entry(fd, name)
    try:
        mode = os.fstat(entry).st_mode
        if stat.S_ISLNK(mode):
            return
        if stat.S_ISDIR(mode):
            inside = open_listing(fd, name)
            try:
                for below in os.listdir(inside):
                    take_write_permission(inside, below)
            finally:
                os.close(inside)
        if mode & 0o222:
            change_mode(entry, stat.S_IMODE(mode) & ~0o222)
    finally:
        os.close(entry)


def _empty(fd: int, top: int, depth: int) -> bool:
    """Remove all that lies in the directory ``fd``; whether something was moved to ``top``, which is emptied again."""
    moved = False
    with os.scandir(fd) as listing:
        entries = list(listing)
    for entry in entries:
        name = entry.name
        try:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(name, dir_fd=fd)
                continue
        except FileNotFoundError:
            continue
        except IsADirectoryError:
            pass
        try:
            if depth >= _DEEP and _move_up(fd, name, top):
                moved = True
                continue
            inside = open_listing(fd, name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            moved = _empty(inside, top, depth + 1) or moved
        finally:
            os.close(inside)
        try:
            os.rmdir(name, dir_fd=fd)
        except FileNotFoundError:
            pass
    return moved


def _move_up(fd: int, name: str, top: int) -> bool:
    try:
        os.rename(name, f".f0make-{os.getpid()}-{next(_count)}.gone", src_dir_fd=fd, dst_dir_fd=top)
    except OSError:
        return False
    return True


def _directories(fd: int) -> list[str]:
    with os.scandir(fd) as listing:
        return [entry.name for entry in listing if entry.is_dir(follow_symlinks=False)]


def _is_directory(fd: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
