"""Stat signatures: when a file may be taken as unchanged without reading it."""

from __future__ import annotations

import os
import time

Signature = tuple[int, int, int, int, int]
"""(size in bytes, mtime ns, ctime ns, inode, mode), from `lstat`."""

_SECOND = 1_000_000_000
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

    Only the ctime counts, because anybody can set the mtime. A file system without ctime (0) is always racy.
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
