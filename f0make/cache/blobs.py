"""The blob store: contents under their SHA-256, verified whenever they come in or go out.

Safe for any number of processes: a blob appears by rename, whole or not at all, and is never changed.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
import time
from collections.abc import Iterable
from io import FileIO

from f0make.cache import reflink
from f0make.cache.blob_files import STAYS, BlobFiles, unlink
from f0make.files.open_regular import open_regular
from f0make.files.sha import sha256

TOUCH_AFTER = 3600.0
"""Seconds; a use is noted at most this often (noting each would write an inode for every restored file)."""
_STREAM = 1 << 20
"""Bytes that are expected of a stream of unknown length."""
MOST_ROOM = 1 << 62
_WORTH_A_LOOK = 64 << 20
"""Bytes, from which it is asked whether the disk has room for them before they are copied."""
MOST_READ = 1 << 30
"""Bytes of a blob that is read into memory."""
MOST_TARGET = 4096
"""Bytes of a symlink's target, with the zero at its end (PATH_MAX)."""
_EMPTY = sha256(b"").hexdigest()


class BlobError(Exception):
    """A blob that cannot be had; ``digest`` names it."""

    def __init__(self, digest: str, message: str) -> None:
        super().__init__(message)
        self.digest = digest


class BlobMissing(BlobError):
    """The store does not hold the blob."""


class BlobCorrupt(BlobError):
    """The blob was damaged; it has been dropped."""


class ContentChanged(BlobError):
    """A file no longer has the content under which it was to be stored."""


