"""A cache directory that is only read: what it has is brought into the workspace's own cache, and nothing is sent there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from f0make.cache.blob_files import CacheUnusable
from f0make.cache.blobs import BlobError, Blobs
from f0make.cache.shared_records import ActionCache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ReadOnlyCache:
    """The records and blobs in ``directory``, with ``own`` for what is brought here (``look_only``: nothing is)."""

    unrestricted = False

    def __init__(self, directory: str, own: Blobs, look_only: bool) -> None:
        self._records = ActionCache(directory)
        self._blobs = Blobs(directory, readonly=True)
        self._own = own
        self._look_only = look_only

    def find(self, key: str) -> Sequence[dict[str, Any]]:
        """All records of ``key``, newest first."""
        return self._records.find(key)

    def bring(self, key: str, digests: list[str]) -> bool:
        """Whether these blobs are here now (looking only: could be)."""
        one = self._blobs.has if self._look_only else self._bring
        return all(map(one, digests))

    def _bring(self, digest: str) -> bool:
        if self._own.has(digest):
            return True
        try:
            temporary, target = self._own.begin()
            try:
                self._blobs.copy_into(digest, target)
            finally:
                os.close(target)
            self._own.adopt(temporary, digest)
        except (BlobError, CacheUnusable, OSError):
            return False
        return True

    def wait(self, key: str) -> None:
        """Nothing is ever outstanding."""

    def put(self, key: str, record: dict[str, Any]) -> None:
        """Nothing is sent."""

    def listen(self, listener: Callable[[str], None]) -> None:
        """Every answer is given at once."""

    def notes(self) -> list[str]:
        """Nothing."""
        return []

    def close(self, stopped: Callable[[], bool]) -> None:
        """Nothing is under way."""

    def fields(self) -> dict[str, Any]:
        """Nothing."""
        return {}


def writable(directory: str) -> bool:
    """Whether a run could store anything in the cache ``directory``, which may not be there yet."""
    place = next((p for p in (os.path.join(directory, "tmp"), directory) if os.path.isdir(p)), None)
    if place is None:
        above = os.path.abspath(directory)
        while not os.path.isdir(above) and above != "/":
            above = os.path.dirname(above)
        place = above
    return os.access(place, os.W_OK | os.X_OK)
