"""A slot whose worker is loky's: an executor with a single process. Runs every kind of step."""

from __future__ import annotations

import re
import signal
import threading
import time
from typing import Any

from f0make.backends.local.loky_worker_main import enter, serve
from f0make.backends.local.slot import Slot
from f0make.backends.local.worker_settings import Settings
from f0make.fast_dataclass import replace
from f0make.worker import frames, system
from f0make.worker.bundle import Bundle

_LAST_WAIT = 0.5
"""Seconds for a killed worker to be gone."""
_EXIT = re.compile(r"\{\w+\((-?\d+)\)")
"""How loky's TerminatedWorkerError gives the exit codes of its workers: ``{SIGKILL(-9)}``, ``{EXIT(3)}``."""


class LokySlot(Slot):
    """Not thread-safe. Raises OSError when the worker cannot be started.

    To be made in a thread in which every signal is blocked: the worker inherits that until it has left the
    session of the terminal.
    """

    def __init__(self, settings: Settings, variables: dict[str, str]) -> None:
        from loky import ProcessPoolExecutor

        from f0make.backends.local.loky_spawn import Descriptor, WorkerContext

        settings = replace(settings, kept=tuple(Descriptor(fd) for fd in settings.kept))
        super().__init__()
        self._bundle: Bundle | None = None
        self._sent = 0
        with self._theirs as theirs:
            self._executor: Any = ProcessPoolExecutor(
                1,
                context=WorkerContext(),
                initializer=enter,
                initargs=(settings, theirs),
                env=variables,
            )
            self._future = self._executor.submit(serve)
        self._manager: threading.Thread | None = None
        self.pid = next(iter(self._executor._processes), 0)

    @property
    def bundle(self) -> Bundle | None:
        """What the worker is running."""
        return self._bundle

    @property
    def sent(self) -> int:
        """Stamp of when the bundle was handed over."""
        return self._sent

    def send(self, bundle: Bundle) -> None:
        """Hand ``bundle`` to the idle worker; a worker that has just died is found out when its line closes."""
        self._bundle, self._sent = bundle, system.now()
        self.reason, self.kill_at = "", None
        try:
            self.line.sendall(frames.frame(frames.BUNDLE, bundle))
        except OSError:
            pass

    def done(self) -> None:
        """The bundle has its outcome."""
        super().done()
        self._bundle = None

    def died(self) -> int | None:
        """Wait for loky to notice that the worker is gone; its exit code (negative: signal), None if unknown."""
        try:
            error = self._future.exception(timeout=10)
        except Exception as unknown:
            error = unknown
        found = _EXIT.search(str(error)) if error is not None else None
        return int(found[1]) if found else None

    def close(self) -> None:
        """Let an idle worker end in order; returns at once."""
        self.line.close()
        if self._executor is not None:
            # loky's own way of waiting for this thread knows no time limit.
            self._manager = getattr(self._executor, "_executor_manager_thread", None)
            self._executor.shutdown(wait=False)

    def join(self, until: float) -> None:
        """After `close`: wait for the worker to end, until the monotonic time ``until``, then kill it."""
        manager, self._manager = self._manager, None
        if manager is not None:
            manager.join(max(0.0, until - time.monotonic()))
            if manager.is_alive():
                system.kill(self.pid, signal.SIGKILL)
                manager.join(_LAST_WAIT)
        self._executor = self._future = None
