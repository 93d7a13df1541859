"""What a worker does beside running steps: look at their memory, and end them when nobody waits for them any more.

The same on this machine, on hosts and in clusters: the signals of a worker, and the thread that looks on.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
from collections.abc import Callable

from f0make.worker import system, terminate
from f0make.worker.process import default_signals

EVERY = 0.1
"""Seconds between two looks at the memory and time of a running step (one costs about 50 microseconds)."""


def set_signals() -> None:
    """Undo what was blocked or ignored for the start of a worker, and stay when TERM ends what is below it."""
    signal.signal(signal.SIGTERM, terminate.stay)
    default_signals((signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD))


class Watchdog:
    """Looks on from a thread of its own: ``sample`` is called every `EVERY` seconds.

    When ``parent``, which must be the parent of this process, is gone, whatever took it, or the other end of ``line`` is
    closed, if there is one: every process of the step gets TERM, KILL after ``grace`` seconds, then ``leave`` is called,
    and this process ends.
    """

    def __init__(
        self,
        parent: int,
        sample: Callable[[], None],
        grace: float = 0.0,
        leave: Callable[[], None] | None = None,
        line: socket.socket | None = None,
    ) -> None:
        self._parent = parent
        self._sample = sample
        self._grace = grace
        self._leave = leave
        self._line = line

    def start(self) -> None:
        """Begin; once for each process."""
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def end_step(self) -> None:
        """End every process below this one."""
        me = os.getpid()
        terminate.end(lambda: terminate.descendants([me]), self._grace)

    def wait(self) -> None:
        """Return when nobody waits for this worker any more; sample meanwhile."""
        if self._line is None:
            system.watch(self._parent, self._sample, EVERY)
            return
        poll = select.poll()
        poll.register(self._line, select.POLLRDHUP if hasattr(select, "POLLRDHUP") else select.POLLHUP)
        while os.getppid() == self._parent and not poll.poll(EVERY * 1000):
            self._sample()

    def _watch(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        self.wait()
        self.end_step()
        if self._leave is not None:
            self._leave()
        os._exit(1)
