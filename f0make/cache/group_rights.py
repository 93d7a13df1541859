"""Whose a cache directory is: in one that a group may write to, what is made gets the group's rights, whatever the umask."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

_SHARED = stat.S_ISGID | stat.S_IWGRP
"""A directory with one of these was made for a group."""


class Rights:
    """What lies in the cache ``root`` gets the rights that it has itself, if it was made for a group."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: os.stat_result | None = None

    def _of_root(self) -> os.stat_result | None:
        """The root, if it is a group's."""
        if self._known is None:
            try:
                self._known = os.stat(self._root)
            except OSError:
                return None
        return self._known if self._known.st_mode & _SHARED else None

    def make(self, directory: str) -> None:
        """Make ``directory``, in the root or in one made so, and those above it. Raises OSError."""
        if os.path.isdir(directory):
            return
        if len(directory) > len(self._root):
            self.make(os.path.dirname(directory))
        try:
            os.mkdir(directory) if len(directory) > len(self._root) else os.makedirs(directory)
        except FileExistsError:
            if not os.path.isdir(directory):
                raise
            return
        root = self._of_root()
        if root is not None:
            self._give(directory, root, stat.S_IMODE(root.st_mode) | 0o700)

    def file(self, target: str | int, mode: int) -> None:
        """Give a new file (path or descriptor) those rights of ``mode`` that the root has for the same people."""
        root = self._of_root()
        if root is not None:
            readers = 0o700 | (0o060 if root.st_mode & 0o040 else 0) | (0o006 if root.st_mode & 0o004 else 0)
            self._give(target, root, mode & readers)

    def _give(self, target: str | int, root: os.stat_result, mode: int) -> None:
        with suppress(OSError):
            st = os.stat(target)
            if st.st_gid != root.st_gid:
                with suppress(OSError):
                    os.chown(target, -1, root.st_gid)
            if stat.S_IMODE(st.st_mode) != mode:
                os.chmod(target, mode)
