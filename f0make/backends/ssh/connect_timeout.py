"""Reaching a host: connecting, logging in and starting its agent, within a time that nothing there can stretch.

Each step has a time of its own, as far as paramiko knows one. It waits without any for some answers, and a name
server or a ProxyCommand may take for ever: so all of it happens in a thread that is given up when the time is over.
"""

from __future__ import annotations

import threading

from f0make.backends.ssh.bootstrap import NotStarted
from f0make.backends.ssh.connection import Connection, Unreachable, connect
from f0make.backends.ssh.host import Host, Patience
from f0make.backends.ssh.host_keys import Refused
from f0make.backends.ssh.host_link import Link
from f0make.backends.ssh.staging_store import Transit

_BEYOND = 8.0
"""Seconds, at least, beyond those in which a host must answer: for logging in and starting the agent."""


def reach(host: Host, patience: Patience, transit: Transit) -> Link:
    """Connect to ``host`` and start its agent. Raises connection.Refused, Unreachable and stage.NotStarted."""
    seconds = patience.connect + max(patience.connect, _BEYOND)
    attempt = _Attempt(host, patience, transit)
    try:
        threading.Thread(target=attempt.run, name="f0make-reach", daemon=True).start()
    except RuntimeError as error:  # No more processes are allowed here.
        raise Unreachable(f"{host.name}: {error}") from None
    attempt.ended.wait(seconds)
    return attempt.result(f"its agent does not run within {seconds:g} s")


class _Attempt:
    """One attempt; what it comes to when nobody waits for it any more is closed."""

    def __init__(self, host: Host, patience: Patience, transit: Transit) -> None:
        self._host, self._patience, self._transit = host, patience, transit
        self._lock = threading.Lock()
        self._given_up = False
        self._connection: Connection | None = None
        self._found: Link | Exception | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        """Try it."""
        found: Link | Exception
        try:
            found = self._link(connect(self._host, self._patience))
        except (Refused, Unreachable, NotStarted) as error:
            found = error
        except Exception as error:  # Whatever it is: who waits must hear of it.
            found = Unreachable(f"{self._host.name}: {type(error).__name__}: {error}")
        with self._lock:
            self._found = found
            late = self._given_up
        self.ended.set()
        if late and isinstance(found, Link):
            found.close()

    def _link(self, connection: Connection) -> Link:
        with self._lock:
            self._connection = connection
            late = self._given_up
        if late:
            connection.close()
        return Link(self._host, connection, self._patience, self._transit)

    def result(self, late: str) -> Link:
        """What the attempt has come to, or Unreachable because of ``late``: then it is given up."""
        with self._lock:
            found, connection = self._found, self._connection
            self._given_up = found is None
        if isinstance(found, Link):
            return found
        if found is not None:
            raise found
        if connection is not None:
            connection.close()
        raise Unreachable(f"{self._host.name}: {late}")