class Blobs:
    """Blobs in ``directory``/cas. Nothing is made before the first `add`; ``readonly`` notes no uses either."""

    def __init__(self, directory: str, readonly: bool = False, mode: int = STAYS, flat: bool = False) -> None:
        """``mode`` is that of new blobs, before the umask; ``flat``: all lie in one directory."""
        self.directory = directory
        self.readonly = readonly
        self.mode = mode
        self._files = BlobFiles(directory, readonly, mode, flat)
        self._count = itertools.count(1)
        self.verified: set[str] = set()
        """Blobs whose bytes this process has written and hashed a moment ago: `fetch` does not read them for that."""

    def path(self, digest: str) -> str:
        """Where the blob lies, there or not."""
        return f"{self.directory}/{self._files.shelf(digest)}/{digest}"

    def prepare(self) -> None:
        """Make the directories. Raises CacheUnusable, and OSError when there is no space."""
        self._files.prepare()

    def close(self) -> None:
        """Tell `maintenance.gc` that this process needs nothing more (the end of the process tells it, too)."""
        self._files.close()

    def has(self, digest: str) -> bool:
        """Whether the blob is there (its content is checked when it is fetched); counts as a use."""
        path = self.path(digest)
        try:
            st = os.lstat(path)
        except OSError:
            return False
        if not stat.S_ISREG(st.st_mode) or (st.st_size == 0 and digest != _EMPTY) or not _readable(path, st):
            return False
        self._touch(path, st)
        return True

    def size(self, digest: str) -> int | None:
        """The blob's size in bytes, None when it is not there; this is no use of it."""
        try:
            return os.stat(self.path(digest)).st_size
        except OSError:
            return None

    def add(self, path: str, digest: str) -> None:
        """Store the regular file ``path``, whose content is expected to have ``digest``.

        Raises ContentChanged when it has not, CacheUnusable, or OSError (no space, ``path`` not readable).
        """
        source = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            st = os.fstat(source)
            size = st.st_size
            if self._holds(digest, size, st.st_mode):
                return
            self.prepare()
            temporary, target = self._files.create(st.st_mode)
            try:
                try:
                    found = reflink.copy(source, target, size)
                finally:
                    os.close(target)
                if found != digest:
                    raise ContentChanged(digest, f"{path!r} changed while it was stored")
                self._files.place(temporary, digest)
            except BaseException:
                unlink(temporary)
                raise
        finally:
            os.close(source)

    def add_bytes(self, data: bytes) -> str:
        """Store ``data``; its digest. Raises CacheUnusable or OSError (no space)."""
        digest = sha256(data).hexdigest()
        self.add_hashed(data, digest)
        return digest

    def add_hashed(self, data: bytes | memoryview, digest: str, mode: int = 0o444) -> None:
        """Store ``data``, whose SHA-256 is ``digest``, from a file with ``mode``: what is not for others is not here.

        Raises CacheUnusable or OSError (no space).
        """
        if self._holds(digest, len(data), mode):
            return
        self.prepare()
        temporary, target = self._files.create(mode)
        try:
            try:
                reflink.write_all(target, data)
            finally:
                os.close(target)
            self._files.place(temporary, digest)
        except BaseException:
            unlink(temporary)
            raise

    def room(self) -> int:
        """Bytes that the disk of the store has left for this user."""
        try:
            st = os.statvfs(self.directory)
        except (OSError, AttributeError):
            return MOST_ROOM
        return st.f_bavail * st.f_frsize

    def receive(self, digest: str, chunks: Iterable[bytes], most: int | None = None) -> int:
        """Store what comes in ``chunks``, which is expected to have ``digest``: its size in bytes.

        Raises BlobCorrupt when it has not, or has more than ``most`` bytes (nothing is kept), CacheUnusable,
        OSError (no space), and what ``chunks`` raise.
        """
        self.prepare()
        temporary, target = self._files.create()
        found, size = sha256(more=_STREAM), 0
        try:
            try:
                for data in chunks:
                    size += len(data)
                    if most is not None and size > most:
                        raise BlobCorrupt(digest, f"what came as blob {digest} is longer than was announced")
                    found.update(data)
                    reflink.write_all(target, data)
            finally:
                os.close(target)
            if found.hexdigest() != digest:
                raise BlobCorrupt(digest, f"what came as blob {digest} is something else")
            self._files.place(temporary, digest)
        except BaseException:
            unlink(temporary)
            raise
        return size

    def read(self, digest: str) -> bytes:
        """The blob's bytes, verified. Raises BlobMissing or BlobCorrupt."""
        source, size = self._open(digest)
        data = b""
        with FileIO(source, "rb") as file:
            if size <= MOST_READ:
                data = file.read(size + 1)
                while len(data) <= size and (more := file.read(size + 1 - len(data))):
                    data += more
        if len(data) != size or sha256(data).hexdigest() != digest:
            raise self._corrupt(digest)
        return data

    def link_text(self, digest: str) -> str:
        """The target of the symlink that the blob stands for. Raises BlobMissing or BlobCorrupt."""
        data = self.read(digest)
        if not 0 < len(data) < MOST_TARGET or b"\0" in data:
            raise self._corrupt(digest)
        return os.fsdecode(data)

    def fetch(self, digest: str, target: str, executable: bool, temporary: str | None = None) -> int:
        """Write the blob to ``target`` (replaced if there), verified before it appears under that name.

        Returns the mtime in ns that the file had when the last byte was written.

        ``temporary`` is a directory for the unfinished file (default: beside ``target``). Raises
        BlobMissing, BlobCorrupt, or OSError (no space, no permission).
        """
        source, size = self._open(digest)
        try:
            unfinished, written = self._copy_out(
                source, size, digest, temporary or os.path.dirname(target), executable
            )
            try:
                os.replace(unfinished, target)
                return written
            except OSError as error:
                unlink(unfinished)
                if error.errno != errno.EXDEV:
                    raise
            os.lseek(source, 0, os.SEEK_SET)
            unfinished, written = self._copy_out(source, size, digest, os.path.dirname(target), executable)
            try:
                os.replace(unfinished, target)
            except OSError:
                unlink(unfinished)
                raise
            return written
        finally:
            os.close(source)

    def copy_into(self, digest: str, target: int) -> None:
        """Copy the blob into the empty file ``target`` (a descriptor), verified when this returns.

        Raises BlobMissing, BlobCorrupt (the blob stays; `fill` drops it), or OSError.
        """
        source, size = self._open(digest)
        try:
            known = digest in self.verified
            _check_room(source, target, size, digest)
            found = reflink.share(source, target, size) if known else reflink.copy(source, target, size)
        finally:
            os.close(source)
        if found != (size if known else digest):
            raise BlobCorrupt(digest, f"blob {digest} is damaged")

    def fill(self, digest: str, target: int) -> None:
        """The same, but a damaged blob is dropped."""
        try:
            self.copy_into(digest, target)
        except BlobCorrupt:
            raise self._corrupt(digest) from None

    def given(self, digest: str) -> tuple[str, int] | None:
        """(A file with the blob that may be moved away, the umask it was made with), where there is one to give."""
        return None

    def drop(self, digest: str) -> None:
        """Remove the blob if it is there and can be removed."""
        self._files.drop(digest)

    def begin(self) -> tuple[str, int]:
        """A new file to write a blob to: (its path, a descriptor). Raises CacheUnusable or OSError (no space)."""
        self.prepare()
        return self._files.create()

    def adopt(self, temporary: str, digest: str) -> None:
        """Take the file ``temporary`` of `begin`, closed and found to have ``digest``, for the blob.

        Raises CacheUnusable or OSError (no space).
        """
        self._files.place(temporary, digest)

    # Helpers.

    def _copy_out(
        self, source: int, size: int, digest: str, directory: str, executable: bool
    ) -> tuple[str, int]:
        """Copy the blob to a new file in ``directory``, verified: (its path, its mtime in ns)."""
        name = f"{directory or '.'}/.f0make-{os.getpid()}-{next(self._count)}.tmp"
        fd = os.open(
            name,
            os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0),
            0o777 if executable else 0o666,
        )
        try:
            try:
                _check_room(source, fd, size, digest)
                known = digest in self.verified
                found = reflink.share(source, fd, size) if known else reflink.copy(source, fd, size)
                written = os.fstat(fd).st_mtime_ns
            finally:
                os.close(fd)
            if found != (size if known else digest):
                raise self._corrupt(digest)
        except BaseException:
            unlink(name)
            raise
        return name, written

    def _open(self, digest: str) -> tuple[int, int]:
        path = self.path(digest)
        try:
            fd = open_regular(path)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise
            raise BlobMissing(digest, f"the cache has no blob {digest} ({error.strerror})") from None
        st = os.fstat(fd)
        self._touch(path, st)
        return fd, st.st_size

    def _holds(self, digest: str, size: int, mode: int) -> bool:
        """Whether a blob of the right size is there; one of another size (a power cut) is dropped.

        One that was not for others is, from now on, when the same content comes from a file with ``mode`` that is.
        """
        path = self.path(digest)
        try:
            st = os.lstat(path)
        except OSError:
            return False
        if not stat.S_ISREG(st.st_mode) or not _readable(path, st):
            return False
        if mode & self.mode & ~st.st_mode & 0o044:
            self._files.widen(digest, mode)
        if st.st_size != size:
            self.drop(digest)
            return False
        self._touch(path, st)
        return True

    def _touch(self, path: str, st: os.stat_result) -> None:
        """Note a use, for `maintenance.gc`."""
        if self.readonly:
            return
        self._files.in_use.hold(create=False)
        now = time.time()
        if now - st.st_mtime > TOUCH_AFTER:
            try:
                os.utime(path, (now, now), follow_symlinks=False)
            except OSError:
                pass

    def _corrupt(self, digest: str) -> BlobCorrupt:
        self.drop(digest)
        return BlobCorrupt(digest, f"blob {digest} was damaged and has been dropped")


def _check_room(source: int, target: int, size: int, digest: str) -> None:
    """Raise BlobMissing when ``size`` bytes have no room on the disk of ``target``: none is filled for nothing."""
    if size <= _WORTH_A_LOOK or not hasattr(os, "fstatvfs"):
        return
    st = os.fstatvfs(target)
    if size > st.f_bavail * st.f_frsize and not reflink.clone(source, target):
        raise BlobMissing(digest, f"blob {digest} has {size} bytes, for which the disk has no room")


def _readable(path: str, st: os.stat_result) -> bool:
    """Whether this user may read the blob: another's may be private."""
    return bool(st.st_mode & 0o004) or st.st_uid == os.geteuid() or os.access(path, os.R_OK)
