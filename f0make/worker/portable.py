"""What `linux` offers, for systems without /proc and sub-reapers, as far as psutil can tell.

A *stamp* is a process's start time in hundredths of a second since the epoch. Orphans that have left their
group are not found here: their parent is init.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable

Facts = tuple[str, int, int, int, int]
"""(state letter, parent, group, session, stamp) of a process."""

REAPER = False


def set_reaper(on: bool = True) -> bool:
    """Not possible here."""
    return False


def private_cwd() -> bool:
    """Not possible here."""
    return False


def now() -> int:
    """The stamp that a process started now would have."""
    return int(time.time() * 100)


def boot() -> str:
    """Stamps hold across boots here."""
    return "-"


def facts(pid: int) -> Facts | None:
    """What the system says about ``pid``, None when there is no such process."""
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            state = "Z" if process.status() == psutil.STATUS_ZOMBIE else "S"
            stamp = int(process.create_time() * 100)
            return state, process.ppid(), os.getpgid(pid), os.getsid(pid), stamp
    except (psutil.Error, OSError):
        return None


def everyone() -> dict[int, Facts]:
    """Every process that is not a zombie and that may be looked at."""
    import psutil

    found = {}
    for pid in psutil.pids():
        known = facts(pid)
        if known is not None and known[0] != "Z":
            found[pid] = known
    return found


def tree_memory(root: int, with_root: bool) -> int:
    """Resident bytes of all descendants of ``root`` (and its own)."""
    import psutil

    total = 0
    try:
        process = psutil.Process(root)
        for one in process.children(recursive=True) + ([process] if with_root else []):
            try:
                total += one.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        pass
    return total


def own_peak() -> int:
    """Peak resident bytes of this process since it began."""
    import resource
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def reset_peak() -> None:
    """Not possible here."""


class IoCounter:
    """Bytes read and written by this process and its children, counted in blocks of 512 (getrusage(2))."""

    def __init__(self, pid: int = 0) -> None:
        self._own = not pid

    def read(self) -> tuple[int, int]:
        """(read, written) so far; nothing is known of another process."""
        import resource

        if not self._own:
            return 0, 0

        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (own.ru_inblock + children.ru_inblock) * 512, (own.ru_oublock + children.ru_oublock) * 512


def oom_kills() -> int:
    """Not known here."""
    return 0


def marked(pid: int, variable: str, value: str) -> bool:
    """Whether ``pid`` was started with ``variable`` in its environment, one of whose ``:`` parts is ``value``."""
    import psutil

    try:
        return value in psutil.Process(pid).environ().get(variable, "").split(":")
    except (psutil.Error, OSError):
        return False


def holds(pid: int, path: str) -> bool:
    """Whether the process ``pid`` has the file ``path`` open; False where that cannot be seen."""
    import psutil

    try:
        return any(os.path.samefile(entry.path, path) for entry in psutil.Process(pid).open_files())
    except (psutil.Error, OSError):
        return False


def writes_into(pid: int, directory: str) -> bool:
    """Whether ``pid`` has a file in ``directory`` open to write to."""
    import psutil

    try:
        files = psutil.Process(pid).open_files()
    except (psutil.Error, OSError):
        return False
    return any(entry.fd in (1, 2) and entry.path.startswith(directory + os.sep) for entry in files)


def no_children() -> bool:
    """Whether this process has no child at all, living or dead."""
    import psutil

    return not psutil.Process().children()


def wait_exit(pid: int, seconds: float | None) -> bool:
    """Wait until the child ``pid`` has ended (it is not reaped); False when ``seconds`` passed before."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if deadline is not None and time.monotonic() >= deadline:
            return False
        time.sleep(0.005)
    return True


def watch(parent: int, tick: Callable[[], None], every: float) -> None:
    """Return when ``parent``, the parent of this process, is gone; call ``tick`` every ``every`` seconds meanwhile."""
    while os.getppid() == parent:
        time.sleep(every)
        tick()


def kill(pid: int, signum: int) -> bool:
    """Send a signal; False when there is no such process (any more) or it may not be signalled."""
    try:
        os.kill(pid, signum)
    except OSError:
        return False
    return True


SIGNALS: Iterable[int] = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
"""Every signal whose disposition can be set."""
