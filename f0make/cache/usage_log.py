"""How many instances the runs with a cache directory restored and ran: one line for each run, added up when they are many."""

from __future__ import annotations

import os

from f0make.cache.group_rights import Rights
from f0make.files import sealed_files
from f0make.files.atomic_write import write_atomic
from f0make.store import log_lines

_USAGE = "usage.log"
_USAGE_LIMIT = 64 << 10
"""Bytes after which the usage lines are added up into one."""


def note_use(directory: str, hits: int, misses: int) -> None:
    """Count ``hits`` (instances restored or taken over) and ``misses`` (instances run) of one run.

    Only a statistic: where it cannot be written it is not kept.
    """
    path = os.path.join(directory, _USAGE)
    if not (hits or misses) or not os.path.isdir(directory):
        return
    try:
        fd = sealed_files.open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            Rights(directory).file(fd, 0o664)
            os.write(fd, log_lines.encode("use", {"hits": hits, "misses": misses}))
            long = os.fstat(fd).st_size > _USAGE_LIMIT
        finally:
            os.close(fd)
        if long:
            total = usage(directory)
            write_atomic(path, log_lines.encode("use", {"hits": total[0], "misses": total[1]}), 0o666)
            fd = sealed_files.open_regular(path)
            try:
                Rights(directory).file(fd, 0o664)
            finally:
                os.close(fd)
    except OSError:
        pass


def usage(directory: str) -> tuple[int, int]:
    """(hits, misses) of all runs."""
    data = sealed_files.read(os.path.join(directory, _USAGE), 16 * _USAGE_LIMIT) or b""
    lines = [p for _, kind, p in log_lines.scan(data) if kind == "use" and isinstance(p, dict)]
    return sum(p.get("hits", 0) for p in lines), sum(p.get("misses", 0) for p in lines)
