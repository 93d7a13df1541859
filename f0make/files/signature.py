"""Stat signatures: when a file may be taken as unchanged without reading it."""

from __future__ import annotations

import os
import time

Signature = tuple[int, int, int, int, int]
"""(size in bytes, mtime ns, ctime ns, inode, mode), from `lstat`."""

_SECOND = 1_000_000_000
FOREVER = (1 << 63) - 1
"""The clock (see `is_racy`) for a file system that gives every change that follows a look another stamp."""
_PAIRS = 5
_CLOSE = 500_000
"""ns; a coarse clock's stamps are equal or at least 1 ms apart, so closer ones come from a fine one."""
_exact: dict[int, bool] = {}
"""Device -> whether its stamps tell any two changes apart between which the file was looked at."""
_COARSE = getattr(time, "CLOCK_REALTIME_COARSE", None)
_TICK = 20_000_000
"""ns; the longest tick of a kernel that stamps files with a coarse clock is 10 ms (CONFIG_HZ=100)."""


def of(st: os.stat_result) -> Signature:
    """The signature in ``st``, which must come from `lstat` (or `fstat` of a regular file)."""
    return (st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_mode)


def clock_ns() -> int:
    """Now, in ns, by the clock that the kernel stamps files with, never later than a stamp given from now on."""
    if _COARSE is not None:
        return time.clock_gettime_ns(_COARSE)
    return time.time_ns() - _TICK


def granularity(stamp_ns: int) -> int:
    """The step in ns that stamps like ``stamp_ns`` may come in: the largest power of ten that divides it.

    Whole seconds count as two, the step of FAT.
    """
    step = 1
    while step < _SECOND and stamp_ns % (step * 10) == 0:
        step *= 10
    return step if step < _SECOND else 2 * _SECOND


def is_racy(sig: Signature, clock: int) -> bool:
    """Whether a write after ``clock`` (ns, taken before the stat and the read) could leave ``sig`` as it is.

    Only the ctime counts, because any program can set the mtime. A file system without ctime (0) is always racy.
    """
    ctime = sig[2]
    return ctime <= 0 or ctime + granularity(ctime) > clock


def wait_for_tick(ctime_ns: int, limit: float = 0.03) -> bool:
    """Sleep until a stamp of ``ctime_ns`` is no longer racy; False when that is more than ``limit`` seconds off."""
    end = ctime_ns + granularity(ctime_ns)
    while (ahead := end - clock_ns()) > 0:
        if ahead > limit * _SECOND:
            return False
        time.sleep(0.001)
    return True


def probe(fd: int) -> None:
    """Find out, once for each device, whether the stamps of its files are exact; ``fd`` is an open file of ours.

    Linux 6.13 and later keep their stamps coarse until one is looked at: the next change of that file then
    gets a fine one ("multigrain timestamps"). That is proved here by changes closer together than any two
    coarse stamps can be.
    """
    try:
        st = os.fstat(fd)
        if st.st_dev in _exact:
            return
        stamps = []
        for _ in range(_PAIRS + 1):
            os.fchmod(fd, st.st_mode & 0o7777)  # changes nothing but the ctime
            stamps.append(os.fstat(fd).st_ctime_ns)
    except (OSError, AttributeError):
        return
    gaps = [stamps[n + 1] - stamps[n] for n in range(_PAIRS)]
    # The first of a pair may be coarse, and a busy machine may stretch one of them.
    _exact[st.st_dev] = all(gap > 0 for gap in gaps) and sum(gap < _CLOSE for gap in gaps) >= _PAIRS - 2


def probe_path(path: str) -> None:
    """`probe` with a file of ours by its path; nothing is learnt where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return
    try:
        probe(fd)
    finally:
        os.close(fd)


def exact(device: int) -> bool:
    """Whether a look at a file on ``device`` makes the next change of it give another signature."""
    return _exact.get(device, False)
