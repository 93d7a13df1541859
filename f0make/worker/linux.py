"""Everything that only Linux offers: /proc, the child sub-reaper, pidfd, private working directories of threads.

`portable` has the same functions for other systems; `host` picks one. A *stamp* is a process's start time in
clock ticks since boot: together with the pid it names one process for good (until the next boot).
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
"""linux/prctl.h"""
_CLONE_FS = 0x200
"""linux/sched.h"""
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

_libc = ctypes.CDLL(None, use_errno=True)

Facts = tuple[str, int, int, int, int]
"""(state letter, parent, group, session, stamp) of a process, from /proc/PID/stat (proc(5))."""

REAPER = True
"""Orphans of a step come to the process that started it, so that it can find them."""


def set_reaper(on: bool = True) -> bool:
    """Become the parent of descendants whose own parents die (or no longer); whether it was so before."""
    before = ctypes.c_int(0)
    _libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)
    return bool(before.value)


def private_cwd() -> bool:
    """Give the calling thread a working directory of its own; False where that is not allowed."""
    return bool(_libc.unshare(_CLONE_FS) == 0)


def now() -> int:
    """The stamp that a process started now would have."""
    return int(time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS // 1_000_000_000)


def boot() -> str:
    """Identifies the time since the last boot."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return "-"


def facts(pid: int) -> Facts | None:
    """What /proc says about ``pid``, None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read(4096).rpartition(b")")[2].split()
        return fields[0].decode("ascii"), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19])
    except (OSError, IndexError):
        return None


def everyone() -> dict[int, Facts]:
    """Every process that is not a zombie."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            known = facts(int(name))
            if known is not None and known[0] not in "ZX":
                found[int(name)] = known
    return found


def _children(pid: int) -> list[int]:
    """Living and dead children of all threads of ``pid``. Raises OSError without CONFIG_PROC_CHILDREN."""
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
            found += map(int, file.read().split())
    return found


def _memory(pid: int) -> tuple[int, int]:
    with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
        fields = file.read(256).split()
    return int(fields[1]) * _PAGE, int(fields[2]) * _PAGE


def tree_memory(root: int, with_root: bool) -> int:
    """Resident bytes of all descendants of ``root`` (and its own); file pages count once, the largest share."""
    private, shared = 0, 0
    pending = [root]
    while pending:
        pid = pending.pop()
        try:
            pending += _children(pid)
            if pid != root or with_root:
                resident, mapped = _memory(pid)
                private += resident - mapped
                shared = max(shared, mapped)
        except (OSError, ValueError, IndexError):
            continue
    return private + shared


def own_peak() -> int:
    """Peak resident bytes of this process since the last `reset_peak`."""
    try:
        fd = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(fd, 8192)
        finally:
            os.close(fd)
        return int(text[text.index(b"VmHWM:") + 6 :].split(None, 1)[0]) * 1024
    except (OSError, ValueError):
        return 0


def reset_peak() -> None:
    """Start the peak of `own_peak` anew at what is resident now (proc(5), clear_refs)."""
    try:
        fd = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"5")
        finally:
            os.close(fd)
    except OSError:
        pass


class IoCounter:
    """Bytes read and written by a process (0: this one) and the children it has waited for (proc(5), rchar, wchar)."""

    def __init__(self, pid: int = 0) -> None:
        try:
            self._fd = os.open(f"/proc/{pid or 'self'}/io", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1

    def read(self) -> tuple[int, int]:
        """(read, written) so far."""
        if self._fd < 0:
            return 0, 0
        try:
            fields = os.pread(self._fd, 512, 0).split()
            return int(fields[1]), int(fields[3])
        except (OSError, ValueError, IndexError):
            return 0, 0

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory since boot."""
    try:
        with open("/proc/vmstat", "rb") as file:
            for line in file:
                if line.startswith(b"oom_kill "):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def marked(pid: int, variable: str, value: str) -> bool:
    """Whether ``pid`` was started with ``variable`` in its environment, one of whose ``:`` parts is ``value``."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environ = file.read()
    except OSError:
        return False
    wanted = os.fsencode(variable) + b"="
    return any(
        os.fsencode(value) in entry[len(wanted) :].split(b":")
        for entry in environ.split(b"\0")
        if entry.startswith(wanted)
    )


def holds(pid: int, path: str) -> bool:
    """Whether the process ``pid`` has the file ``path`` open; False where that cannot be seen."""
    try:
        wanted = os.lstat(path)
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                st = os.stat(f"/proc/{pid}/fd/{name}")
            except OSError:
                continue
            if (st.st_dev, st.st_ino) == (wanted.st_dev, wanted.st_ino):
                return True
    except OSError:
        pass
    return False


def writes_into(pid: int, directory: str) -> bool:
    """Whether ``pid`` has a file in ``directory`` (absolute, without links) as its output or error stream."""
    for stream in (1, 2):
        try:
            if os.readlink(f"/proc/{pid}/fd/{stream}").startswith(directory + "/"):
                return True
        except OSError:
            continue
    return False


def no_children() -> bool:
    """Whether this process has no child at all, living or dead."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def wait_exit(pid: int, seconds: float | None) -> bool:
    """Wait until the child ``pid`` has ended (it is not reaped); False when ``seconds`` passed before."""
    import select

    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return _poll_exit(pid, seconds)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(None if seconds is None else max(0.0, seconds * 1000)))
    finally:
        os.close(fd)


def _poll_exit(pid: int, seconds: float | None) -> bool:
    deadline = None if seconds is None else time.monotonic() + seconds
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if deadline is not None and time.monotonic() >= deadline:
            return False
        time.sleep(0.005)
    return True


def watch(parent: int, tick: Callable[[], None], every: float) -> None:
    """Return when ``parent``, the parent of this process, is gone; call ``tick`` every ``every`` seconds meanwhile."""
    import select

    try:
        fd = os.pidfd_open(parent)
    except OSError:
        fd = -1
    poll = select.poll()
    if fd >= 0:
        poll.register(fd, select.POLLIN)
    while os.getppid() == parent and not poll.poll(every * 1000):
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
