"""A process of f0make's own below an engine's worker: runs bundles one after the other, each in a private directory.

It is started by `worker_main` from the archive. Its socket closes when the step is not wanted any more or the worker has
died: then it ends the step, every process of it, and itself. Standard library only, and readable by Python 3.9.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Optional

from f0make.cache.blobs import BlobError
from f0make.worker import frames, system
from f0make.worker.agent.remote_attempt import run_attempt
from f0make.worker.agent.sandbox import Workplace
from f0make.worker.bundle import Bundle
from f0make.worker.cluster.child_stores import Setup, TwoStores, Unseen
from f0make.worker.runner import Runner
from f0make.worker.terminate import TERM_GRACE
from f0make.worker.watchdog import Watchdog, set_signals

SETUP, BLIND, MISSING, UNFIT, ENDED, DIED, BYE = b"S", b"U", b"M", b"N", b"X", b"D", b"Q"
"""Kinds of messages beside those of `worker.frames`: how to work (comes first); the stores are not seen here,
and why; a digest that they do not have. `worker_main` makes the rest: no such process can be started there, and why; nobody
waits for the step any more; this process ended under it, and how; the worker needs this process no more."""

DYING = 0.3
"""Seconds until a worker whose socket has closed is dead, if it is about to be."""

INHERITED = (b"PATH", b"HOME", b"USER")
"""What steps inherit of a worker's environment."""


class Child:
    """The process. ``line`` is its end of the socket, ``place`` a directory of its own."""

    def __init__(self, line: socket.socket, parent: int, place: str, home: str) -> None:
        self._line = line
        self._parent = parent
        """The part of this process that waits (see `worker_main`)."""
        above = system.facts(parent)
        self._worker = above[1] if above is not None else 0
        self._place = place
        self._home = home
        self._kept = Workplace(place)
        self._sending = threading.Lock()
        self._runner: Optional[Runner] = None  # noqa: UP045 - Python 3.9
        self._watchdog: Optional[Watchdog] = None  # noqa: UP045 - Python 3.9

    def serve(self) -> None:
        """Run bundles until the other end is closed."""
        inbox = frames.Frames()
        messages = frames.receive(self._line, inbox)
        if not messages:
            return
        setup = Setup(*messages.pop(0)[1])
        environ = environment(setup.variables)
        self._runner = Runner(self._place, environ)
        self._watchdog = Watchdog(
            self._parent, self._runner.sample, TERM_GRACE, self._nobody_waits, self._line
        )
        self._watchdog.start()
        self._send(frames.READY, os.getpid())
        stores: Optional[TwoStores] = None  # noqa: UP045 - Python 3.9
        while messages is not None:
            for kind, bundle in messages:
                if kind == BYE:
                    return
                if stores is None:
                    try:
                        stores = TwoStores(setup, os.path.join(self._home, "blobs"))
                    except Unseen as error:
                        self._send(BLIND, str(error))
                        continue
                self._one(bundle, stores, environ)
            messages = frames.receive(self._line, inbox)
        self._look_for_orphan(10 * DYING)

    def close(self) -> None:
        """End with all that is left."""
        if self._runner is not None:
            self._runner.close()
        if self._watchdog is not None:
            self._watchdog.end_step()
        self._leave(0)

    def _one(self, bundle: Bundle, stores: TwoStores, environ: Mapping[bytes, bytes]) -> None:
        assert self._runner is not None
        store = stores.keeping(bundle.store is not None)
        try:
            outcome = run_attempt(bundle, self._place, store, environ, self._runner, self._kept)
            stores.hand_on(outcome)
        except BlobError as error:
            self._send(MISSING, error.digest)
            return
        self._send(frames.OUTCOME, outcome)

    def _send(self, kind: bytes, about: Any) -> None:
        with self._sending:
            self._line.sendall(frames.json_frame(kind, about))

    # The end.

    def _nobody_waits(self) -> None:
        self._look_for_orphan()
        self._leave(1)

    def _look_for_orphan(self, seconds: float = DYING) -> None:
        """A worker that dies closes its files a little before it is dead."""
        until = time.monotonic() + seconds
        while not self._orphaned() and time.monotonic() < until:
            time.sleep(0.02)

    def _orphaned(self) -> bool:
        """Whether the worker is dead, which is the parent of the parent."""
        about = system.facts(self._parent)
        return os.getppid() != self._parent or about is None or about[1] != self._worker

    def _leave(self, code: int) -> None:
        alone = self._orphaned()  # Then nobody else tidies up.
        shutil.rmtree(self._home if alone else self._place, ignore_errors=True)
        try:
            os.rmdir(self._home)
        except OSError:
            pass  # It is gone, or others are in it.
        os._exit(code)


def environment(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    """What every step here inherits: a few variables of the worker's, and ``variables``."""
    found = {name: os.environb[name] for name in INHERITED if name in os.environb}
    try:
        me = pwd.getpwuid(os.getuid())
        found.setdefault(b"HOME", os.fsencode(me.pw_dir))
        found.setdefault(b"USER", os.fsencode(me.pw_name))
    except KeyError:
        pass
    found.update({os.fsencode(name): os.fsencode(value) for name, value in variables.items()})
    return found


def main(argv: list[str]) -> None:
    """``argv``: descriptor of the socket, directory of this process, directory of the run on this worker."""
    fd, place, home = int(argv[0]), argv[1], argv[2]
    line = socket.socket(fileno=fd)
    line.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_signals()
    sys.path[:] = [entry for entry in sys.path if entry not in ("", place)]
    sys.argv[:] = ["f0make"]
    system.set_reaper()
    child = Child(line, os.getppid(), place, home)
    try:
        child.serve()
    except (BrokenPipeError, ConnectionError):
        pass
    child.close()
