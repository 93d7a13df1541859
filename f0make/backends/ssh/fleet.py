"""This machine and its hosts as one backend: the local one beside a link to every host.

The scheduler says where a bundle runs (``bundle.host``); here it is sent there, and its result brought home. One
thread listens to all hosts.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from f0make.backends.base import Capabilities, HostNews, Tell
from f0make.backends.bundle_sources import InputGone
from f0make.backends.local.local_backend import LocalBackend
from f0make.backends.ssh.bootstrap import NotStarted
from f0make.backends.ssh.connect_timeout import reach
from f0make.backends.ssh.connection import Unreachable
from f0make.backends.ssh.deliver_results import bring_home
from f0make.backends.ssh.host import Host, Patience
from f0make.backends.ssh.host_keys import Refused
from f0make.backends.ssh.host_link import Broken, Link
from f0make.backends.ssh.staging_store import Transit
from f0make.cache.blob_files import CacheUnusable
from f0make.cache.blobs import BlobError
from f0make.files.content_digest import FileError
from f0make.worker import system
from f0make.worker.agent import wire_format
from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.run_marks import TRANSIT
from f0make.workspace.remove import remove_path

_STOP = 2.0
"""Seconds beyond the grace for hosts to say that everything has ended, and for their agents to be gone."""
_VAIN = 10
"""So many losses of a host in a row with nothing done in between, and it is not tried again: its steps may be why."""
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between two tries to reach a lost host again; the last one repeats."""


