"""The wall below the watching (landlock(7)): what the kernel itself refuses to a step, by directories, whoever asks and how.

The supervisor judges paths that it has read, and the kernel looks them up once more: what changes between is forbidden
here. A rule belongs to a file or directory that is there, so what a step may make opens the directory where it goes.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import glob
import os
import stat
import struct

from f0make.worker.guard.access_rules import DEVICES, SYSTEM, Rules

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every architecture
_NO_NEW_PRIVS = 38
_VERSION = 1
_PATH_BENEATH = 1
_OLDEST = 3
"""The first version that bears moves between directories (2) and sees truncate (3); Linux 6.2."""
_SCOPES = 6
"""The first version that keeps a process from abstract sockets of others; Linux 6.12."""
_ABSTRACT_SOCKETS = 1

_WRITE_FILE, _READ_FILE, _TRUNCATE = 1 << 1, 1 << 2, 1 << 14
_IN_DIRECTORIES = sum(1 << bit for bit in range(4, 14))
"""Remove and make entries of each kind, and move them between directories."""
_WRITE = _WRITE_FILE | _TRUNCATE | _IN_DIRECTORIES
_FILE = _WRITE_FILE | _READ_FILE | _TRUNCATE
"""Rights that a rule of a file, not of a directory, may hold."""


def version() -> int:
    """The kernel's version of Landlock, 0 without it."""
    return max(0, int(_libc().syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)))


def ruleset(rules: Rules, late: bool) -> int | None:
    """A descriptor of what ``rules`` permits, None where the kernel cannot. ``late``: every file may be read.

    It permits more than they do, by directories, and nothing less. Raises OSError.
    """
    known = version()
    if known < _OLDEST:
        return None
    read = 0 if late else _READ_FILE
    scopes = _ABSTRACT_SOCKETS if known >= _SCOPES else 0
    attributes = struct.pack("=QQQ", _WRITE | read, 0, scopes)
    size = len(attributes) if scopes else 8
    fd: int = _libc().syscall(_CREATE, attributes, ctypes.c_size_t(size), 0)
    if fd < 0:
        return None
    try:
        for path in _written(rules):
            _add(fd, path, _WRITE | read)
        if read:
            for path in _read(rules):
                _add(fd, path, read)
    except BaseException:
        os.close(fd)
        raise
    return fd


def restrict_me(fd: int) -> None:
    """Keep this process, and all that it will start, to the ruleset ``fd``, for good. Raises OSError."""
    libc = _libc()
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(_RESTRICT, fd, 0):
        raise _error()


def _read(rules: Rules) -> set[str]:
    """What may be read, with bytecode of sources that may."""
    found = {*SYSTEM, *rules.tools, *rules.read_trees, *rules.reads}
    for path in rules.reads:
        if path.endswith(".py"):
            directory, name = os.path.split(path[:-3])
            found.update(glob.glob(f"{glob.escape(directory)}/__pycache__/{glob.escape(name)}.*.pyc"))
    return found


def _written(rules: Rules) -> set[str]:
    """Where files may be made, changed and removed: directories, and single files that are nobody's to remove."""
    found = {*DEVICES, *rules.open_files}
    found.update(path if os.path.isdir(path) else _there(os.path.dirname(path)) for path in rules.writes)
    found.update(_there(path.rstrip("/")) for path in rules.write_trees)
    for path in rules.replaced:
        above = _there(os.path.dirname(path.rstrip("/")))
        if above != "/" and os.access(above, os.W_OK):
            found.add(above)
    return found


def _there(path: str) -> str:
    """``path`` or the nearest directory above it that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _add(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # nothing is there that could be touched
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _FILE
        rule = struct.pack("=Qi", rights, fd)
        if rights and _libc().syscall(_ADD, ruleset, _PATH_BENEATH, rule, 0):
            error = _error()
            if error.errno not in (errno.EBADFD, errno.EINVAL):  # a pipe or socket: no wall stands before it
                raise error
    finally:
        os.close(fd)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
