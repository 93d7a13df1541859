"""Workers forked for this run, and the queue from which the next free one takes a shell step.

Handing a step over before somebody is free for it keeps workers busy while f0make does other things, and
whoever is free first gets it: nothing waits behind a long step.
"""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterable, Sequence

from f0make.backends.local.forkserver import ForkServer
from f0make.backends.local.jobserver.token_io import Token
from f0make.backends.local.shared_slots import PLACES
from f0make.backends.local.slot import Slot
from f0make.backends.local.worker_settings import Settings
from f0make.worker import frames, system
from f0make.worker.bundle import Bundle

_GONE = 10.0
"""Seconds for a process that has closed its files to be gone."""
_STEADY = 2.0
"""Seconds for workers to tell what they have taken."""


class ForkedSlot(Slot):
    """A forked worker. Raises OSError when it cannot be started."""

    runs_python = False
    tends_token = True

    def __init__(self, pool: ForkedPool, settings: Settings, place: int) -> None:
        super().__init__()
        self._pool = pool
        self.place = place
        with self._theirs as theirs:
            pool.server.board.clear(place)
            pool.server.start_worker(theirs, place, pool.files)
        self.line.sendall(frames.frame(frames.SETTINGS, settings))

    @property
    def bundle(self) -> Bundle | None:
        """What the worker is running."""
        return self._pool.sent.get(self._pool.server.board.taken(self.place)[0])

    @property
    def sent(self) -> int:
        """Stamp from before the running step's start."""
        return self._pool.server.board.taken(self.place)[1]

    @property
    def token(self) -> Token | None:
        """What the worker has left on the board."""
        return self._pool.server.board.kept(self.place)

    @token.setter
    def token(self, token: Token | None) -> None:
        self._pool.server.board.keep(self.place, token)

    def wait_ready(self, until: float) -> None:
        """Learn the worker's pid, unless the monotonic time ``until`` comes first."""
        while not self.ready:
            try:
                self.line.settimeout(max(0.001, until - time.monotonic()))
                data = self.line.recv(1 << 16)
            except OSError:
                return
            if not data:
                return
            for kind, about in self.inbox.feed(data):
                if kind == frames.READY:
                    self.ready, self.pid = True, about

    def died(self) -> int | None:
        """Wait for the worker, which is gone; its exit code (negative: signal), None if unknown."""
        return self.collect(_GONE, kill=False)

    def close(self) -> None:
        """Let go of the worker, which ends when the queue is closed."""
        self.line.close()

    def join(self, until: float) -> None:
        """After `close`: wait for the worker to end, until the monotonic time ``until``, then kill it."""
        self.collect(until - time.monotonic())


class ForkedPool:
    """What was handed to the forked workers of ``server``. Not thread-safe."""

    def __init__(self, server: ForkServer, files: Sequence[int] = ()) -> None:
        self.server = server
        self.files = files
        """Descriptors of the jobserver: see `forked_worker.work`."""
        self.usable = True
        """False from when a worker could not be started."""
        self.sent: dict[int, Bundle] = {}
        """Number -> bundle that is queued or running."""
        self._numbers: dict[str, int] = {}
        self._count = itertools.count(1)
        self._places = iter(range(1, PLACES + 1))

    def add_slot(self, settings: Settings) -> ForkedSlot:
        """One more worker. Raises OSError."""
        place = next(self._places, None)
        if place is None:
            raise OSError(f"{PLACES} workers have died")
        return ForkedSlot(self, settings, place)

    def offer(self, bundle: Bundle) -> bool:
        """Queue ``bundle`` for the next free worker; False when the queue cannot take it (now, or at all)."""
        number = next(self._count)
        data = frames.queued(number, bundle)
        if len(data) > frames.LARGEST_QUEUED:
            return False
        try:
            self.server.queue.send(data, socket.MSG_DONTWAIT)
        except OSError:
            return False
        self.sent[number] = bundle
        self._numbers[bundle.token] = number
        return True

    def finished(self, token: str) -> Bundle | None:
        """The bundle with ``token`` has its outcome."""
        number = self._numbers.pop(token, None)
        return self.sent.pop(number, None) if number is not None else None

    def returned(self, number: int) -> Bundle | None:
        """A worker has taken the bundle ``number`` and will not run it."""
        bundle = self.sent.pop(number, None)
        if bundle is not None:
            del self._numbers[bundle.token]
        return bundle

    def take_back(self) -> list[Bundle]:
        """Everything that no worker has taken yet."""
        found: list[Bundle] = []
        while True:
            try:
                data = self.server.theirs.recv(frames.LARGEST_QUEUED, socket.MSG_DONTWAIT)
            except OSError:
                return found
            if not data:
                return found
            bundle = self.returned(frames.queued_number(memoryview(data)))
            if bundle is not None:
                found.append(bundle)

    def wait_until_steady(self, slots: Iterable[ForkedSlot]) -> None:
        """With an empty queue: wait until the board names all that the living ``slots`` have taken.

        A worker that the board says is looking for a bundle has got none when the kernel says that it sleeps.
        """
        board, until = self.server.board, time.monotonic() + _STEADY
        for slot in slots:
            while board.waits(slot.place) and time.monotonic() < until:
                about = system.facts(slot.pid) if slot.pid else None
                if about is None or about[0] == "S":
                    break
                time.sleep(0.001)

    def missing(self, slots: Iterable[ForkedSlot]) -> list[Bundle]:
        """What is neither queued nor taken by one of ``slots``: the worker that has just died had taken it."""
        taken = {self.server.board.taken(slot.place)[0] for slot in slots}
        return [b for n in sorted(set(self.sent) - taken) if (b := self.returned(n)) is not None]

    def shut(self) -> None:
        """Idle workers end, and nobody starts new ones."""
        self.server.shut()
        try:
            self.server.queue.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        """End the server."""
        self.server.close()
