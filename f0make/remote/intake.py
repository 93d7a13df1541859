"""Contents that arrive: verified, written aside, renamed into the store. Part of what is sent."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from f0make.cache.blobs import Blobs
from f0make.remote import outbox


class Intake:
    """Takes the PACK and PART messages of one stream into ``blobs``."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._open: dict[str, tuple[str, int, Any]] = {}
        """Digest -> temporary file, its descriptor, the hash so far."""

    def pack(self, payload: memoryview) -> tuple[list[str], list[str]]:
        """(digests that are in the store now, digests whose bytes were wrong).

        Raises wire.Garbled, CacheUnusable and OSError (no space).
        """
        good, bad = [], []
        for digest, data in outbox.unpack(payload):
            if hashlib.sha256(data).hexdigest() == digest:
                self._blobs.add_hashed(data, digest)
                good.append(digest)
            else:
                bad.append(digest)
        return good, bad

    def part(self, payload: memoryview) -> tuple[list[str], list[str]]:
        """The same; both are empty while more of the content is to come."""
        digest, data, flags = outbox.part(payload)
        if flags & outbox.VOID:
            self._drop(digest)
            return [], []
        if digest not in self._open:
            self._open[digest] = (*self._blobs.begin(), hashlib.sha256())
        path, fd, found = self._open[digest]
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        except OSError:
            self._drop(digest)
            raise
        found.update(data)
        if not flags & outbox.LAST:
            return [], []
        if found.hexdigest() != digest:
            self._drop(digest)
            return [], [digest]
        del self._open[digest]
        os.close(fd)
        self._blobs.adopt(path, digest)
        return [digest], []

    def close(self) -> None:
        """Drop what is incomplete."""
        for digest in list(self._open):
            self._drop(digest)

    def _drop(self, digest: str) -> None:
        path, fd, _ = self._open.pop(digest, ("", -1, None))
        if fd >= 0:
            os.close(fd)
            try:
                os.unlink(path)
            except OSError:
                pass
