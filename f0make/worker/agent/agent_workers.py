"""The workers of an agent: forked processes that run one attempt after the other. Part of what is sent.

Each leads a session of its own and is a sub-reaper, so that whatever its step started can be found and ended;
it ends with everything below it when the agent is gone.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping

from f0make.cache.blobs import BlobError, Blobs
from f0make.worker import frames, system
from f0make.worker.agent.hardlinks import Taking
from f0make.worker.agent.remote_attempt import run_attempt
from f0make.worker.bundle import Outcome
from f0make.worker.runner import Runner
from f0make.worker.watchdog import Watchdog, set_signals
from f0make.worker.worker_process import WorkerProcess

MISSING = b"M"
"""The store lacked an input: (digest, why)."""
_LAST_WAIT = 0.5
"""Seconds for a worker whose line is closed to be gone."""


class Worker(WorkerProcess):
    """A worker forked by the agent."""

    def __init__(self, place: str, store: str, environ: Mapping[bytes, bytes]) -> None:
        """Fork it. Raises OSError. The calling process must have a single thread."""
        super().__init__()
        parent = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            code = 1
            try:
                _main(self._theirs, parent, place, store, environ)
                code = 0
            finally:
                os._exit(code)
        self._theirs.close()

    def reap(self) -> Outcome | None:
        """The worker is gone: wait for it; the outcome of the bundle that it died under."""
        self.line.close()
        code = self.collect(_LAST_WAIT)
        return self.lost_step(self.bundle, code) if self.bundle is not None else None


def _main(line: socket.socket, parent: int, place: str, store: str, environ: Mapping[bytes, bytes]) -> None:
    """The inside of a worker: run bundles until the other end of ``line`` is closed."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    set_signals()
    line = _alone(line)
    system.set_reaper()
    os.chdir(place)
    os.environb.clear()
    os.environb.update(environ)
    runner = Runner(place, environ, open_store=Taking)
    Watchdog(parent, runner.sample).start()
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
