"""Records in a cache that several workspaces share: `ac/ab/<key>/<variant>`, one file for each record.

A file holds one line of the record log's format, so a torn or damaged one is noticed, and is a miss.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from itertools import islice

from f0make.cache.blob_files import CacheUnusable
from f0make.cache.group_rights import Rights
from f0make.errors import NO_ROOM
from f0make.fast_dataclass import Protocol
from f0make.files import sealed_files
from f0make.files.atomic_write import write_atomic
from f0make.files.content_digest import FileError
from f0make.store import log_lines
from f0make.store.validate_record import own_trees, valid_record
from f0make.store.variant import variant_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


MOST_VARIANTS = 100
"""Records under one key that are read, the newest; a server keeps no more."""
_MOST_NAMES = 10_000
"""Names that are looked at in a directory of records."""
_MOST_BYTES = 64 << 20
"""Bytes of all records of one key that are read."""


class SharedRecords(Protocol):
    """Records that others made: in a directory (answers at once), or on a server (answers later)."""

    unrestricted: bool
    """Whether all who can ask for a blob get it; else the rights of its file decide."""

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

    unrestricted = False

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._root = os.path.join(directory, "ac")
        self._rights = Rights(directory)

    def find(self, key: str) -> list[dict[str, Any]]:
        """All records of ``key``, newest first; what cannot be read is left out."""
        place = self._place(key)
        try:
            with os.scandir(place) as listing:
                entries = list(islice(listing, _MOST_NAMES))
            found = [(st.st_mtime_ns, st.st_size, e.path) for e in entries if (st := _regular(e)) is not None]
        except OSError:
            return []
        records, room = [], _MOST_BYTES
        for _, size, path in sorted(found, reverse=True)[:MOST_VARIANTS]:
            room -= size
            record = read_record(path, key) if room >= 0 else None
            if record is not None:
                records.append(record)
        return records

    def put(self, key: str, record: dict[str, Any]) -> None:
        """Add ``record`` (which holds ``key``). Raises CacheUnusable, or OSError when there is no space."""
        name = variant_of(record)
        try:
            place = self._rights.directory(f"ac/{key[:2]}/{key}")
            try:
                write_atomic(name, log_lines.encode("record", record), 0o666, place)
                file = os.open(name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0), dir_fd=place)
                self._rights.file(file, 0o644)
                os.close(file)
            finally:
                os.close(place)
        except FileError as error:
            raise CacheUnusable(f"{self.directory!r}: {error}") from None
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

    def _place(self, key: str) -> str:
        return f"{self._root}/{key[:2]}/{key}"


def read_record(path: str, key: str | None = None) -> dict[str, Any] | None:
    """The record (of ``key``) in the file ``path``, None when it is gone or no such thing."""
    data = sealed_files.read(path, _MOST_BYTES)
    return foreign_record(data, key) if data else None


def foreign_record(data: bytes, key: str | None = None) -> dict[str, Any] | None:
    """The record (of ``key``) in the foreign line ``data``; None when it has not the form of one."""
    found = log_lines.decode(data)
    if found is None or found[0] != "record" or not valid_record(found[1]):
        return None
    record: dict[str, Any] = found[1]
    if key not in (None, record["key"]) or not own_trees(record.get("outputs", {}), record.get("trees", {})):
        return None
    return record


def _regular(entry: os.DirEntry[str]) -> os.stat_result | None:
    """The `lstat` of a file that may be a record."""
    try:
        st = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return st if stat.S_ISREG(st.st_mode) and not entry.name.endswith(".tmp") else None
