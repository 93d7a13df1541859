"""Ends requests that take too long, wherever they hang: in the handshake, in the headers, in a body that drips.

A socket's own timeout begins anew with every byte; one thread that looks at all requests knows the whole time.
"""

from __future__ import annotations

import socket
import threading
import time

_LOOK_EVERY = 0.2
"""Seconds between two looks."""


class Limited:
    """Something with a socket that may be in use until ``deadline`` (monotonic seconds; None: not in use)."""

    deadline: float | None = None
    expired = False
    wire: socket.socket | None = None


class Deadlines:
    """Watches over requests; its thread starts with the first one."""

    def __init__(self) -> None:
        self._limited: list[Limited] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def watch(self, limited: Limited) -> None:
        """Keep an eye on ``limited`` from now on."""
        with self._lock:
            self._limited.append(limited)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="cache-deadlines", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Cut every connection that is in use, and watch no more."""
        self._closed.set()
        with self._lock:
            for limited in self._limited:
                if limited.deadline is not None:
                    _cut(limited)

    def _look(self) -> None:
        while not self._closed.wait(_LOOK_EVERY):
            now = time.monotonic()
            with self._lock:
                late = [one for one in self._limited if one.deadline is not None and one.deadline < now]
            for limited in late:
                _cut(limited)


def _cut(limited: Limited) -> None:
    limited.expired = True
    wire = limited.wire
    if wire is not None:
        try:
            # Not the TLS layer's shutdown, which may be in use by another thread.
            socket.socket.shutdown(wire, socket.SHUT_RDWR)
        except OSError:
            pass
