"""The workers of an agent: forked processes that run one attempt after the other. Part of what is sent.

Each leads a session of its own and is a sub-reaper, so that whatever its step started can be found and ended;
it ends with everything below it when the agent is gone.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Mapping

from f0make.cache.blobs import BlobError, Blobs
from f0make.worker import frames, system, terminate
from f0make.worker.agent.hardlinks import Taking
from f0make.worker.agent.remote_attempt import run_attempt
from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.process import default_signals
from f0make.worker.runner import Runner
from f0make.worker.terminate import TERM_GRACE, signal_name

MISSING = b"M"
"""The store lacked an input: (digest, why)."""
SAMPLE_EVERY = 0.1
_LAST_WAIT = 0.5
"""Seconds for a worker whose line is closed to be gone."""


class Worker:
    """One worker and the bundle that it runs, seen from the agent."""

    def __init__(self, place: str, store: str, environ: Mapping[bytes, bytes]) -> None:
        """Fork it. Raises OSError. The calling process must have a single thread."""
        self.line, theirs = socket.socketpair()
        self.inbox = frames.Frames()
        self.bundle: Bundle | None = None
        self.sent = 0
        self.reason = ""
        self.kill_at: float | None = None
        parent = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            code = 1
            try:
                _main(theirs, parent, place, store, environ)
                code = 0
            finally:
                os._exit(code)
        theirs.close()

    def send(self, bundle: Bundle) -> None:
        """Hand ``bundle`` to the idle worker; one that has just died is found out when its line closes."""
        self.bundle, self.sent = bundle, system.now()
        self.reason, self.kill_at = "", None
        try:
            self.line.sendall(frames.frame(frames.BUNDLE, bundle))
        except OSError:
            pass

    def done(self) -> None:
        """The bundle has its outcome."""
        self.bundle, self.kill_at = None, None

    def keep_time(self, now: float) -> None:
        """Do what is due."""
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = now + 0.1  # again, for what was started meanwhile
            terminate.send(self.processes(), signal.SIGKILL)

    def end_step(self, reason: str = "") -> None:
        """TERM to every process of the step, KILL two seconds later."""
        if self.kill_at is None and self.bundle is not None:
            self.reason = reason
            self.kill_at = time.monotonic() + TERM_GRACE
            terminate.send(self.processes(), signal.SIGTERM)

    def processes(self) -> list[int]:
        """Processes of the running step."""
        if self.bundle is None:
            return []
        return [p for p, about in terminate.descendants([self.pid]).items() if about[4] >= self.sent - 1]

    def bury(self) -> Outcome | None:
        """The worker is gone: wait for it; the outcome of the bundle that it died under."""
        self.line.close()
        if not system.wait_exit(self.pid, _LAST_WAIT):
            system.kill(self.pid, signal.SIGKILL)  # It let go of its line, and lives.
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if self.bundle is None:
            return None
        outcome = Outcome(self.bundle.token, False, started=time.time())
        if code is not None and code < 0:
            outcome.signal = -code
            outcome.message = f"its worker process was killed by {signal_name(-code)}"
        else:
            outcome.exit_code = code
            outcome.message = f"its process ended with exit code {code} before the step was done"
        outcome.message = self.reason or outcome.message
        return outcome


def _main(line: socket.socket, parent: int, place: str, store: str, environ: Mapping[bytes, bytes]) -> None:
    """The inside of a worker: run bundles until the other end of ``line`` is closed."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminate.stay)
    default_signals((signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD))
    line = _alone(line)
    system.set_reaper()
    os.chdir(place)
    os.environb.clear()
    os.environb.update(environ)
    runner = Runner(place, environ, open_store=Taking)
    threading.Thread(target=_watch, args=(parent, runner), daemon=True).start()
    blobs = Blobs(store)
    inbox = frames.Frames()
    while (messages := frames.receive(line, inbox)) is not None:
        for _, bundle in messages:
            try:
                outcome = run_attempt(bundle, place, blobs, environ, runner)
            except BlobError as error:
                line.sendall(frames.frame(MISSING, (error.digest, str(error))))
                continue
            line.sendall(frames.frame(frames.OUTCOME, outcome))
    runner.close()


def _alone(line: socket.socket) -> socket.socket:
    """Keep ``line`` and let go of everything else that the agent has open."""
    kept = line.detach()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    try:
        open_now = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        open_now = list(range(3, 256))
    for fd in open_now:
        if fd > 2 and fd != kept:
            try:
                os.close(fd)
            except OSError:
                continue
    return socket.socket(fileno=kept)


def _watch(parent: int, runner: Runner) -> None:
    """When the agent is gone, whatever took it, end the step that runs here and this process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    system.watch(parent, runner.sample, SAMPLE_EVERY)
    me = os.getpid()
    terminate.end(lambda: terminate.descendants([me]), 0.0)
    os._exit(1)
