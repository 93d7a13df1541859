"""Ending processes: politely, then for good, until nothing is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping

from f0make.worker import system
from f0make.worker.system import Facts

TERM_GRACE = 2.0
"""Seconds between TERM and KILL when a step's time is up."""

_PATIENCE = 5.0
"""Seconds that a killed process may take to be gone (it may be writing its memory to a core file)."""


def signal_name(signum: int) -> str:
    """``SIGKILL`` for 9; ``signal 35`` for one without a name."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"


def stay(signum: int, frame: object) -> None:
    """A handler of SIGTERM for workers, which end when they are told over their line; no step inherits it."""


def descendants(roots: Iterable[int], known: Mapping[int, Facts] | None = None) -> dict[int, Facts]:
    """Every living process below ``roots``, the roots themselves left out."""
    known = system.everyone() if known is None else known
    children: dict[int, list[int]] = {}
    for pid, about in known.items():
        children.setdefault(about[1], []).append(pid)
    found: dict[int, Facts] = {}
    pending = list(roots)
    while pending:
        for pid in children.get(pending.pop(), ()):
            if pid not in found:
                found[pid] = known[pid]
                pending.append(pid)
    return found


def ancestors(pid: int) -> set[int]:
    """``pid`` and every process above it."""
    found = {pid}
    while (about := system.facts(pid)) is not None and about[1] > 0 and about[1] not in found:
        pid = about[1]
        found.add(pid)
    return found


def send(pids: Iterable[int], signum: int) -> None:
    """Send ``signum``; a stopped process is continued, so that it can react to it."""
    for pid in pids:
        system.kill(pid, signum)
        if signum != signal.SIGKILL:
            system.kill(pid, signal.SIGCONT)


def end(find: Callable[[], Iterable[int]], grace: float, patience: float = _PATIENCE) -> list[int]:
    """TERM what ``find`` finds, KILL what is there after ``grace`` seconds, until it finds nothing.

    Returns what could not be ended within another ``patience`` seconds (not killable, or not ours).
    """
    now = time.monotonic()
    kill_at, give_up_at = now + grace, now + grace + patience
    asked: set[int] = set()
    pause = 0.001
    while left := list(find()):
        now = time.monotonic()
        if now >= give_up_at:
            return left
        if now >= kill_at:
            send(left, signal.SIGKILL)
        else:
            send((pid for pid in left if pid not in asked), signal.SIGTERM)
            asked.update(left)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
    return []


def reap(pids: Iterable[int] | None = None) -> tuple[float, int]:
    """Collect children that have ended (of ``pids``, or any): their CPU seconds and largest peak in bytes."""
    cpu, peak = 0.0, 0
    for pid in (-1,) if pids is None else pids:
        while True:
            try:
                found, _, usage = os.wait4(pid, os.WNOHANG)
            except ChildProcessError:
                break
            if not found:
                break
            cpu += usage.ru_utime + usage.ru_stime
            peak = max(peak, usage.ru_maxrss * 1024)
    return cpu, peak
