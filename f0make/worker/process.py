"""Start a command in a process group of its own, wait for it, measure it, and leave nothing of it behind."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Container, Iterable, Mapping

from f0make.fast_dataclass import dataclass
from f0make.worker import system, terminate
from f0make.worker.shell_command import Launch, default_shell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


__all__ = ["Ended", "default_shell", "run"]

_LINGER = 0.25
"""Seconds that processes left behind may take to end by themselves: the `tee` of ``> >(tee log)`` still
writes when its shell is gone."""
_LEFTOVER_GRACE = 0.5
"""Seconds between TERM and KILL for what is left behind."""
_APART: dict[str, Any] = {"setpgroup": 0} if system.REAPER else {"setsid": True}
"""How a step is told apart from others. Where orphans come to this process, its own session will do; a session
for each step costs milliseconds on a busy Linux, which schedules by sessions (sched(7), "autogroup")."""
_MAXRSS = 1 if sys.platform == "darwin" else 1024
"""Unit of ru_maxrss in bytes (getrusage(2))."""


@dataclass(slots=True)
class Ended:
    """How a command ended: ``code`` is its exit code, or the number of the signal that killed it, negative."""

    code: int
    timed_out: bool = False
    cpu_seconds: float = 0.0
    peak_mem: int = 0
    """Bytes; the largest single process of it (see `run`)."""
    started: int = 0
    """Stamp from before the start."""
    alone: bool = False
    """Nothing of it is left, not even a daemon."""


def run(
    launch: Launch,
    environ: Mapping[bytes, bytes],
    output: int,
    timeout: float | None = None,
    note: Callable[[int, int, int], None] | None = None,
    exit_codes: Container[int] = (0,),
    start: Callable[[Launch, Mapping[bytes, bytes], int], int] | None = None,
) -> Ended:
    """Run ``launch`` in the current directory with stdin from the caller's and both outputs to ``output``.

    The process starts with every signal at its default and none blocked. After ``timeout`` seconds it and all
    its descendants get TERM, two seconds later KILL. When it ends, what is left of it is ended too (see
    `end_session`); processes in sessions of their own (daemons) stay when it ends with one of ``exit_codes``.
    ``note`` hears (pid, stamp before, stamp after) of the start. ``start`` starts it in another way than usual.
    Raises OSError when it cannot be started.

    The kernel counts the memory of the starting process (this one) into the peak of a child that never grew
    larger than it; `Ended.peak_mem` cannot be less.
    """
    before = system.now()
    pid = (start or begin)(launch, environ, output)
    if note is not None:
        note(pid, before, system.now())
    timed_out = False
    if timeout is not None and not system.wait_exit(pid, timeout):
        timed_out = True
        terminate.end(lambda: _step_processes(before), terminate.TERM_GRACE)
    _, status, usage = os.wait4(pid, 0)
    ended = Ended(
        os.waitstatus_to_exitcode(status),
        timed_out,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * _MAXRSS,
        before,
    )
    if not _something_left(pid):
        ended.alone = system.REAPER
    else:
        end_session(pid, before, daemons=ended.timed_out or ended.code not in exit_codes)
        cpu, peak = terminate.reap()
        ended.cpu_seconds += cpu
        ended.peak_mem = max(ended.peak_mem, peak)
    return ended


def begin(launch: Launch, environ: Mapping[bytes, bytes], output: int) -> int:
    """Start ``launch`` in a group of its own, both outputs to ``output``: its process. Raises OSError."""
    try:
        return _spawn(launch.program, launch.argv, environ, output)
    except OSError as error:
        if launch.otherwise is None or error.errno in (errno.EAGAIN, errno.ENOMEM, errno.E2BIG):
            raise
        # Only a shell knows what to say about a program that cannot be executed, or how to run it anyway.
        return _spawn(launch.otherwise[0], launch.otherwise[1:], environ, output)


def default_signals(signums: Iterable[int] = system.SIGNALS) -> None:
    """Give ``signums`` their default effect in this process, and block none at all: as a program expects to start.

    For the main thread; a signal whose effect the system keeps for itself is left as it is.
    """
    for signum in signums:
        try:
            signal.signal(signum, signal.SIG_DFL)
        except (OSError, ValueError):
            continue
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _spawn(program: str, argv: list[str], environ: Mapping[bytes, bytes], output: int) -> int:
    try:
        return os.posix_spawn(
            program,
            argv,
            environ,
            file_actions=((os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)),
            setsigmask=(),
            setsigdef=system.SIGNALS,
            **_APART,
        )
    except NotImplementedError:
        return _fork_exec(program, argv, environ, output)


def _fork_exec(program: str, argv: list[str], environ: Mapping[bytes, bytes], output: int) -> int:
    """For systems whose posix_spawn cannot make sessions."""
    import subprocess

    child = subprocess.Popen(
        argv,
        executable=program,
        env=environ,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=default_signals,
    )
    child.returncode = 0  # It is waited for with wait4, not by this object.
    return child.pid


def _something_left(group: int) -> bool:
    if system.REAPER:
        return not system.no_children()
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def _step_processes(since: int) -> list[int]:
    """Descendants of this process that are not older than the running step."""
    return [pid for pid, about in terminate.descendants([os.getpid()]).items() if about[4] >= since - 1]


def left_of(session: int, since: int, everything: bool, spared: Container[int] = ()) -> list[int]:
    """What is left of the step ``session`` below this process (see `end_session`), but for ``spared``."""
    me = os.getpid()
    sessions = {session, os.getsid(0)} if system.REAPER else {session}
    known = system.everyone()
    below = terminate.descendants([me], known) if system.REAPER else known
    return [
        pid
        for pid, about in below.items()
        if pid != me
        and pid not in spared
        and (everything or about[2] == session or about[3] in sessions)
        and about[4] >= since - 1
    ]


def end_session(session: int, since: int, daemons: bool = False, spared: Container[int] = ()) -> bool:
    """End what is left of the step ``session`` below this process; whether there was anything that had to be told.

    That is everything in its group or session and, where steps share this process's session, in that one; what
    has a session of its own (a daemon) stays, but with ``daemons`` (as far as the system tells whose it is):
    what a step that failed has left would go on writing to outputs that are made again. ``spared`` are processes
    of f0make's own.
    """
    everything = daemons and system.REAPER

    def find() -> list[int]:
        return left_of(session, since, everything, spared)

    until = time.monotonic() + _LINGER
    pause = 0.001
    while find():
        if time.monotonic() >= until:
            terminate.end(find, _LEFTOVER_GRACE)
            return True
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
    return False
