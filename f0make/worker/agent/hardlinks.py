"""Contents without a copy: for an input the store's own file stands in a private directory, one attempt at a time.

Making a file takes most of the time of a small one, copying it that of a large one. Only a content that has
arrived, verified, over this very connection is lent, and what comes back with another stamp or size has been
written to and is dropped. Part of what is sent.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from f0make.cache.blobs import Blobs
from f0make.worker.bundle import Bundle

LARGE = 1 << 20
"""Bytes from which an output is taken instead of copied."""
_SECOND = 1_000_000_000
_AGE = 60
"""Seconds that the stamp of a lent file lies back: whatever is written to it afterwards gets another one."""


class Loans:
    """What of ``store`` may be lent, and what is."""

    def __init__(self, store: Blobs) -> None:
        self._store = store
        self._stamps: dict[str, tuple[int, int]] = {}
        """Digest -> size and stamp (ns) that its file must have."""
        self._out: dict[str, str] = {}
        """Digest -> token of the attempt that has it."""

    def arrived(self, digests: Iterable[str]) -> None:
        """Contents have arrived and were verified."""
        for digest in digests:
            path = self._store.path(digest)
            try:
                st = os.stat(path)
                # Whole seconds, which every file system keeps as they are.
                stamp = (st.st_mtime_ns // _SECOND - _AGE) * _SECOND
                os.utime(path, ns=(stamp, stamp))
                self._stamps[digest] = st.st_size, stamp
            except OSError:
                continue

    def lend(self, bundle: Bundle, digests: Iterable[str]) -> None:
        """Note in ``bundle`` which of its inputs ``digests`` it gets as they are."""
        if self._stamps:
            bundle.lent = [d for d in digests if d in self._stamps and d not in self._out and self._whole(d)]
            self._out.update(dict.fromkeys(bundle.lent, bundle.token))

    def back(self, bundle: Bundle) -> list[str]:
        """The attempt is over: what it had is whole, or dropped (the digests of that)."""
        dropped = []
        for digest in bundle.lent:
            self._out.pop(digest, None)
            if not self._whole(digest):
                self._stamps.pop(digest, None)
                self._store.drop(digest)
                dropped.append(digest)
        return dropped

    def _whole(self, digest: str) -> bool:
        try:
            st = os.stat(self._store.path(digest))
        except OSError:
            return False
        return (st.st_size, st.st_mtime_ns) == self._stamps.get(digest)


class Taking(Blobs):
    """A store that takes large files instead of copying them: for outputs in a directory that is about to go."""

    def add(self, path: str, digest: str) -> None:
        """Store the file ``path``, which was just hashed; it is gone afterwards where it is large.

        Raises ContentChanged, CacheUnusable, or OSError.
        """
        st = os.stat(path)
        if st.st_size < LARGE or st.st_nlink > 1 or self.has(digest):
            super().add(path, digest)
            return
        self.prepare()
        os.chmod(path, 0o444)
        self.adopt(path, digest)
