"""Whose a cache directory is: in one that a group may write to, what is made gets the group's rights, whatever the umask."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from f0make.files.beneath import LIST, Below
from f0make.files.content_digest import FileError

_SHARED = stat.S_ISGID | stat.S_IWGRP
"""A directory with one of these was made for a group."""


class Rights:
    """What lies in the cache ``root`` gets the rights that it has itself, if it was made for a group."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.below = Below(root)
        """What lies in it, by descriptors."""
        self._known: os.stat_result | None = None

    def _of_root(self) -> os.stat_result | None:
        """The root, if it is a group's."""
        if self._known is None:
            try:
                self._known = os.stat(self._root)
            except OSError:
                return None
        return self._known if self._known.st_mode & _SHARED else None

    def directory(self, path: str) -> int:
        """A descriptor (for the caller to close) of the directory ``path`` of the cache, made where it is missing.

        Other writers may put a link in the place of a directory at any moment: none is followed. Raises
        InTheWay and OSError.
        """
        made: list[str] = []
        try:
            fd = self.below.directory(path, True, made)
        except FileNotFoundError:
            self.below.close()  # another one may lie there by now
            os.makedirs(self._root, exist_ok=True)
            fd = self.below.directory(path, True, made)
        root = self._of_root() if made else None
        if root is not None:
            for name in made:
                self._give_directory(name, root)
        return fd

    def _give_directory(self, path: str, root: os.stat_result) -> None:
        with suppress(OSError, FileError):
            reach = self.below.directory(path)
            try:
                fd = os.open(".", LIST, dir_fd=reach)
                try:
                    self._give(fd, root, stat.S_IMODE(root.st_mode) | 0o700)
                finally:
                    os.close(fd)
            finally:
                os.close(reach)

    def file(self, fd: int, mode: int) -> None:
        """Give a new file those rights of ``mode`` that the root has for the same people."""
        root = self._of_root()
        if root is not None:
            readers = 0o700 | (0o060 if root.st_mode & 0o040 else 0) | (0o006 if root.st_mode & 0o004 else 0)
            self._give(fd, root, mode & readers)

    def _give(self, fd: int, root: os.stat_result, mode: int) -> None:
        with suppress(OSError):
            st = os.fstat(fd)
            if st.st_gid != root.st_gid:
                with suppress(OSError):
                    os.fchown(fd, -1, root.st_gid)
            if stat.S_IMODE(st.st_mode) != mode:
                os.fchmod(fd, mode)
