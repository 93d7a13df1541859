"""Moving what lies at a path out of the way; nothing is ever overwritten there.

The places are below the state directory, where no link is followed.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from contextlib import suppress

from f0make.files.beneath import LIST, Below, InTheWay, change_mode, components, open_entry, open_listing
from f0make.files.content_digest import FileError
from f0make.files.sha import sha256
from f0make.workspace.remove import remove_entry

_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


def move_aside(source: Below, path: str, state: Below, base: str) -> str:
    """Move what lies at ``path`` below ``source`` to ``base``/``path`` below ``state``: the new place, relative to that.

    "" when nothing was there. A link is moved as a link. A place that is taken gets a numeric suffix. Raises
    FileError.
    """
    components(path)
    try:
        fd, name = source.parent(path)
    except (FileNotFoundError, InTheWay):
        return ""
    try:
        os.stat(name, dir_fd=fd, follow_symlinks=False)
        try:
            return _into(fd, name, state, base, path)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
        return _into(fd, name, state, base, sha256(os.fsencode(path)).hexdigest()[:16])
    except FileNotFoundError:
        return ""
    except FileError:
        raise
    except OSError as error:
        raise FileError(
            f"{path!r} is in the way and cannot be moved to '.f0make/{base}': {error.strerror}"
        ) from error
    finally:
        os.close(fd)


def _into(fd: int, name: str, state: Below, base: str, path: str) -> str:
    target, place = _free_place(state, base, path)
    try:
        above, _, last = place.rpartition("/")
        for candidate in _names(last):
            try:
                os.stat(candidate, dir_fd=target, follow_symlinks=False)
            except FileNotFoundError:
                _move(fd, name, target, candidate)
                return f"{above}/{candidate}"
    finally:
        os.close(target)
    return ""


def _free_place(state: Below, base: str, path: str) -> tuple[int, str]:
    """(Descriptor of the directory below ``base`` that is made for ``path``, the place wanted in it)."""
    fd = state.directory(base, make=True)
    place = base
    try:
        *parents, last = path.split("/")
        for name in parents:
            for candidate in _names(name):
                try:
                    os.mkdir(candidate, dir_fd=fd)
                except FileExistsError:
                    pass
                try:
                    deeper = os.open(candidate, LIST, dir_fd=fd)
                except OSError as error:
                    if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                        raise
                    continue
                os.close(fd)
                fd, place = deeper, f"{place}/{candidate}"
                break
    except BaseException:
        os.close(fd)
        raise
    return fd, f"{place}/{last}"


def _names(name: str) -> itertools.chain[str]:
    return itertools.chain((name,), (f"{name}.{n}" for n in itertools.count(1)))


def _move(source: int, name: str, target: int, new: str) -> None:
    """Rename, or copy and remove where ``target`` is on another file system. Raises OSError."""
    entry = open_entry(source, name)
    try:
        mode = os.fstat(entry).st_mode
        locked = stat.S_ISDIR(mode) and not mode & 0o200
        if locked:
            # Renaming a directory writes its `..` entry, which needs write permission on the directory itself.
            change_mode(entry, stat.S_IMODE(mode) | 0o700)
        try:
            os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)
        except OSError as error:
            # Another file system, or the root of one that is mounted here.
            if error.errno not in (errno.EXDEV, errno.EBUSY):
                raise
            unfinished = f"{new}.part" if len(os.fsencode(new)) < 250 else f".{os.getpid()}.part"
            remove_entry(target, unfinished)
            _copy(source, name, target, unfinished)
            os.rename(unfinished, new, src_dir_fd=target, dst_dir_fd=target)
            remove_entry(source, name)
        if locked:
            change_mode(entry, stat.S_IMODE(mode))
    finally:
        os.close(entry)


def _copy(source: int, name: str, target: int, new: str) -> None:
    """Copy a file, link, pipe or tree with its rights and times. Raises OSError."""
    st = os.stat(name, dir_fd=source, follow_symlinks=False)
    if stat.S_ISLNK(st.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), new, dir_fd=target)
        os.utime(new, ns=(st.st_atime_ns, st.st_mtime_ns), dir_fd=target, follow_symlinks=False)
    elif stat.S_ISDIR(st.st_mode):
        os.mkdir(new, 0o700, dir_fd=target)
        inside, into = open_listing(source, name), os.open(new, LIST, dir_fd=target)
        try:
            for below in os.listdir(inside):
                _copy(inside, below, into, below)
            os.fchmod(into, stat.S_IMODE(st.st_mode))
            os.utime(into, ns=(st.st_atime_ns, st.st_mtime_ns))
        finally:
            os.close(inside)
            os.close(into)
    elif stat.S_ISREG(st.st_mode):
        _copy_file(source, name, target, new)
    else:
        os.mknod(new, st.st_mode, st.st_rdev, dir_fd=target)


def _copy_file(source: int, name: str, target: int, new: str) -> None:
    import shutil

    with (
        open(os.open(name, _READ, dir_fd=source), "rb") as old,
        open(os.open(new, _NEW, 0o600, dir_fd=target), "wb") as file,
    ):
        shutil.copyfileobj(old, file, 1 << 20)
        file.flush()
        _copy_facts(old.fileno(), file.fileno())


def _copy_facts(old: int, new: int) -> None:
    """Rights, times and, as far as the file system takes them, extended attributes."""
    st = os.fstat(old)
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in os.listxattr(old):
                os.setxattr(new, name, os.getxattr(old, name))
    os.fchmod(new, stat.S_IMODE(st.st_mode))
    os.utime(new, ns=(st.st_atime_ns, st.st_mtime_ns))
