"""One slot of the local backend: a worker process of its own, so that a death is one step's only."""

from __future__ import annotations

import os
import signal
import socket
import time

from f0make.backends.local import process_journal
from f0make.backends.local.jobserver.token_io import Token
from f0make.worker import frames, terminate
from f0make.worker.bundle import Bundle


class Slot:
    """A worker and the bundle it is running; for the backend's thread. How it is started and told: see the two kinds.

    ``pid`` is 0 until it is known.
    """

    runs_python = True

    def __init__(self) -> None:
        self.line, self._theirs = socket.socketpair()
        self.inbox = frames.Frames()
        self._token: Token | None = None
        self.pid = 0
        self.ready = False
        self.kill_at: float | None = None
        """Monotonic time at which a step that was told to end is killed."""
        self.reason = ""
        """Why the step was told to end."""

    @property
    def bundle(self) -> Bundle | None:
        """What the worker is running."""
        raise NotImplementedError

    @property
    def token(self) -> Token | None:
        """The jobserver's token that is held for the running step."""
        return self._token

    @token.setter
    def token(self, token: Token | None) -> None:
        self._token = token

    @property
    def sent(self) -> int:
        """Stamp from before the running step's start."""
        raise NotImplementedError

    def done(self) -> None:
        """The bundle has its outcome."""
        self.kill_at, self.reason = None, ""

    def end_step(self, reason: str = "") -> None:
        """TERM to every process of the step; `kill_step` is due two seconds later."""
        if self.kill_at is None and self.bundle is not None:
            self.reason = reason
            self.kill_at = time.monotonic() + terminate.TERM_GRACE
            terminate.send(self.processes(), signal.SIGTERM)

    def kill_step(self) -> None:
        """KILL to every process of the step."""
        self.kill_at = time.monotonic() + 0.1  # again, for what was started meanwhile
        terminate.send(self.processes(), signal.SIGKILL)

    def processes(self) -> list[int]:
        """Processes of the running step."""
        if self.bundle is None or not self.pid:
            return []
        return [p for p, about in terminate.descendants([self.pid]).items() if about[4] >= self.sent - 1]

    def left_group(self, directory: str) -> int:
        """The process group that the worker started last, as its journal says; 0 when not known."""
        entry = process_journal.read(os.path.join(directory, f"worker-{self.pid}"))
        return entry.group if entry is not None else 0

    def died(self) -> int | None:
        """Wait for the worker, which is gone; its exit code (negative: signal), None if unknown."""
        raise NotImplementedError

    def close(self) -> None:
        """Let an idle worker end in order; returns at once."""
        raise NotImplementedError

    def join(self, until: float) -> None:
        """After `close`: wait for the worker to end, until the monotonic time ``until``, then kill it."""
        raise NotImplementedError
