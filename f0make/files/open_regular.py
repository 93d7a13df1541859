"""Open what others may have put there: regular files only, no link followed, no waiting."""

from __future__ import annotations

import os

_FLAGS = (
    os.O_CLOEXEC
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
"""A pipe without a writer would keep its reader waiting; on a regular file O_NONBLOCK means nothing."""
_KIND, _REGULAR = 0o170000, 0o100000
"""As in the module `stat`, which a run with nothing to do does not import."""


def open_regular(path: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """A descriptor of the regular file ``path``; one that is made gets ``mode``. Raises OSError, also for a link, a pipe, a device or a directory."""
    fd = os.open(path, flags | _FLAGS, mode)
    if os.fstat(fd).st_mode & _KIND != _REGULAR:
        os.close(fd)
        raise OSError(22, "not a regular file", path)
    return fd
