"""One slot of the local backend: a loky executor with a single worker, so that a death is one step's only."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from typing import Any

from f0make.execution import ending, frames, groups, host
from f0make.execution.bundle import Bundle
from f0make.execution.process import TERM_GRACE
from f0make.execution.worker import Settings, enter, serve

_LAST_WAIT = 0.5
"""Seconds for a killed worker to be gone."""
_EXIT = re.compile(r"\{\w+\((-?\d+)\)")
"""How loky's TerminatedWorkerError gives the exit codes of its workers: ``{SIGKILL(-9)}``, ``{EXIT(3)}``."""


class Slot:
    """A worker and the bundle it is running. Not thread-safe. Raises OSError when it cannot be started.

    To be made in a thread in which every signal is blocked: the worker inherits that until it has left the
    session of the terminal.
    """

    def __init__(self, settings: Settings, variables: dict[str, str]) -> None:
        from loky import ProcessPoolExecutor

        from f0make.execution.spawning import WorkerContext

        self.line, theirs = socket.socketpair()
        self.inbox = frames.Frames()
        self.bundle: Bundle | None = None
        self.ready = False
        self.last = False
        """The worker has said that it ends itself."""
        self.sent = 0
        """Stamp of when the bundle was handed over."""
        self.deadline: float | None = None
        """Monotonic time at which a python step's time is up."""
        self.kill_at: float | None = None
        """Monotonic time at which a step that was told to end is killed."""
        self.reason = ""
        """Why the step was told to end."""
        with theirs:
            self._executor: Any = ProcessPoolExecutor(
                1,
                context=WorkerContext(),
                initializer=enter,
                initargs=(settings, theirs),
                env=variables,
            )
            self._future = self._executor.submit(serve)
        self._manager: threading.Thread | None = None
        self.pid: int = next(iter(self._executor._processes), 0)

    def send(self, bundle: Bundle) -> None:
        """Hand ``bundle`` to the idle worker; a worker that has just died is found out when its line closes."""
        self.bundle, self.sent = bundle, host.now()
        self.reason, self.kill_at = "", None
        limited = bundle.kind == "python" and bundle.timeout is not None
        self.deadline = time.monotonic() + (bundle.timeout or 0.0) if limited else None
        try:
            self.line.sendall(frames.frame(frames.BUNDLE, bundle))
        except OSError:
            pass

    def done(self) -> None:
        """The bundle has its outcome."""
        self.bundle, self.deadline, self.kill_at = None, None, None

    def end_step(self, reason: str = "") -> None:
        """TERM to every process of the step; `kill_step` is due two seconds later."""
        if self.kill_at is None and self.bundle is not None:
            self.reason = reason
            self.deadline = None
            self.kill_at = time.monotonic() + TERM_GRACE
            ending.send(self.processes(), signal.SIGTERM)

    def kill_step(self) -> None:
        """KILL to every process of the step, the worker included when the step runs inside of it."""
        self.kill_at = time.monotonic() + 0.1  # again, for what was started meanwhile
        ending.send(self.processes(), signal.SIGKILL)

    def processes(self) -> list[int]:
        """Processes of the running step."""
        if self.bundle is None or not self.pid:
            return []
        found = [p for p, about in ending.descendants([self.pid]).items() if about[4] >= self.sent - 1]
        return [*found, self.pid] if self.bundle.kind == "python" else found

    def died(self) -> int | None:
        """Wait for loky to notice that the worker is gone; its exit code (negative: signal), None if unknown."""
        try:
            error = self._future.exception(timeout=10)
        except Exception as unknown:
            error = unknown
        found = _EXIT.search(str(error)) if error is not None else None
        return int(found[1]) if found else None

    def left_group(self, directory: str) -> int:
        """The process group that the worker started last, as its journal says; 0 when not known."""
        entry = groups.read(os.path.join(directory, f"worker-{self.pid}"))
        return entry.group if entry is not None else 0

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
                host.kill(self.pid, signal.SIGKILL)
                manager.join(_LAST_WAIT)
        self._executor = self._future = None
