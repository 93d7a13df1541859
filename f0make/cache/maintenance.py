"""Look after a cache directory: its size and hit rate, trimming it, checking every blob.

Each of these may run beside f0make runs that use the cache: a blob that goes away under a run is a miss
there, and its step runs again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from f0make.cache.blobs import TOUCH_AFTER
from f0make.cache.in_use import InUse
from f0make.cache.shared_records import read_record
from f0make.cache.usage_log import usage
from f0make.files.beneath import Below
from f0make.files.content_digest import EMPTY_DIR, FileError, blob_of, file_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


RECENT = 2 * TOUCH_AFTER
"""Seconds; what was used more recently stays while a run uses the cache (uses are noted to the hour)."""
_ABANDONED = 24 * 3600.0
"""Seconds after which an unfinished file is abandoned."""
Blob = tuple[float, int, str, str]
"""(last use as Unix time, bytes, path, digest)."""


def stats(directory: str) -> dict[str, Any]:
    """``blobs`` and ``records`` (how many), ``bytes``, ``hits``, ``misses``, ``hit_rate`` (0 to 1, None unknown)."""
    blobs = list(_blobs(directory))
    hits, misses = usage(directory)
    return {
        "directory": directory,
        "blobs": len(blobs),
        "bytes": sum(blob[1] for blob in blobs),
        "records": sum(1 for _ in _records(directory)),
        "hits": hits,
        "misses": misses,
        "hit_rate": hits / (hits + misses) if hits + misses else None,
    }


def gc(directory: str, size: int) -> dict[str, int]:
    """Remove blobs, oldest use first, until the rest takes at most ``size`` bytes.

    While a run uses the cache, what was used within the last two hours stays. Records of a shared cache
    whose blobs are gone go, too. Returns ``removed``, ``freed`` (bytes), ``kept``, ``bytes`` (left) and
    ``busy`` (1 when a run was using the cache). Raises OSError when a blob cannot be removed.
    """
    mark = InUse(directory)
    alone = mark.alone() if os.path.isdir(directory) else True
    try:
        blobs = sorted(_blobs(directory))
        left = sum(blob[1] for blob in blobs)
        limit = time.time() - RECENT
        removed = freed = 0
        for used, length, path, _ in blobs:
            if left <= size or (not alone and used > limit):
                break
            _remove(directory, path)
            removed, freed, left = removed + 1, freed + length, left - length
        _clean(directory, 0.0 if alone else _ABANDONED)
        if removed:
            _drop_orphans(directory)
    finally:
        mark.release()
    return {
        "removed": removed,
        "freed": freed,
        "kept": len(blobs) - removed,
        "bytes": left,
        "busy": int(not alone),
    }


def verify(directory: str) -> list[str]:
    """Hash every blob and read every record; the paths (relative to ``directory``) of damaged ones, now dropped."""
    damaged = []
    for _, length, path, digest in _blobs(directory):
        try:
            sound = file_digest(path, length) == digest
        except FileNotFoundError:
            continue
        except OSError:
            sound = False
        if not sound:
            damaged.append(path)
    damaged += [path for path in _records(directory) if os.path.exists(path) and read_record(path) is None]
    for path in damaged:
        _remove(directory, path)
    _clean(directory, _ABANDONED)
    return sorted(os.path.relpath(path, directory) for path in damaged)


def _blobs(directory: str) -> Iterator[Blob]:
    for _, entry in _two_levels(os.path.join(directory, "cas")):
        name = entry.name
        if len(name) == 64:
            try:
                st = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            yield st.st_mtime, st.st_size, entry.path, name


def _records(directory: str) -> Iterator[str]:
    for _, key in _two_levels(os.path.join(directory, "ac")):
        for entry in _list(key.path):
            if not entry.name.endswith(".tmp"):
                yield entry.path


def _two_levels(root: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    for shelf in _list(root):
        for entry in _list(shelf.path):
            yield shelf.name, entry


def _list(directory: str) -> list[os.DirEntry[str]]:
    try:
        if os.path.islink(directory):
            return []  # Nothing that f0make made: it may lead anywhere.
        with os.scandir(directory) as listing:
            return list(listing)
    except OSError:
        return []


def _drop_orphans(directory: str) -> None:
    """Remove records that name a blob which is gone."""
    cas = os.path.join(directory, "cas")
    for path in list(_records(directory)):
        record = read_record(path)
        if record is None or not all(os.path.exists(f"{cas}/{d[:2]}/{d}") for d in _needed(record)):
            _remove(directory, path)
            try:
                _remove(directory, os.path.dirname(path), os.rmdir)
            except OSError:
                pass


def _needed(record: dict[str, Any]) -> set[str]:
    """The digests of the blobs that the outputs of ``record`` are restored from."""
    trees = record.get("trees") or {}
    tokens = [token for path, token in (record.get("outputs") or {}).items() if path not in trees]
    tokens += [token for entries in trees.values() for token in entries.values()]
    return {blob_of(token) for token in tokens if token != EMPTY_DIR}


def _clean(directory: str, age: float) -> None:
    """Remove unfinished files older than ``age`` seconds."""
    limit = time.time() - age
    unfinished = _list(os.path.join(directory, "tmp"))
    for _, key in _two_levels(os.path.join(directory, "ac")):
        unfinished += [entry for entry in _list(key.path) if entry.name.endswith(".tmp")]
    for entry in unfinished:
        try:
            if entry.stat(follow_symlinks=False).st_mtime <= limit:
                _remove(directory, entry.path)
        except OSError:
            pass


def _remove(directory: str, path: str, how: Callable[..., None] = os.unlink) -> None:
    """Remove ``path`` in ``directory`` unless a link leads there by now: it was listed a while ago. Raises OSError."""
    with Below(directory) as below:
        try:
            above, name = below.parent(os.path.relpath(path, directory))
        except (FileNotFoundError, FileError):
            return
        try:
            how(name, dir_fd=above)
        except FileNotFoundError:
            pass
        finally:
            os.close(above)
