"""Contents that arrive: verified, written aside, renamed into the store. Part of what is sent."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from f0make.cache.blobs import Blobs
from f0make.worker.agent import send, wire_format

_ALONG = 2 * send.INLINE
"""Bytes that may come before the outcome that names them."""


class Intake:
    """Takes the PACK and PART messages of one stream into ``blobs``.

    With ``asked`` (digest -> its size in bytes, kept by the caller) only such contents are taken, and as many bytes.
    Small ones may come just before the outcome that names them: they wait in memory for `along`.
    """

    def __init__(self, blobs: Blobs, asked: dict[str, int] | None = None) -> None:
        self._blobs = blobs
        self._asked = asked
        self._along: dict[str, bytes] = {}
        self.waits = 0
        """Bytes of contents that wait for an outcome that names them: it must be the next message."""
        self._open: tuple[str, str, int, Any] | None = None
        """Of the content that arrives in pieces: digest, temporary file, its descriptor, the hash so far."""
        self._size = 0
        """Bytes of it that have arrived."""

    def pack(self, payload: memoryview) -> tuple[list[str], list[str]]:
        """(digests that are in the store now, digests whose bytes were wrong).

        Raises wire.Garbled, CacheUnusable and OSError (no space).
        """
        good, bad = [], []
        for digest, data in send.unpack(payload):
            right = hashlib.sha256(data).hexdigest() == digest
            if self._asked is not None and digest not in self._asked:
                if right:
                    self._keep(digest, bytes(data))
            elif right:
                self._blobs.add_hashed(data, digest)
                good.append(digest)
            else:
                bad.append(digest)
        return good, bad

    def along(self, named: dict[str, int]) -> None:
        """An outcome names these contents (digest -> size): keep those that came along with it.

        Raises wire.Garbled when others came, CacheUnusable and OSError.
        """
        came, self._along, self.waits = self._along, {}, 0
        for digest, data in came.items():
            if named.get(digest) != len(data):
                raise wire_format.Garbled("it sends contents that nobody asked for")
            self._blobs.add_hashed(data, digest)

    def part(self, payload: memoryview) -> tuple[list[str], list[str]]:
        """The same as `pack`; both lists are empty while more of the content is to come."""
        digest, data, flags = send.part(payload)
        if flags & send.VOID:
            if self._open is not None and self._open[0] == digest:
                self._drop()
            return [], []
        if self._open is None:
            if self._asked is not None and digest not in self._asked:
                raise wire_format.Garbled("it sends contents that nobody asked for")
            self._open, self._size = (digest, *self._blobs.begin(), hashlib.sha256()), 0
        opened, path, fd, found = self._open
        if opened != digest:
            raise wire_format.Garbled("it sends two contents at one time")
        self._size += len(data)
        if self._asked is not None and self._size > self._asked[digest]:
            self._drop()
            raise wire_format.Garbled("it sends more than it has announced")
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        except OSError:
            self._drop()
            raise
        found.update(data)
        if not flags & send.LAST:
            return [], []
        if found.hexdigest() != digest:
            self._drop()
            return [], [digest]
        self._open = None
        os.close(fd)
        self._blobs.adopt(path, digest)
        return [digest], []

    def close(self) -> None:
        """Drop what is incomplete."""
        self._drop()

    def _keep(self, digest: str, data: bytes) -> None:
        self.waits += len(data) + 1
        self._along[digest] = data
        if self.waits > _ALONG or len(self._along) > send.PACK_COUNT:
            raise wire_format.Garbled("it sends contents that nobody asked for")

    def _drop(self) -> None:
        if self._open is None:
            return
        _, path, fd, _ = self._open
        self._open = None
        os.close(fd)
        try:
            os.unlink(path)
        except OSError:
            pass
