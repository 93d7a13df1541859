"""What f0make and its steps take of the machine now: memory with shared pages divided, CPU seconds.

Linux is read from /proc directly (one look at ten processes costs about a millisecond), other systems
through psutil.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable

from f0make.fast_dataclass import dataclass, field

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
PROC = "/proc"


@dataclass(slots=True)
class Tree:
    """f0make and all its descendants at one moment."""

    mem: dict[int, int] = field(default_factory=dict)
    """pid -> bytes: its private pages and its part of the shared ones (PSS; RSS where that is not told)."""
    cpu: dict[int, float] = field(default_factory=dict)
    """pid -> CPU seconds of the process itself since it began."""
    parent: dict[int, int] = field(default_factory=dict)

    @property
    def total_mem(self) -> int:
        """Bytes of all of them."""
        return sum(self.mem.values())

    def below(self, root: int, with_root: bool) -> list[int]:
        """``root``'s descendants, ``root`` itself too if asked for."""
        children: dict[int, list[int]] = {}
        for pid, parent in self.parent.items():
            children.setdefault(parent, []).append(pid)
        found, pending = ([root] if with_root else []), [root]
        while pending:
            for child in children.get(pending.pop(), ()):
                found.append(child)
                pending.append(child)
        return found

    def mem_of(self, pids: Iterable[int]) -> int:
        """Bytes of ``pids``."""
        return sum(self.mem.get(pid, 0) for pid in pids)


def tree(root: int, memory: bool = True) -> Tree:
    """The processes below ``root`` and itself; without ``memory`` only parents and CPU seconds."""
    return _linux_tree(root, memory) if sys.platform == "linux" else _psutil_tree(root, memory)


def _linux_tree(root: int, memory: bool) -> Tree:
    found = Tree()
    found.parent[root] = 0
    children = _children if os.path.exists(f"{PROC}/{root}/task/{root}/children") else _lookup()
    pending = [root]
    while pending:
        parent = pending.pop()
        for child in children(parent):
            found.parent[child] = parent
            pending.append(child)
    for pid in found.parent:
        found.cpu[pid] = _cpu_seconds(pid)
        if memory:
            found.mem[pid] = _pss(pid)
    return found


def _lookup() -> Callable[[int], list[int]]:
    """As `_children`, for kernels without CONFIG_PROC_CHILDREN: by looking at every process once."""
    from f0make.worker import system

    table: dict[int, list[int]] = {}
    for pid, about in system.everyone().items():
        table.setdefault(about[1], []).append(pid)
    return lambda pid: table.get(pid, [])


def _children(pid: int) -> list[int]:
    """Children of all threads of ``pid``; none of a process that is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"{PROC}/{pid}/task"):
            with open(f"{PROC}/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                found += map(int, file.read().split())
    except (OSError, ValueError):
        pass
    return found


def _cpu_seconds(pid: int) -> float:
    try:
        with open(f"{PROC}/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read(4096).rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    except (OSError, IndexError, ValueError):
        return 0.0


def _pss(pid: int) -> int:
    try:
        with open(f"{PROC}/{pid}/smaps_rollup", "rb", buffering=0) as file:
            for line in file.read(4096).splitlines():
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, IndexError, ValueError):
        pass
    try:
        with open(f"{PROC}/{pid}/statm", "rb", buffering=0) as file:
            return int(file.read(256).split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _psutil_tree(root: int, memory: bool) -> Tree:
    import psutil

    found = Tree()
    try:
        me = psutil.Process(root)
        everyone = [me, *me.children(recursive=True)]
    except psutil.Error:
        return found
    for process in everyone:
        try:
            with process.oneshot():
                times = process.cpu_times()
                found.parent[process.pid] = process.ppid()
                found.cpu[process.pid] = times.user + times.system
                if memory:
                    found.mem[process.pid] = process.memory_info().rss
        except psutil.Error:
            continue
    return found
