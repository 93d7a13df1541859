"""A slot whose worker is loky's: an executor with a single process. Runs every kind of step.

By loky's public interface: `ProcessPoolExecutor` with a context, an initializer and an environment, the future of the one
call that serves bundles, and `shutdown`; and by what every process of `multiprocessing` has, `pid`, `exitcode` and `join`.
"""

from __future__ import annotations

import signal
import time
from typing import Any

from f0make.backends.local.loky_worker_main import enter, serve
from f0make.backends.local.slot import Slot
from f0make.backends.local.worker_settings import Settings
from f0make.fast_dataclass import replace
from f0make.worker import system

_LAST_WAIT = 0.5
"""Seconds for a killed worker to be gone."""
_GONE = 10.0
"""Seconds for loky to notice that a worker is gone."""


class LokySlot(Slot):
    """Not thread-safe. Raises OSError when the worker cannot be started.

    To be made in a thread in which every signal is blocked: the worker inherits that until it has left the
    session of the terminal.
    """

    def __init__(self, settings: Settings, variables: dict[str, str]) -> None:
        from loky import ProcessPoolExecutor

        from f0make.backends.local.loky_private import Descriptor, QuietContext

        settings = replace(settings, kept=tuple(Descriptor(fd) for fd in settings.kept))
        super().__init__()
        with self._theirs as theirs:
            context = QuietContext()
            self._executor: Any = ProcessPoolExecutor(
                1,
                context=context,
                initializer=enter,
                initargs=(settings, theirs),
                env=variables,
            )
            self._future = self._executor.submit(serve)
        self._process: Any = context.started[0]
        self.pid = self._process.pid

    def died(self) -> int | None:
        """Wait for loky to notice that the worker is gone; its exit code (negative: signal), None if unknown."""
        try:
            self._future.exception(timeout=_GONE)
        except Exception:
            pass  # What it is does not matter: the process says how it ended.
        code: int | None = self._process.exitcode
        return code

    def close(self) -> None:
        """Let an idle worker end in order, and kill one that is not ready yet; returns at once."""
        self.line.close()
        if self._executor is not None:
            self._executor.shutdown(wait=False, kill_workers=not self.ready)
            self._executor = self._future = None

    def join(self, until: float) -> None:
        """After `close`: wait for the worker to end, until the monotonic time ``until``, then kill it.

        The executor's own way of waiting for that knows no time limit.
        """
        self._process.join(max(0.0, until - time.monotonic()))
        if self._process.is_alive():
            system.kill(self.pid, signal.SIGKILL)
            self._process.join(_LAST_WAIT)
