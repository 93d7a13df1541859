"""The files of a blob store: made in ``tmp/``, renamed into ``cas/``, with the rights that are theirs.

Safe for any number of processes: a file appears by rename, whole or not at all, and is never changed.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat

from f0make.cache.group_rights import Rights
from f0make.cache.in_use import InUse
from f0make.errors import NO_ROOM, F0makeError
from f0make.files.content_digest import FileError

STAYS = 0o444
"""Mode of blobs that stay."""
_AS_IT_IS = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class CacheUnusable(F0makeError):
    """The cache's directory cannot be used; the run can go on without it."""


class BlobFiles:
    """Make, place and remove the files of the store in ``directory``. Nothing is made before `prepare`."""

    def __init__(self, directory: str, readonly: bool, mode: int, flat: bool) -> None:
        """``mode`` is that of new blobs, before the umask; ``flat``: all lie in one directory."""
        self.directory = directory
        self.readonly = readonly
        self.mode = mode
        self._flat = flat
        self._tmp = os.path.join(directory, "tmp")
        self._count = itertools.count(1)
        self._name = f"{os.getpid()}-{os.urandom(6).hex()}"
        self._ready = False
        self.in_use = InUse(directory)
        self._rights = Rights(directory)

    def shelf(self, digest: str) -> str:
        """The directory of the blob, relative to the store's."""
        return "cas" if self._flat else f"cas/{digest[:2]}"

    def prepare(self) -> None:
        """Make the directories and mark the store as used. Raises CacheUnusable, and OSError when there is no space."""
        if self._ready:
            return
        if self.readonly:
            raise CacheUnusable(f"the cache {self.directory!r} was opened for reading")
        try:
            for name in ("cas", "tmp"):
                os.close(self._directory(name))
            if not os.access(self._tmp, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), self._tmp)
        except OSError as error:
            raise self._unusable(error) from None
        self.in_use.hold(create=True)
        self._ready = True

    def close(self) -> None:
        """Take the mark of use back, and let go of the directories."""
        self.in_use.release()
        self._rights.below.close()
        self._ready = False

    def create(self, rights: int = 0o444) -> tuple[str, int]:
        """Make a file in ``tmp/``, for others only as far as ``rights`` are: (its path, a descriptor to write it).

        Raises CacheUnusable or OSError (no space).
        """
        path = f"{self._tmp}/{self._name}-{next(self._count)}"
        mode = self.mode & (rights | 0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            return path, self._new(path, flags, mode)
        except FileNotFoundError:
            self._ready = False
            self.prepare()
        except OSError as error:
            raise self._unusable(error) from None
        try:
            return path, self._new(path, flags, mode)
        except OSError as error:
            raise self._unusable(error) from None

    def place(self, temporary: str, digest: str) -> None:
        """Rename ``temporary`` to the blob ``digest``. Raises CacheUnusable or OSError (no space)."""
        try:
            shelf = self._directory(self.shelf(digest))
            try:
                os.replace(temporary, digest, dst_dir_fd=shelf)
            finally:
                os.close(shelf)
        except OSError as error:
            raise self._unusable(error) from None

    def drop(self, digest: str) -> None:
        """Remove the blob if it is there and can be removed."""
        try:
            fd = self._rights.below.directory(self.shelf(digest))
        except (OSError, FileError):
            return
        try:
            os.unlink(digest, dir_fd=fd)
        except OSError:
            pass
        finally:
            os.close(fd)

    def widen(self, digest: str, rights: int) -> None:
        """Give a blob the rights that a new one gets from a file with ``rights``, where it is this user's."""
        try:
            shelf = self._rights.below.directory(self.shelf(digest))
            try:
                blob = os.open(digest, _AS_IT_IS, dir_fd=shelf)
            finally:
                os.close(shelf)
            try:
                temporary, fd = self.create(rights)
                try:
                    mine = os.fstat(blob).st_uid == os.geteuid()
                    if mine and stat.S_ISREG(os.fstat(blob).st_mode):
                        os.fchmod(blob, (os.fstat(blob).st_mode | os.fstat(fd).st_mode) & 0o777)
                finally:
                    os.close(fd)
                    unlink(temporary)
            finally:
                os.close(blob)
        except (OSError, FileError, CacheUnusable):
            pass

    def _directory(self, name: str) -> int:
        """A descriptor of the directory ``name`` of the cache, made where it is missing. Raises CacheUnusable, OSError."""
        try:
            return self._rights.directory(name)
        except FileError as error:
            place = os.path.join(self.directory, getattr(error, "path", name))
            raise CacheUnusable(f"{place!r} is a link, and in a cache f0make follows none") from None

    def _new(self, path: str, flags: int, mode: int) -> int:
        directory = self._directory("tmp")
        try:
            fd = os.open(os.path.basename(path), flags, mode, dir_fd=directory)
        finally:
            os.close(directory)
        if self.mode == STAYS:
            self._rights.file(fd, mode & STAYS)
        return fd

    def _unusable(self, error: OSError) -> OSError | CacheUnusable:
        if error.errno in NO_ROOM:
            return error
        return CacheUnusable(f"the cache {self.directory!r} cannot be used: {error.strerror or error}")


def unlink(path: str) -> None:
    """Remove the file ``path`` if that is possible."""
    try:
        os.unlink(path)
    except OSError:
        pass
