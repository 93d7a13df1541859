"""A process that runs bundles one after the other, seen from the process that has started it.

The same on this machine and on hosts: handing a bundle over, ending its step before its time (TERM, a while, KILL),
collecting the process, and what to say of a step whose process died under it.
"""

from __future__ import annotations

import os
import signal
import socket
import time

from f0make.worker import frames, system, terminate
from f0make.worker.bundle import Bundle, Outcome

_REPEAT = 0.1
"""Seconds after which KILL is sent again, for what was started meanwhile."""


class WorkerProcess:
    """A worker and what it is running. Not thread-safe. How it is started: see the subclasses.

    ``line`` is this end of the socket to it, on which it is found out that it has ended.
    """

    def __init__(self) -> None:
        self.line, self._theirs = socket.socketpair()
        self.inbox = frames.Frames()
        self.pid = 0
        """0 until it is known."""
        self.ready = False
        """It has said that it can take bundles."""
        self.kill_at: float | None = None
        """Monotonic time at which a step that was told to end is killed."""
        self.reason = ""
        """Why the step was told to end."""
        self._bundle: Bundle | None = None
        self._sent = 0

    @property
    def bundle(self) -> Bundle | None:
        """What the worker is running."""
        return self._bundle

    @property
    def sent(self) -> int:
        """Stamp (see `system.now`) from before the running step's start."""
        return self._sent

    def send(self, bundle: Bundle) -> None:
        """Hand ``bundle`` to the idle worker; one that has just died is found out when its line closes."""
        self._bundle, self._sent = bundle, system.now()
        self.kill_at, self.reason = None, ""
        try:
            self.line.sendall(frames.frame(frames.BUNDLE, bundle))
        except OSError:
            pass

    def done(self) -> None:
        """The bundle has its outcome."""
        self._bundle, self.kill_at, self.reason = None, None, ""

    # Ending the step.

    def end_step(self, reason: str = "") -> None:
        """TERM to every process of the step; KILL is due `terminate.TERM_GRACE` seconds later (see `keep_time`)."""
        if self.kill_at is None and self.bundle is not None:
            self.reason = reason
            self.kill_at = time.monotonic() + terminate.TERM_GRACE
            terminate.send(self.processes(), signal.SIGTERM)

    def keep_time(self, now: float) -> None:
        """KILL to every process of the step, if that is due at the monotonic time ``now``."""
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = now + _REPEAT
            terminate.send(self.processes(), signal.SIGKILL)

    def processes(self) -> list[int]:
        """Processes of the running step: what is below the worker and was started since the bundle was sent."""
        if self.bundle is None or not self.pid:
            return []
        return [p for p, about in terminate.descendants([self.pid]).items() if about[4] >= self.sent - 1]

    # The end of the worker.

    def collect(self, seconds: float, kill: bool = True) -> int | None:
        """Wait up to ``seconds`` for a worker that is this process's child to end: its exit code (negative: signal).

        What is there then is killed, if ``kill``. None when it is not known how, or not yet whether, it has ended.
        """
        if not self.pid:
            return None
        try:
            if not system.wait_exit(self.pid, max(0.0, seconds)):
                if not kill:
                    return None
                system.kill(self.pid, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return None

    def lost_step(self, bundle: Bundle, code: int | None, hint: str = "") -> Outcome:
        """The outcome of ``bundle``, under which the worker has ended.

        ``code`` is what `collect` says, ``hint`` what may be added about a kill. If the step was told to end, that is
        the reason.
        """
        outcome = died_under(bundle.token, code, hint)
        outcome.message = self.reason or outcome.message
        return outcome


def died_under(token: str, code: int | None, hint: str = "") -> Outcome:
    """The outcome of the attempt ``token`` whose worker ended with ``code`` (negative: signal; None: unknown)."""
    outcome = Outcome(token, False, started=time.time())
    if code is None:
        outcome.message = "its worker process ended for an unknown reason"
    elif code < 0:
        outcome.signal = -code
        outcome.message = f"its worker process was killed by {terminate.signal_name(-code)}{hint}"
    else:
        outcome.exit_code = code
        outcome.message = f"its process ended with exit code {code} before the step was done"
    return outcome
