"""What the whole machine (or the control group that f0make is in) has left: memory, load, CPU time spent."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import NamedTuple

PROC = "/proc"
CGROUPS = "/sys/fs/cgroup"
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_NO_LIMIT = 1 << 60
"""Version 1 writes its "no limit" as a number beyond any machine."""


class Memory(NamedTuple):
    """Bytes of the machine, or of the control group that has the least left."""

    available: int
    total: int


def memory() -> Memory | None:
    """What can still be had, and of how much; None where the system does not tell."""
    found = _machine_memory()
    for group in _groups():
        left = _left_in(*group)
        if left is not None and (found is None or left.available < found.available):
            found = left
    return found


def _machine_memory() -> Memory | None:
    available = total = None
    try:
        with open(f"{PROC}/meminfo", "rb") as file:
            for line in file:
                if line.startswith(b"MemTotal:"):
                    total = int(line.split()[1]) * 1024
                elif line.startswith(b"MemAvailable:"):
                    available = int(line.split()[1]) * 1024
                    break
    except (OSError, ValueError, IndexError):
        return None
    return Memory(available, total) if available is not None and total is not None else None


@lru_cache(maxsize=1)
def _groups() -> tuple[tuple[str, str, str, str], ...]:
    """Directory and names of limit, use and cache of each control group with a memory limit that f0make is in.

    A limit that is set later in the run is not seen, but one that is changed is.
    """
    second = ("memory.max", "memory.current", "inactive_file")
    first = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    try:
        with open(f"{PROC}/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if not kinds:
            root, names = CGROUPS, second
        elif "memory" in kinds.split(","):
            root, names = f"{CGROUPS}/memory", first
        else:
            continue
        parts = [part for part in path.split("/") if part]
        # In a container the group's own path may not be shown, its root is the group then.
        for depth in range(len(parts) + 1):
            directory = "/".join([root, *parts[:depth]])
            if _left_in(directory, *names) is not None:
                found.append((directory, *names))
    return tuple(found)


def _left_in(directory: str, limit: str, use: str, cache: str) -> Memory | None:
    """What is left of a group's limit; None without one. Reclaimable file pages count as left."""
    try:
        with open(f"{directory}/{limit}", encoding="ascii") as file:
            text = file.read().strip()
        if text == "max" or int(text) >= _NO_LIMIT:
            return None
        with open(f"{directory}/{use}", encoding="ascii") as file:
            used = int(file.read())
        with open(f"{directory}/memory.stat", encoding="ascii") as file:
            for line in file:
                name, _, number = line.partition(" ")
                if name == cache:
                    used -= int(number)
                    break
        return Memory(max(0, int(text) - used), int(text))
    except (OSError, ValueError):
        return None


def load() -> tuple[float, int]:
    """(load average of the last minute, processes that want to run at this moment)."""
    try:
        with open(f"{PROC}/loadavg", encoding="ascii") as file:
            fields = file.read().split()
        # This process runs to read it, and is one of them.
        return float(fields[0]), max(0, int(fields[3].partition("/")[0]) - 1)
    except (OSError, ValueError, IndexError):
        try:
            average = os.getloadavg()[0]
        except OSError:
            return 0.0, 0
        return average, round(average)


def busy() -> float | None:
    """CPU seconds that all of the machine's processes have spent since boot, None where the system does not tell."""
    try:
        with open(f"{PROC}/stat", "rb", buffering=0) as file:
            fields = file.read(256).split(b"\n", 1)[0].split()
        # user, nice, system, irq, softirq (proc(5)); guests are part of user.
        return sum(int(fields[n]) for n in (1, 2, 3, 6, 7)) / _TICKS
    except (OSError, ValueError, IndexError):
        return None
