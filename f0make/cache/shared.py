"""Records in a cache that several workspaces share: `ac/ab/<key>/<variant>`, one file for each record.

A file holds one line of the record log's format, so a torn or damaged one is noticed, and is a miss.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from f0make.cache.blobs import CacheUnusable
from f0make.cache.variant import variant_of
from f0make.errors import NO_ROOM
from f0make.files.atomic import write_atomic
from f0make.lean import Protocol
from f0make.state import log, sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SharedRecords(Protocol):
    """Records that others made: in a directory (answers at once), or on a server (answers later)."""

    def find(self, key: str) -> Sequence[dict[str, Any]] | None:
        """All records of ``key``, newest first; None while the answer is on its way."""
        ...

    def bring(self, key: str, digests: list[str]) -> bool | None:
        """Whether these blobs, of a record of ``key``, could be brought here; None while that goes on."""
        ...

    def wait(self, key: str) -> None:
        """Wait for the answers about ``key``."""
        ...

    def put(self, key: str, record: dict[str, Any]) -> None:
        """Add ``record`` (which holds ``key``)."""
        ...

    def listen(self, listener: Callable[[str], None]) -> None:
        """Have ``listener`` called, from any thread, with the key that an answer is about."""
        ...

    def notes(self) -> list[str]:
        """What a person should know and was not told yet."""
        ...

    def close(self, stopped: Callable[[], bool]) -> None:
        """The run is over: wait, within a bound or until ``stopped``, for what is still under way."""
        ...

    def fields(self) -> dict[str, Any]:
        """What a run's summary says of it."""
        ...


class ActionCache:
    """The records in ``directory``/ac. Safe for any number of processes."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._root = os.path.join(directory, "ac")

    def find(self, key: str) -> list[dict[str, Any]]:
        """All records of ``key``, newest first; what cannot be read is left out."""
        place = self._place(key)
        try:
            with os.scandir(place) as listing:
                found = [(e.stat().st_mtime_ns, e.path) for e in listing if not e.name.endswith(".tmp")]
        except OSError:
            return []
        records = (read_record(path) for _, path in sorted(found, reverse=True))
        return [r for r in records if r is not None and r.get("key") == key]

    def put(self, key: str, record: dict[str, Any]) -> None:
        """Add ``record`` (which holds ``key``). Raises CacheUnusable, or OSError when there is no space."""
        place = self._place(key)
        try:
            os.makedirs(place, exist_ok=True)
            write_atomic(os.path.join(place, variant_of(record)), log.encode("record", record))
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            message = f"the cache {self.directory!r} cannot be used: {error.strerror or error}"
            raise CacheUnusable(message) from None

    def bring(self, key: str, digests: list[str]) -> bool:
        """Whether blobs that are not in this directory could be had elsewhere: there is no elsewhere."""
        return False

    def wait(self, key: str) -> None:
        """Nothing is ever outstanding."""

    def listen(self, listener: Callable[[str], None]) -> None:
        """Every answer is given at once."""

    def notes(self) -> list[str]:
        """Nothing: what goes wrong is raised."""
        return []

    def close(self, stopped: Callable[[], bool]) -> None:
        """Nothing is under way."""

    def fields(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def forget(self, key: str) -> None:
        """Remove all records of ``key`` that can be removed."""
        place = self._place(key)
        try:
            for name in os.listdir(place):
                os.unlink(os.path.join(place, name))
            os.rmdir(place)
        except OSError:
            pass

    def _place(self, key: str) -> str:
        return f"{self._root}/{key[:2]}/{key}"


def read_record(path: str) -> dict[str, Any] | None:
    """The record in the file ``path``, None when it is damaged or gone."""
    data = sealed.read(path)
    found = log.decode(data) if data else None
    return found[1] if found is not None and found[0] == "record" and isinstance(found[1], dict) else None