class Fleet:
    """The backend of a run with hosts; ``local`` is None when nothing runs here."""

    def __init__(
        self, hosts: Sequence[Host], patience: Patience, local: LocalBackend | None, workspace: str
    ) -> None:
        self.hosts = list(hosts)
        self._patience = patience
        self._local = local
        self._workspace = workspace
        self._transit = Transit(os.path.join(workspace, TRANSIT))
        self._links: dict[str, Link] = {}
        self._joined: list[Link] = []
        """Connected, and not listened to yet."""
        self._lock = threading.Lock()
        self.capabilities = Capabilities(
            ahead=local.capabilities.ahead if local is not None else 0,
            hosts=tuple(host.name for host in hosts),
        )
        self._tell: Tell = lambda event: None
        self._stopping = False
        self._listener: threading.Thread | None = None
        self._ear, self._bell = socket.socketpair()
        self._bell.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._traffic: dict[str, list[int]] = {host.name: [0, 0] for host in hosts}
        """Name -> bytes sent and received over connections that have ended."""
        self._said: set[str] = set()
        """Remarks about files of known hosts that were told."""
        self._vain: dict[str, int] = {}
        """Name -> losses in a row with nothing done in between."""

    # Backend.

    @property
    def slots(self) -> int:
        """How many bundles run at one time on this machine."""
        return self._local.slots if self._local is not None else 0

    def start(self, tell: Tell) -> None:
        """Get ready and begin to connect; ``tell`` hears of every host once, and of changes later."""
        self._tell = tell
        if self._local is not None:
            self._local.start(tell)
        with suppress(OSError):
            remove_path(self._transit.directory)
        # Threads inherit the mask: signals are for the scheduler's thread, which waits for them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, system.SIGNALS)
        try:
            self._listener = self._thread(self._listen)
            for host in self.hosts:
                self._thread(partial(self._join, host))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def submit(self, bundle: Bundle) -> None:
        """Queue ``bundle`` at its place; returns at once."""
        if not bundle.host and self._local is not None:
            self._local.submit(bundle)
            return
        if bundle.stays:
            self._tell(
                Outcome(
                    bundle.token,
                    False,
                    bundle.stays,
                    lost=True,
                    unfit=True,
                    started=time.time(),
                    host=bundle.host,
                )
            )
            return
        with self._lock:
            link = None if self._stopping else self._links.get(bundle.host)
        try:
            if link is None:
                raise InputGone(f"{bundle.host} is lost" if not self._stopping else "the run has ended")
            link.submit(bundle)
        except (InputGone, OSError) as error:
            self._lose(bundle, str(error))

    def kill(self, token: str) -> None:
        """End one attempt and all its processes; its outcome still arrives."""
        for link in self._all():
            if link.has(token):
                link.say(wire_format.KILL, token)
                return
        if self._local is not None:
            self._local.kill(token)

    def go_on(self) -> None:
        """What is queued may start although a step has failed."""
        for link in self._all():
            link.say(wire_format.GO_ON)
        if self._local is not None:
            self._local.go_on()

    def recall(self) -> None:
        """Start nothing more; the outcome of what was queued is ``lost``."""
        for link in self._all():
            link.say(wire_format.RECALL)
        if self._local is not None:
            self._local.recall()

    def withdraw(self) -> None:
        """Take back what waits here for a busy worker; what waits at a host stays there."""
        if self._local is not None:
            self._local.withdraw()

    def ask(self, host: str, number: int, commands: Sequence[str], env: Mapping[str, str]) -> None:
        """Have fingerprint ``commands`` run at ``host``; the answer is told. A host that is lost gives none."""
        with self._lock:
            link = self._links.get(host)
        if link is not None:
            link.ask(number, commands, env)

    def placed(self) -> dict[str, tuple[int, bool]]:
        """Where attempts run on this machine: see `LocalBackend.placed`."""
        return self._local.placed() if self._local is not None else {}

    def stop(self, grace: float) -> None:
        """End everything, here and on every host; returns within ``grace`` + 5 seconds."""
        if self._stopping or self._listener is None:
            return
        self._stopping = True
        links = self._all()
        for link in links:
            link.stop(grace if link.busy() else 0.0)
        if self._local is not None:
            self._local.stop(grace)
        until = time.monotonic() + (grace if any(link.busy() for link in links) else 0.0) + _STOP
        while not all(link.ended for link in self._all()):
            if time.monotonic() >= until:
                break
            time.sleep(0.005)
        self._ring()
        self._listener.join(5.0)
        closers = [self._thread(partial(self._close, link)) for link in self._all()]
        for closer in closers:
            closer.join(1.0)
        with suppress(OSError):
            remove_path(self._transit.directory)

    def traffic(self, host: str) -> tuple[int, int]:
        """(sent, received) over all connections to ``host``."""
        sent, received = self._traffic[host]
        link = self._links.get(host)
        if link is not None:
            sent, received = sent + link.channel.sent, received + link.channel.received
        return sent, received

    # Connecting, each in a thread of its own.

    def _join(self, host: Host) -> None:
        try:
            link = reach(host, self._patience, self._transit)
        except Refused as error:
            self._tell(HostNews(host.name, "left-out", str(error), refused=True))
        except (Unreachable, NotStarted) as error:
            self._tell(HostNews(host.name, "left-out", str(error)))
        else:
            self._welcome(link, "up")

    def _rejoin(self, host: Host, until: float) -> None:
        """Try to reach a lost host again, until it is back or gone: the run waits for one or the other."""
        pauses = list(_PAUSES)
        while not self._stopping:
            time.sleep(pauses.pop(0) if len(pauses) > 1 else pauses[0])
            try:
                link = reach(host, self._patience, self._transit)
            except (Refused, Unreachable, NotStarted) as error:
                if time.monotonic() > until or isinstance(error, Refused):
                    self._tell(HostNews(host.name, "gone", str(error)))
                    return
            else:
                self._welcome(link, "back")
                return

    def _welcome(self, link: Link, status: str) -> None:
        link.run(lambda: self._broke(link))
        with self._lock:
            if self._stopping:
                self._thread(link.close)
                return
            self._links[link.host.name] = link
            self._joined.append(link)
            # Before anybody can drop it: news that it is lost must not be overtaken.
            self._tell(HostNews(link.host.name, status, self._worry(link), link.slots))
        self._ring()

    def _worry(self, link: Link) -> str:
        said = link.remark if link.remark not in self._said else ""
        self._said.add(said)
        if not link.about.noexec:
            return said and f"{link.host.name}: {said}"
        return f"{link.host.name}: {said}; " * bool(said) + (
            f"{link.host.name}: {link.about.workdir} is on a file system without programs (noexec): steps that "
            "start one of their inputs fail there (set workdir to another directory)"
        )

    def _broke(self, link: Link) -> None:
        link.broken.set()
        self._ring()

    # Listening: one thread for all hosts.

    def _listen(self) -> None:
        with self._selector as selector:
            selector.register(self._ear, selectors.EVENT_READ)
            due = 0.0
            while not (self._stopping and all(link.said_bye for link in self._all())):
                for key, _ in selector.select(max(0.0, min(due - time.monotonic(), 1.0))):
                    if key.fileobj is self._ear:
                        self._ear.recv(4096)
                    else:
                        self._hear(selector, key.data)
                with self._lock:
                    joined, self._joined = self._joined, []
                for link in joined:
                    self._hear(selector, link, new=True)
                due = self._look(selector)
                if self._stopping and not self._expected():
                    return

    def _expected(self) -> bool:
        return any(not link.said_bye and not link.broken.is_set() for link in self._all())

    def _hear(self, selector: selectors.BaseSelector, link: Link, new: bool = False) -> None:
        try:
            if new:
                selector.register(link.channel.fileno(), selectors.EVENT_READ, link)
            for pending, outcome in link.hear():
                self._home(selector, link, pending.bundle, outcome)
            while link.prints:
                self._tell(link.prints.pop(0))
        except Broken as error:
            self._drop(selector, link, str(error), "left-out" if error.for_good else "lost")
        except (OSError, CacheUnusable) as error:
            reason = getattr(error, "strerror", None) or error
            self._drop(selector, link, f"what it sends cannot be kept here: {reason}", "lost")
        except Exception as error:  # One host that is not understood must not make f0make deaf to the others.
            self._drop(selector, link, _unforeseen(error), "lost")

    def _look(self, selector: selectors.BaseSelector) -> float:
        now = time.monotonic()
        due = now + 1.0
        for link in self._all():
            if link.said_bye:
                continue
            try:
                due = min(due, link.look(now))
            except Broken as error:
                self._drop(selector, link, str(error), "lost")
            except Exception as error:
                self._drop(selector, link, _unforeseen(error), "lost")
        return due

    def _home(self, selector: selectors.BaseSelector, link: Link, bundle: Bundle, outcome: Outcome) -> None:
        full = outcome.lost and outcome.disk_full
        try:
            bring_home(bundle, outcome, self._transit)
        except BlobError as error:
            outcome.ok, outcome.lost, outcome.message = False, True, str(error)
        except (FileError, OSError) as error:
            outcome.ok, outcome.message = False, f"its outputs cannot be brought here: {error}"
            outcome.disk_full = getattr(error, "errno", None) in (28, 122)
        except Exception as error:  # The run waits for this outcome, whatever has become of it.
            outcome.ok, outcome.message = False, f"its outputs cannot be brought here: {_unforeseen(error)}"
        if full:
            outcome.disk_full = False
        self._tell(outcome)
        if full:
            why = f"the disk of {link.about.workdir} is full (make room there, or set workdir to another directory)"
            self._drop(selector, link, why, "left-out")

    def _drop(self, selector: selectors.BaseSelector, link: Link, why: str, status: str) -> None:
        """Be done with a host: what it had goes elsewhere."""
        with suppress(KeyError, ValueError, OSError):
            selector.unregister(link.channel.fileno())
        with self._lock:
            if self._links.get(link.host.name) is not link:
                return
            del self._links[link.host.name]
        link.broken.set()
        traffic = self._traffic[link.host.name]
        traffic[0] += link.channel.sent
        traffic[1] += link.channel.received
        left = link.forget()
        self._vain[link.host.name] = 1 if link.ran else self._vain.get(link.host.name, 0) + 1
        if status == "lost" and self._vain[link.host.name] >= _VAIN:
            status = "left-out"
            why = f"{why}, for the {_VAIN}th time with nothing done in between"
        self._tell(HostNews(link.host.name, status, f"{link.host.name}: {why}"))
        for bundle in left:
            self._lose(bundle, f"{link.host.name}: {why}")
        try:
            self._thread(link.close)
            if status == "lost" and not self._stopping:
                until = time.monotonic() + self._patience.reconnect
                self._thread(lambda: self._rejoin(link.host, until))
        except RuntimeError as error:  # No more threads are allowed here.
            self._tell(HostNews(link.host.name, "gone", f"{link.host.name}: {error}"))

    # Helpers.

    def _lose(self, bundle: Bundle, why: str) -> None:
        self._tell(Outcome(bundle.token, False, why, lost=True, started=time.time(), host=bundle.host))

    def _all(self) -> list[Link]:
        with self._lock:
            return list(self._links.values())

    def _close(self, link: Link) -> None:
        for bundle in link.forget():
            self._lose(bundle, "the run ended before it was finished")
        link.close()

    def _ring(self) -> None:
        with suppress(OSError):
            self._bell.send(b"!")

    def _thread(self, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, name="f0make-hosts", daemon=True)
        thread.start()
        return thread


def _unforeseen(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
