"""What hosts have sent, verified while it was written, on its way to where it belongs: moved there where it can be."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from f0make.cache.blobs import BlobMissing, Blobs
from f0make.cache.reflink import write_all


class Transit(Blobs):
    """A store of one run, which no other process uses and of which the next run keeps nothing.

    Its files have the mode that they get in a workspace. `giving`, `fetch` and all that stores are for the one thread
    that listens to hosts and brings their results home.
    """

    def __init__(self, directory: str) -> None:
        """To be made while the process has one thread."""
        super().__init__(directory, mode=0o666, flat=True)  # hundreds of directories fewer
        self.mask = os.umask(0)
        os.umask(self.mask)
        self._awaited: Counter[str] = Counter()
        """Digest -> how many results have it that are not home yet."""
        self._lock = threading.Lock()
        self._given: set[str] = set()

    def expect(self, digests: Iterable[str]) -> None:
        """A result has come that has all ``digests``."""
        with self._lock:
            self._awaited.update(iter(digests))

    def expect_no_more(self, digests: Iterable[str]) -> None:
        """It is home, or never will be."""
        with self._lock:
            self._awaited.subtract(iter(digests))
            self._awaited = +self._awaited

    def room(self) -> int:
        """Bytes that may still come without filling the disk."""
        self.prepare()
        about = os.statvfs(self.directory)
        return about.f_bavail * about.f_frsize

    def add_hashed(self, data: bytes | memoryview, digest: str, mode: int = 0o444) -> None:
        """As `Blobs.add_hashed`, but written where it stays: no other process reads meanwhile."""
        self.prepare()
        path = self.path(digest)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self.mode)
        except FileExistsError:
            return
        try:
            try:
                write_all(fd, data)
            finally:
                os.close(fd)
        except BaseException:
            self.drop(digest)
            raise

    @contextmanager
    def giving(self, digests: Iterable[str]) -> Iterator[None]:
        """Meanwhile `given` and `fetch` give ``digests`` away; not those for which another result waits."""
        with self._lock:
            self._given = {digest for digest in digests if self._awaited[digest] <= 1}
        try:
            yield
        finally:
            self._given = set()

    def given(self, digest: str) -> tuple[str, int] | None:
        """What is given away is moved: it was verified when it arrived."""
        return (self.path(digest), self.mask) if digest in self._given else None

    def fetch(self, digest: str, target: str, executable: bool, temporary: str | None = None) -> int:
        """As `Blobs.fetch`, but what is given away is moved."""
        if digest not in self._given:
            return super().fetch(digest, target, executable, temporary)
        path = self.path(digest)
        try:
            written = os.stat(path).st_mtime_ns
        except FileNotFoundError:
            raise BlobMissing(digest, f"blob {digest} has not arrived") from None
        if executable:
            os.chmod(path, 0o777 & ~self.mask)
        try:
            os.replace(path, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return super().fetch(digest, target, executable, temporary)
        return written
