"""What a host keeps between runs, and for how long. Part of what is sent."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

KEPT = 14 * 86400.0
"""Seconds since its last use for which a content, or a version of the agent, stays in a workdir."""
_EVERY = 86400.0
"""Seconds between two looks at everything."""
_UNFINISHED = 86400.0
"""Seconds after which nobody writes to a temporary file any more."""


def trim(workdir: str, now: float | None = None) -> int:
    """Remove from ``workdir`` what was not used for long; does nothing where that was done within a day.

    Other agents may work there: they note each use in the file's mtime (once an hour), and ask again for a content
    that has gone in the moment between. Returns how many files went. Nothing is raised: it is no fault of a run.
    """
    now = time.time() if now is None else now
    done = os.path.join(workdir, "trimmed")
    try:
        if now - os.stat(done).st_mtime < _EVERY:
            return 0
    except OSError:
        pass
    try:
        with open(done, "w"):
            os.utime(done, (now, now))
    except OSError:
        return 0
    gone = sum(_old(path, now - _UNFINISHED) for path in _files(os.path.join(workdir, "cache", "tmp")))
    places = [os.path.join(workdir, "agent"), *_directories(os.path.join(workdir, "cache", "cas"))]
    return gone + sum(_old(path, now - KEPT) for place in places for path in _files(place))


def _old(path: str, before: float) -> bool:
    """Whether ``path`` was last used before that, and is gone now."""
    try:
        if os.lstat(path).st_mtime < before:
            os.unlink(path)
            return True
    except OSError:
        pass
    return False


def _files(directory: str) -> Iterator[str]:
    try:
        with os.scandir(directory) as listing:
            yield from [entry.path for entry in listing if entry.is_file(follow_symlinks=False)]
    except OSError:
        return


def _directories(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as listing:
            return [entry.path for entry in listing if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
