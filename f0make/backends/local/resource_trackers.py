"""The resource trackers that multiprocessing and loky start beside their workers: quiet, and gone at the end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from f0make.worker import system


def _trackers() -> list[Any]:
    from multiprocessing import resource_tracker as standard

    from loky.backend import resource_tracker as lokys

    return [lokys._resource_tracker, standard._resource_tracker]


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
    from multiprocessing import util

    from loky.backend.synchronize import SemLock

    registry: dict[Any, Any] = getattr(util, "_finalizer_registry", {})
    for finalizer in list(registry.values()):
        if getattr(finalizer, "_callback", None) is SemLock._cleanup:
            finalizer()
