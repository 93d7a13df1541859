"""What f0make needs of loky and of multiprocessing beyond their public interfaces; nothing else of f0make's names it.

- loky flushes `sys.stdout` and `sys.stderr` before each start of a worker. f0make starts workers in a thread of its own; a
  reader that has gone away (``f0make … | head``), a full disk or a closed stream must not keep steps from running, and
  neither library has a switch for it: `QuietContext`.
- Both start a resource tracker beside the workers. It inherits the environment of that moment, prints warnings after
  `kill -9`, and ends some time after f0make. Nothing that f0make has started may be left when it ends, and public names
  start a tracker only (`ensure_running`): `Trackers`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing import resource_tracker, util
from multiprocessing.reduction import DupFd
from operator import methodcaller
from typing import Any

from loky.backend import resource_tracker as loky_tracker
from loky.backend.context import LokyContext
from loky.backend.popen_loky_posix import Popen
from loky.backend.process import LokyProcess
from loky.backend.synchronize import SemLock

from f0make.worker import system


class _QuietPopen(Popen):  # type: ignore[misc]
    # The worker is started as ``python -m`` of the class's module.
    __module__ = Popen.__module__

    def __init__(self, process: Any) -> None:
        self.returncode = None
        self._fds: list[int] = []
        self._launch(process)


class _QuietProcess(LokyProcess):  # type: ignore[misc]
    """A loky worker that is started without flushing anything."""

    @staticmethod
    def _Popen(process: Any) -> _QuietPopen:
        return _QuietPopen(process)


class QuietContext(LokyContext):  # type: ignore[misc]
    """The context to give to one executor; ``started`` are the processes that this has made."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[_QuietProcess] = []

    def Process(self, *args: Any, **options: Any) -> _QuietProcess:
        """A process of the context: the name and its arguments are those of `multiprocessing`."""
        process = _QuietProcess(*args, **options)
        self.started.append(process)
        return process


class Descriptor(int):
    """A file descriptor that goes along to a worker, where it is a plain number, the same as here."""

    def __reduce__(self) -> tuple[Any, ...]:
        return methodcaller("detach"), (DupFd(int(self)),)


def _trackers() -> list[Any]:
    return [loky_tracker._resource_tracker, resource_tracker._resource_tracker]


_deaf: dict[int, int] = {}
"""Tracker (by id) that f0make has stopped -> its descriptor, which leads nowhere."""


class Trackers:
    """Remembers which trackers were there before, so that only f0make's own are stopped."""

    def __init__(self) -> None:
        for tracker in _trackers():
            _hear_again(tracker)
        self._own = [tracker for tracker in _trackers() if tracker._fd is None]

    def start(self, variables: Mapping[str, str]) -> None:
        """Start those that do not run, with ``variables`` in their environment. Raises OSError.

        The calling thread blocks every signal afterwards. They print no warnings: after `kill -9` of f0make they
        clean up unasked.
        """
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        sys.warnoptions.append("ignore")
        try:
            for tracker in _trackers():
                tracker.ensure_running()
        finally:
            sys.warnoptions.remove("ignore")
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
            # multiprocessing blocks SIGINT and SIGTERM for the start and then unblocks them in any case.
            signal.pthread_sigmask(signal.SIG_BLOCK, system.SIGNALS)

    def stop(self) -> None:
        """End f0make's trackers and wait for them."""
        if not self._own:
            return
        _unlink_semaphores()
        for tracker in self._own:
            _stop(tracker)


def _stop(tracker: Any) -> None:
    """End ``tracker`` and wait for it.

    A finalizer that is at work or comes later (loky's threads let go of their semaphores at any time) writes to
    nobody. The tracker's own way of stopping leaves a moment in which that would start a new tracker, which knows
    nothing of what it is to forget and says so.
    """
    with tracker._lock:
        fd, pid = tracker._fd, tracker._pid
        if fd is None or pid is None:
            return
        tracker._fd = _deaf[id(tracker)] = os.open(os.devnull, os.O_WRONLY)
        tracker._pid = None
    os.close(fd)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def _hear_again(tracker: Any) -> None:
    fd = _deaf.pop(id(tracker), None)
    if fd is not None and tracker._fd == fd:
        os.close(fd)
        tracker._fd = None


def _unlink_semaphores() -> None:
    """Release loky's semaphores now: one released after its tracker has ended would start a new tracker."""
    registry: dict[Any, Any] = getattr(util, "_finalizer_registry", {})
    for finalizer in list(registry.values()):
        if getattr(finalizer, "_callback", None) is SemLock._cleanup:
            finalizer()
