"""The private directory of an attempt, and the next one's: the same place when nothing could reach into it any more.

Making and removing directories takes more than all else that a small step needs (on some disks milliseconds for
each), so those that the next attempt of the same shape wants stay, empty. Part of what is sent to hosts: standard
library only, Python 3.9.
"""

from __future__ import annotations

import itertools
import os
import stat

from f0make.worker.bundle import Bundle
from f0make.workspace.remove import remove_path

_count = itertools.count(1)
_MODE = 0o700


class Workplace:
    """Directories of one process below ``place``: ``work`` for the step, ``temporary`` for its TMPDIR."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.own = ""
        self._skeleton: set[str] = set()
        """Directories in ``work`` that are there, and empty but for each other."""
        self._wanted: set[str] = set()

    @property
    def work(self) -> str:
        """Where the step runs."""
        return os.path.join(self.own, "work")

    @property
    def temporary(self) -> str:
        """Where its temporary files go."""
        return os.path.join(self.own, "tmp")

    def enter(self, bundle: Bundle) -> None:
        """Make it ready for ``bundle``: empty directories at most, and only such as it will have. Raises OSError."""
        if not self.own:
            self.own = os.path.join(self._place, f"{os.getpid()}-{next(_count)}")
            self._skeleton = set()
            for directory in (self.own, self.work, self.temporary):
                os.mkdir(directory, _MODE)
        self._wanted = _parents(bundle)
        for path in sorted(self._skeleton - self._wanted, key=len, reverse=True):
            os.rmdir(os.path.join(self.work, path))
            self._skeleton.discard(path)

    def leave(self, alone: bool) -> None:
        """Empty it. Not ``alone``: something that the step started may still be there, so nobody comes here again."""
        if alone and self._untouched():
            try:
                found = _emptied(self.work, "", self._wanted)
                _emptied(self.temporary, "", set())
                self._skeleton = found
                return
            except OSError:
                pass
        own, self.own = self.own, ""
        if own:
            remove_path(own)

    def _untouched(self) -> bool:
        """Whether the step has left the modes of the directories that stay as they were."""
        try:
            return all(
                stat.S_IMODE(os.lstat(path).st_mode) == _MODE
                for path in (self.own, self.work, self.temporary)
            )
        except OSError:
            return False

    def close(self) -> None:
        """Remove it."""
        own, self.own = self.own, ""
        if own:
            remove_path(own)


def _parents(bundle: Bundle) -> set[str]:
    """The directories above what ``bundle`` reads and makes, but for what comes with a directory that it reads."""
    found: set[str] = set()
    for path in (*bundle.contents, *bundle.modules, *(path for path, _ in bundle.outputs)):
        above = os.path.dirname(path) if not path.startswith("/") else ""
        while above and above not in found:
            found.add(above)
            above = os.path.dirname(above)
    return {path for path in found if not _within(path, bundle.contents)}


def _within(path: str, inputs: dict[str, str]) -> bool:
    while path:
        if path in inputs:
            return True
        path = os.path.dirname(path)
    return False


def _emptied(root: str, at: str, keep: set[str]) -> set[str]:
    """Remove all below ``root``/``at`` but the directories ``keep``; those that are left. Raises OSError."""
    left: set[str] = set()
    with os.scandir(os.path.join(root, at)) as listing:
        entries = list(listing)
    for entry in entries:
        path = os.path.join(at, entry.name)
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
        elif path in keep and stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode) == 0o777 & ~_umask():
            left.add(path)
            left |= _emptied(root, path, keep)
        else:
            remove_path(entry.path)
    return left


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
