"""The inside of a loky worker: takes bundles from a socket, runs them, sends outcomes back.

loky starts this process, notices its death and replaces it; the bundles themselves go over a socket, because
that costs a fifth of loky's queues and says exactly which bundle a dead worker was running.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Callable

from f0make.backends.local import process_journal
from f0make.backends.local.worker_settings import Settings
from f0make.worker import frames, system
from f0make.worker.run_marks import RUN
from f0make.worker.runner import Runner
from f0make.worker.watchdog import Watchdog, set_signals


class _Worker:
    """What this process has once it has entered."""

    runner: Runner
    line: socket.socket
    orphaned: Callable[[], None] | None = None
    """What is left to do when f0make is gone and the step is ended."""


current = _Worker()


def enter(settings: Settings, line: socket.socket) -> None:
    """Initialise the worker: deaf to the terminal, in the workspace, with the environment that steps inherit."""
    _detach()
    line = _above_streams(line)
    _close_on_exec()
    for fd in settings.kept:
        os.set_inheritable(fd, True)
    os.chdir(settings.workspace)
    os.environb.clear()
    os.environb.update(settings.environ)
    sys.dont_write_bytecode = True
    system.set_reaper()
    journal = process_journal.Journal(os.path.join(settings.workspace, RUN), "worker", settings.since)
    current.line = line
    Watchdog(settings.parent, _sample, leave=_leave).start()
    current.runner = Runner(settings.workspace, settings.environ, journal.group)


def serve() -> None:
    """Run bundles until the other end of the socket is closed."""
    line, runner = current.line, current.runner
    inbox = frames.Frames()
    line.sendall(frames.frame(frames.READY, os.getpid()))
    try:
        while (messages := frames.receive(line, inbox)) is not None:
            for _, bundle in messages:
                line.sendall(frames.frame(frames.OUTCOME, runner.run(bundle)))
    except (BrokenPipeError, ConnectionError):
        pass
    runner.close()


def _detach() -> None:
    """Leave f0make's session, so that Ctrl-C reaches f0make alone, and undo what it blocked for the start."""
    try:
        os.setsid()
    except OSError:
        pass
    # A Ctrl-C that came before the new session waits, blocked; ignoring it for a moment discards it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_signals()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _above_streams(line: socket.socket) -> socket.socket:
    """``line`` at a descriptor that is no standard stream's (f0make may have been started without some)."""
    fd = fcntl.fcntl(line.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
    line.close()
    return socket.socket(fileno=fd)


def _close_on_exec() -> None:
    """Keep loky's descriptors from steps, and let go of f0make's own streams.

    Somebody may read f0make's output through a pipe, and must not wait for a worker to close it too.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    if null > 2:
        os.close(null)
    # Opened anew: python has none for a descriptor that was closed when it started.
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (
        open(fd, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
        for fd in (1, 2)
    )
    try:
        open_now = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        open_now = list(range(3, 64))
    for fd in open_now:
        if fd > 2:
            try:
                os.set_inheritable(fd, False)
            except OSError:
                continue


def _leave() -> None:
    if current.orphaned is not None:
        current.orphaned()


def _sample() -> None:
    try:
        current.runner.sample()
    except AttributeError:
        pass  # Still being set up.
