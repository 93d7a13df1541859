"""What hosts have sent, verified while it was written, on its way to where it belongs: moved there where it can be."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from f0make.cache.blobs import BlobMissing, Blobs


class Transit(Blobs):
    """A store of one run, where nobody else has any business.

    `giving` and `fetch` are for the one thread that brings results home.
    """

    def __init__(self, directory: str) -> None:
        """To be made while the process has one thread."""
        super().__init__(directory)
        self._mask = os.umask(0)
        os.umask(self._mask)
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

    @contextmanager
    def giving(self, digests: Iterable[str]) -> Iterator[None]:
        """Meanwhile `fetch` gives ``digests`` away; not those for which another result waits."""
        with self._lock:
            self._given = {digest for digest in digests if self._awaited[digest] <= 1}
        try:
            yield
        finally:
            self._given = set()

    def fetch(self, digest: str, target: str, executable: bool, temporary: str | None = None) -> int:
        """As `Blobs.fetch`, but what is given away is moved: it was verified when it arrived."""
        if digest not in self._given:
            return super().fetch(digest, target, executable, temporary)
        path = self.path(digest)
        try:
            written = os.stat(path).st_mtime_ns
        except FileNotFoundError:
            raise BlobMissing(digest, f"blob {digest} has not arrived") from None
        os.chmod(path, (0o777 if executable else 0o666) & ~self._mask)
        try:
            os.replace(path, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return super().fetch(digest, target, executable, temporary)
        return written
