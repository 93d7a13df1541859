"""Bringing back what a record says lay at a path, from blobs: whole or not at all, and over nothing that lies there."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from f0make.cache.blobs import Blobs
from f0make.files import signature
from f0make.files.beneath import LIST, Below, change_mode, open_listing
from f0make.files.content_digest import EMPTY_DIR, FileError, blob_of
from f0make.files.signature import Signature
from f0make.files.times_and_modes import Marks
from f0make.workspace.remove import remove_entry
from f0make.workspace.tree_names import check

SCRATCH = "run"
"""Directory of the state in which unfinished files and directories lie."""
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_NAMELESS = os.O_RDWR | getattr(os, "O_TMPFILE", 0) | _CLOEXEC
_NAMED = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | _CLOEXEC
_MOVED = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | _CLOEXEC
_NO_LINKS = frozenset({errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS})
_count = itertools.count(1)

Written = dict[str, "tuple[Signature, bool]"]
"""Path of each regular file that was written -> its signature, and whether it cannot have changed since the last byte,
nor can without changing that."""


class Restorer:
    """Restores below ``target`` from ``blobs``; what is not finished lies below ``state``, the state directory."""

    nameless = hasattr(os, "O_TMPFILE")
    """Whether files can be made that have no name until they are whole: who is killed leaves nothing."""

    def __init__(
        self, target: Below, state: Below, blobs: Blobs, fill: Callable[[str, int], None] | None = None
    ) -> None:
        """``fill`` writes a blob into a descriptor (default: that of ``blobs``)."""
        self._fill = fill or blobs.fill
        self._target = target
        self._state = state
        self.blobs = blobs
        self._scratch = -1

    def close(self) -> None:
        """Let go of the directories."""
        fd, self._scratch = self._scratch, -1
        if fd >= 0:
            os.close(fd)

    def file(
        self, fd: int, name: str, token: str, time: int | None = None, mode: int | None = None
    ) -> tuple[Signature, bool] | None:
        """Write the file or link with ``token`` as ``name`` into the directory ``fd``, where nothing may lie.

        ``time`` is its mtime in ns (None: now), ``mode`` its permission bits (None: what the umask gives). None for
        a link. Raises FileExistsError, BlobMissing, BlobCorrupt, OSError.
        """
        digest = blob_of(token)
        if token[:1] == "@":
            os.symlink(self.blobs.link_text(digest), name, dir_fd=fd)
            return None
        first = (0o777 if token[-1:] == "x" else 0o666) if mode is None else mode
        given = self.blobs.given(digest)
        if given is not None:
            with suppress(_OtherPlace):
                return self._moved(*given, fd, name, first, time, mode)
        if self.nameless:
            try:
                file = os.open(".", _NAMELESS, first, dir_fd=fd)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL):
                    raise
                self.nameless = False
            else:
                try:
                    written = self._filled(file, digest, time, mode)
                    try:
                        os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=fd)
                    except FileNotFoundError:
                        self.nameless = False
                    else:
                        return _seen(os.fstat(file), written)
                finally:
                    os.close(file)
        return self._by_name(fd, name, digest, first, time, mode)

    def output(
        self,
        path: str,
        token: str,
        tree: Mapping[str, str] | None,
        marks: Marks,
        have: Mapping[str, str] | None,
    ) -> Written:
        """Bring the output ``path`` back: what was written.

        ``tree`` holds the entries when ``token`` is a directory's; with ``have`` (relative path -> token of what lies
        there now) only entries that differ are written. What is not as wanted must have been moved away before.
        Raises WrongTree before anything is written, BlobMissing, BlobCorrupt (a file appears whole or not at all; a
        directory that is not there yet, too), FileError, OSError (no space).
        """
        if tree is not None:
            check(tree)
        fd, name = self._target.parent(path, make=True)
        try:
            if tree is None:
                seen = self.file(fd, name, token, marks.time(), marks.mode())
                return {} if seen is None else {path: seen}
            wanted = {rel: t for rel, t in tree.items() if have is None or have.get(rel) != t}
            found = self._directory(fd, name, wanted, marks)
            return {f"{path}/{rel}": seen for rel, seen in found.items()}
        except FileExistsError:
            raise _in_the_way(path) from None
        except OSError as error:
            if not isinstance(error, FileError):
                error.filename = path
            raise
        finally:
            os.close(fd)

    # Directories.

    def _directory(self, fd: int, name: str, tree: Mapping[str, str], marks: Marks) -> Written:
        try:
            inside = open_listing(fd, name)
        except FileNotFoundError:
            return self._build_aside(fd, name, tree, marks)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
            raise
        try:
            found = self._entries(inside, tree, marks)
            self._rights(inside, marks)
            return found
        finally:
            os.close(inside)

    def _build_aside(self, fd: int, name: str, tree: Mapping[str, str], marks: Marks) -> Written:
        """Make a whole directory in the scratch directory and move it to its place at once."""
        scratch = self._scratch_fd()
        building = f"restore-{os.getpid()}-{threading.get_ident()}"
        remove_entry(scratch, building)
        inside = -1
        try:
            os.mkdir(building, dir_fd=scratch)
            inside = os.open(building, LIST, dir_fd=scratch)
            found = self._entries(inside, tree, marks)
            try:
                os.rename(building, name, src_dir_fd=scratch, dst_dir_fd=fd)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                # Another file system: piece by piece, each file still whole or not there.
                os.mkdir(name, dir_fd=fd)
                os.close(inside)
                inside = os.open(name, LIST, dir_fd=fd)
                found = self._entries(inside, tree, marks)
            self._rights(inside, marks)
            return found
        except OSError as error:
            if error.errno == errno.ENOTEMPTY:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
            raise
        finally:
            if inside >= 0:
                os.close(inside)
            remove_entry(scratch, building)

    def _entries(self, fd: int, tree: Mapping[str, str], marks: Marks) -> Written:
        """Write ``tree`` into the directory ``fd``."""
        found: Written = {}
        at, inside = "", os.dup(fd)
        base = _Opened(fd)
        try:
            for rel, token in tree.items():
                above, _, name = rel.rpartition("/")
                if token == EMPTY_DIR:
                    os.close(base.directory(rel, make=True))
                    continue
                if above != at:
                    os.close(inside)
                    inside = -1
                    at, inside = above, base.directory(above, make=True)
                seen = self.file(inside, name, token, marks.time(rel), marks.mode(rel))
                if seen is not None:
                    found[rel] = seen
        finally:
            if inside >= 0:
                os.close(inside)
        return found

    def _rights(self, fd: int, marks: Marks) -> None:
        """Give the directories in ``fd`` the rights and times that they had, the innermost first."""
        base = _Opened(fd)
        for rel in marks.directories():
            mode = marks.mode(rel, directory=True)
            with suppress(FileNotFoundError, NotADirectoryError, FileError, ValueError):
                inside = base.directory(rel)
                try:
                    if mode is not None:
                        change_mode(inside, mode)
                finally:
                    os.close(inside)

    # One file.

    def _filled(self, file: int, digest: str, time: int | None, mode: int | None) -> int:
        """Write the blob into ``file``, with its rights and time; the mtime in ns that it has then."""
        self._fill(digest, file)
        if mode is not None:
            os.fchmod(file, mode)
        if time is None:
            return os.fstat(file).st_mtime_ns
        _set_time(file, time)
        return time

    def _moved(
        self, given: str, umask: int, fd: int, name: str, first: int, time: int | None, mode: int | None
    ) -> tuple[Signature, bool]:
        """Move the file ``given``, which was verified when it came. Raises _OtherPlace where that cannot be."""
        try:
            file = os.open(given, _MOVED)
        except FileNotFoundError:
            raise _OtherPlace from None
        try:
            os.fchmod(file, first & ~umask if mode is None else mode)
            written = os.fstat(file).st_mtime_ns
            if time is not None:
                _set_time(file, time)
                written = time
            try:
                os.link(given, name, dst_dir_fd=fd, follow_symlinks=False)
            except OSError as error:
                if error.errno == errno.EXDEV or error.errno in _NO_LINKS:
                    raise _OtherPlace from None
                raise
            os.unlink(given)
            return _seen(os.fstat(file), written)
        finally:
            os.close(file)

    def _by_name(
        self, fd: int, name: str, digest: str, first: int, time: int | None, mode: int | None
    ) -> tuple[Signature, bool]:
        """The same where files without a name are not known: through one with a name of our own."""
        unfinished = f".f0make-{os.getpid()}-{next(_count)}.tmp"
        for directory in (self._scratch_fd(), fd):
            file = os.open(unfinished, _NAMED, first | 0o600, dir_fd=directory)
            try:
                try:
                    written = self._filled(file, digest, time, mode)
                    _give_name(directory, unfinished, fd, name)
                except OSError as error:
                    if error.errno != errno.EXDEV or directory == fd:
                        raise
                    continue
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(unfinished, dir_fd=directory)
                return _seen(os.fstat(file), written)
            finally:
                os.close(file)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)

    def _scratch_fd(self) -> int:
        if self._scratch < 0:
            self._state.exist()
            self._scratch = self._state.directory(SCRATCH, make=True)
        return self._scratch


class _OtherPlace(Exception):
    """A file cannot be moved there."""


class _Opened(Below):
    """What lies below a directory that is open already, and stays so."""

    def __init__(self, fd: int) -> None:
        super().__init__("")
        self._fd = fd

    def close(self) -> None:
        """Nothing: it is another's."""


def _give_name(source: int, unfinished: str, fd: int, name: str) -> None:
    """Call a finished file by its name, where nothing may lie. Raises FileExistsError, OSError."""
    try:
        os.link(unfinished, name, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(unfinished, name, src_dir_fd=source, dst_dir_fd=fd)
        else:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None


def _set_time(file: int, time: int) -> None:
    """Set the mtime; one that the file system cannot hold is left."""
    with suppress(OverflowError, PermissionError):
        os.utime(file, ns=(time, time))


def _seen(st: os.stat_result, written: int) -> tuple[Signature, bool]:
    """The signature of a file that had the mtime ``written`` (ns) after its last byte, and whether it is sure."""
    return signature.of(st), st.st_mtime_ns == written and signature.exact(st.st_dev)


def _in_the_way(path: str) -> FileError:
    return FileError(f"{path!r} is in the way of an output that is to be restored (move it away)")
